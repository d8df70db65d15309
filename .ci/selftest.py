"""Shows every check of this folder something that it must refuse, and something that it must not."""

import copy
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent

failures = []


def expect(what, script, arguments, given, refusal):
    """`refusal` is part of what the check must say, or None where it must pass."""
    command = [sys.executable, str(HERE / script), *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if refusal is None:
        held = done.returncode == 0
    else:
        held = done.returncode == 1 and refusal in done.stderr and "Traceback" not in done.stderr
    if not held:
        failures.append(f"{script}, {what}: exit {done.returncode}, {done.stdout}{done.stderr}")


def with_file(content, use):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "file"
        path.write_text(content, encoding="utf-8")
        use(str(path))


def check_readme():
    good = "# x\n\n## Quick start\n\n```console\na\n```\n\ntext\n\n```console\ncargo test\n```\n\n## Next\n"
    cases = [
        ("as it should be", good, None),
        ("another command", good.replace("cargo test", "make test"), "make test"),
        ("more than one command", good.replace("cargo test", "cargo test\nls"), "'ls'"),
        ("one block only", good.replace("```console\na\n```\n", ""), "1 fenced blocks"),
        ("a block of the next chapter", good.replace("text\n", "## Other\n"), "1 fenced blocks"),
        ("no such chapter", good.replace("Quick", "Slow"), "0 headings"),
    ]
    for what, text, refusal in cases:
        with_file(text, lambda path: expect(what, "readme.py", [path], "", refusal))


def check_tracked():
    good = ["src/lib.rs", "Cargo.lock", "state/001_snapshot.sql", "tests/data/older.sql",
            "tests/hosts/certificates/server.key"]
    expect("as it should be", "tracked.py", [], "\0".join(good) + "\0", None)
    expect("nothing at all", "tracked.py", [], "", "no files")
    planted = ["target/debug/rosterd", "state/acme.db", "state/acme.db-wal", "a/acme.db.schema-1.bak",
               "state/acme.lock", ".ci/__pycache__/x.pyc", "src/lib.rs.orig", "secrets/acme.key"]
    for name in planted:
        expect(name, "tracked.py", [], "\0".join([*good, name]) + "\0", f"{name}: ")


def package(name, version="1.0.0", licence="MIT", source="registry+x", dependencies=()):
    return {"id": f"{name} {version}", "name": name, "version": version, "license": licence,
            "source": source, "dependencies": list(dependencies)}


def metadata(*packages, kind=None):
    root = package("rosterd", source=None)
    dependencies = [{"pkg": p["id"], "dep_kinds": [{"kind": kind}]} for p in packages]
    nodes = [{"id": root["id"], "deps": dependencies}, *({"id": p["id"], "deps": []} for p in packages)]
    return {"packages": [root, *packages], "resolve": {"root": root["id"], "nodes": nodes}}


RULES = """
[advisories]
ignore = [{ id = "A-1", reason = "r" }]
[licenses]
allow = ["MIT", "ISC", "Apache-2.0"]
[bans]
deny = [{ crate = "banned", reason = "because" }, { crate = "old@1.0.0", reason = "because" }]
skip = [{ crate = "twice@1.0.0", reason = "r" }]
"""


def check_dependencies():
    twice = [package("twice"), package("twice", "2.0.0")]
    plain = metadata(*twice, package("fine"), package("old", "1.1.0"))
    wild = copy.deepcopy(plain)
    wild["packages"][0]["dependencies"] = [{"name": "fine", "req": "*"}]
    thrice = [package("thrice"), package("thrice", "2.0.0")]
    cases = [
        ("as it should be", plain, None),
        ("either licence", metadata(*twice, package("x", licence="GPL-3.0 OR MIT")), None),
        ("an old way to say it", metadata(*twice, package("x", licence="GPL-3.0/MIT")), None),
        ("both licences", metadata(*twice, package("x", licence="(MIT OR X) AND ISC")), None),
        ("one of both", metadata(*twice, package("x", licence="MIT AND GPL-3.0")), "GPL-3.0"),
        ("neither", metadata(*twice, package("x", licence="(X OR Y) AND MIT")), "x 1.0.0: the licence"),
        ("another exception", metadata(*twice, package("x", licence="MIT WITH Y")), "x 1.0.0: the licence"),
        ("no sense", metadata(*twice, package("x", licence="(MIT")), "x 1.0.0: the licence"),
        ("two in a row", metadata(*twice, package("x", licence="MIT MIT")), "x 1.0.0: the licence"),
        ("no licence", metadata(*twice, package("x", licence=None)), "(none)"),
        ("banned", metadata(*twice, package("banned")), "banned 1.0.0 is banned: because"),
        ("a banned version", metadata(*twice, package("old")), "old 1.0.0 is banned"),
        ("twice", metadata(*twice, *thrice), "thrice is built in as 1.0.0 and 2.0.0"),
        ("a third version", metadata(*twice, package("twice", "3.0.0")), "2.0.0 and 3.0.0"),
        ("no longer twice", metadata(package("twice", "2.0.0")), "no duplicate any more"),
        ("twice, for tests only", metadata(*twice, kind="dev"), "no duplicate any more"),
        ("any version", wild, "any version is asked for"),
        ("from git", metadata(*twice, package("x", source="git+y")), "comes from git+y"),
        ("from a folder", metadata(*twice, package("x", source=None)), "comes from a folder"),
    ]
    for what, given, refusal in cases:
        with_file(RULES, lambda path: expect(what, "dependencies.py", [path], json.dumps(given), refusal))
    silent = RULES.replace(', reason = "because"', "", 1)
    with_file(silent, lambda path: expect(
        "no reason", "dependencies.py", [path], json.dumps(plain), "has no reason"))


def check_own_rules():
    """deny.toml itself refuses what it is there to refuse."""
    rules = str(ROOT / "deny.toml")
    for name in ["openssl-sys", "native-tls", "aws-lc-sys", "chrono", "time"]:
        given = json.dumps(metadata(package(name)))
        expect(name, "dependencies.py", [rules], given, f"{name} 1.0.0 is banned")
    for licence in ["GPL-3.0-only", "AGPL-3.0", "SSPL-1.0", "MPL-2.0"]:
        given = json.dumps(metadata(package("x", licence=licence)))
        expect(licence, "dependencies.py", [rules], given, "is not on the list")


def check_instructions():
    good = "quiet_night = 1000\n"
    cases = [
        ("the same", good, 1000, None),
        ("less", good, 10, None),
        ("as many as may be", good, 1150, None),
        ("too many", good, 1151, "1,151 instructions; file has 1,000 (+15.1%): more than +15%"),
        ("far too many", good, 10_000, "(+900.0%)"),
        ("nothing counted", good, 0, "nothing was counted"),
        ("no baseline", "other = 1000\n", 1000, "no figure to keep to"),
        ("no sense", "quiet_night =\n", 1000, "no figure to keep to"),
    ]
    for what, text, figure, refusal in cases:
        with_file(text, lambda path: expect(
            what, "instructions.py", ["--figure", str(figure), "--baseline", path], "", refusal))

    def accepted(path):
        figure = ["--figure", "2000", "--baseline", path]
        expect("more than before", "instructions.py", figure, "", "(+100.0%)")
        expect("accepted", "instructions.py", [*figure, "--accept"], "", None)
        expect("the same again", "instructions.py", figure, "", None)

    with_file(good, accepted)
    # The baseline that is kept refuses what it is there to refuse.
    own = ["--figure", str(10**13)]
    expect("a night without end", "instructions.py", own, "", "instructions.toml has ")


check_readme()
check_tracked()
check_instructions()
check_dependencies()
check_own_rules()
if failures:
    sys.exit("\n".join(failures))
print("   each refuses what it should, and nothing else")
