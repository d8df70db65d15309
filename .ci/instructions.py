"""Counts the instructions of a quiet night, and fails when they are more than they were.

    python3 .ci/instructions.py             # judges against benches/instructions.toml
    python3 .ci/instructions.py --accept    # makes the figure of today the one to keep to

A time says little on a machine that does other things as well; the instructions of one process on
one CPU hardly differ from run to run. Counted by callgrind, of valgrind.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASELINE = ROOT / "benches/instructions.toml"
# One that optimises as the release does, but is built in half the time.
PROFILE = "counted"
ROWS = 20_000
OVER_MAX = 0.15

TEXT = """\
# Instructions of a quiet night of {rows} rows, as `.ci/instructions.py` counts them. It refuses more
# than {over:.0%} above; `--accept` writes this file anew, and the reason belongs into the commit.
quiet_night = {figure}
"""


def need_valgrind():
    if shutil.which("valgrind"):
        return
    print("   valgrind is not there; trying to install it", flush=True)
    if shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "valgrind"], check=False,
                       stdout=subprocess.DEVNULL)
    if not shutil.which("valgrind"):
        sys.exit("the instructions cannot be counted: install valgrind (apt-get install valgrind)")


def checked(command, **options):
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-4000:]}")


def build():
    for what in (["--profile", PROFILE, "--bin", "rosterd"], ["--example", "bench"]):
        if subprocess.run(["cargo", "build", "--locked", *what], check=False, cwd=ROOT).returncode:
            sys.exit("what is counted does not build")
    # As cargo itself decides where it builds.
    target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    return target / PROFILE / "rosterd", target / "debug/examples/bench"


def count(rosterd, tool):
    need_valgrind()
    # One CPU, so that as many threads are started on every machine.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        checked([tool, "roster", "--rows", ROWS, "--dir", folder])
        surroundings = {"PATH": os.environ["PATH"], "ROSTERD_BENCH_TOKEN": "not-a-secret"}

        def night(verb, file, under=()):
            variables = {**surroundings, "ROSTERD__SOURCES__HR__CSV__PATH": str(folder / file)}
            command = [*under, rosterd, "--config", folder / "one.toml", *verb]
            checked(command, cwd=folder, env=variables)

        night(["adopt", "--yes"], "day0.csv")
        night(["run"], "day0.csv")
        out = folder / "callgrind.out"
        night(["run"], "noop.csv", ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"])
        with out.open(encoding="utf-8") as lines:
            totals = [line.split()[1] for line in lines if line.startswith("totals:")]
    return sum(map(int, totals))


def judge(figure, path):
    try:
        baseline = tomllib.loads(path.read_text(encoding="utf-8"))["quiet_night"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        sys.exit(f"{path} has no figure to keep to ({error!r}); `--accept` writes one")
    change = figure / baseline - 1
    told = f"a quiet night is {figure:,} instructions; {path.name} has {baseline:,} ({change:+.1%})"
    if figure <= 0:
        sys.exit("nothing was counted")
    if change > OVER_MAX:
        sys.exit(f"{told}: more than {OVER_MAX:+.0%}. Make it less, or accept it with a reason:"
                 " python3 .ci/instructions.py --accept")
    print(f"   {told}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accept", action="store_true", help="write the figure as the baseline")
    parser.add_argument("--baseline", type=pathlib.Path, default=BASELINE)
    parser.add_argument("--figure", type=int, help="judge this figure instead of counting one")
    options = parser.parse_args()
    figure = count(*build()) if options.figure is None else options.figure
    if options.accept:
        text = TEXT.format(rows=ROWS, over=OVER_MAX, figure=figure)
        options.baseline.write_text(text, encoding="utf-8")
    judge(figure, options.baseline)


main()
