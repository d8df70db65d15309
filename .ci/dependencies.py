"""Holds the packages that are built in to the rules of deny.toml.

Reads the output of `cargo metadata`. Covers licences, bans, duplicates, wildcards and sources, as
`cargo deny check bans licenses sources` does; advisories need a database and are left to cargo-deny.
"""

import collections
import json
import re
import sys

try:
    import tomllib
except ModuleNotFoundError:
    sys.exit("Python 3.11 or later is needed to read deny.toml")


def is_allowed(expression, allowed):
    """Whether an SPDX expression can be met with the allowed licences; `/` is an old way to say OR."""
    tokens = re.findall(r"[()]|[^\s()/]+|/", expression)
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else None

    def take():
        nonlocal position
        position += 1
        return tokens[position - 1]

    def either():
        met = both()
        while peek() in ("OR", "/"):
            take()
            # Both sides are read, whatever the first one says.
            met = both() or met
        return met

    def both():
        met = one()
        while peek() == "AND":
            take()
            met = one() and met
        return met

    def one():
        token = take()
        if token == "(":
            met = either()
            if take() != ")":
                raise ValueError
            return met
        if peek() == "WITH":
            take()
            token = f"{token} WITH {take()}"
        return token in allowed

    try:
        met = either()
        return met and position == len(tokens)
    except (IndexError, ValueError):
        return False


def names(package):
    """How deny.toml may call a package."""
    return {package["name"], f"{package['name']}@{package['version']}"}


def licences(packages, rules):
    for package in packages:
        expression = package["license"] or ""
        if not is_allowed(expression, rules["allow"]):
            yield f"{call(package)}: the licence {expression or '(none)'} is not on the list"


def bans(packages, rules):
    for rule in rules["deny"]:
        for package in packages:
            if rule["crate"] in names(package):
                yield f"{call(package)} is banned: {rule['reason']}"


def duplicates(packages, rules):
    skipped = {rule["crate"]: False for rule in rules["skip"]}
    versions = collections.defaultdict(list)
    for package in packages:
        versions[package["name"]].append(package)
    for name, several in sorted(versions.items()):
        kept = []
        for package in several:
            used = names(package) & skipped.keys() if len(several) > 1 else set()
            skipped.update(dict.fromkeys(used, True))
            kept += [] if used else [package["version"]]
        if len(kept) > 1:
            yield f"{name} is built in as {' and '.join(sorted(kept))}"
    for crate, used in skipped.items():
        if not used:
            yield f"{crate} is no duplicate any more: take it out of `skip`"


def wildcards(root):
    for dependency in root["dependencies"]:
        if dependency["req"] == "*" and not dependency.get("path"):
            yield f"{dependency['name']}: any version is asked for; name one"


def sources(packages, root):
    for package in packages:
        source = package["source"]
        if package is not root and not (source or "").startswith("registry+"):
            yield f"{call(package)} comes from {source or 'a folder'}, not from the registry"


def unreasoned(rules):
    lists = [rules["bans"]["deny"], rules["bans"]["skip"], rules["advisories"]["ignore"]]
    for rule in [rule for entries in lists for rule in entries]:
        if not rule.get("reason"):
            yield f"{rule} has no reason"


def call(package):
    return f"{package['name']} {package['version']}"


def built_in(metadata, root):
    """Packages that are part of the program or of its build, those for tests left out."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    reached, waiting = set(), [root["id"]]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            for dependency in nodes[node]["deps"]:
                if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
                    waiting.append(dependency["pkg"])
    return [package for package in metadata["packages"] if package["id"] in reached]


def main(rules_path):
    with open(rules_path, "rb") as file:
        rules = tomllib.load(file)
    metadata = json.load(sys.stdin)
    root = next(p for p in metadata["packages"] if p["id"] == metadata["resolve"]["root"])
    everything = metadata["packages"]
    program = built_in(metadata, root)
    problems = [
        *unreasoned(rules),
        *licences(everything, rules["licenses"]),
        *bans(everything, rules["bans"]),
        *duplicates(program, rules["bans"]),
        *wildcards(root),
        *sources(everything, root),
    ]
    if problems:
        sys.exit("\n".join(problems) + f"\nThe rules and their reasons stand in {rules_path}.")
    print(f"   {len(everything)} packages, {len(program)} of them in the program or its build")


main(sys.argv[1])
