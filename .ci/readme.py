"""Prints the test command that the README tells its readers.

It is the only line of the second fenced block below the heading "Quick start".
"""

import re
import sys

EXPECTED = "cargo test"


def quick_start(text):
    """The lines below the heading, up to the next one of the same rank."""
    lines = text.splitlines()
    starts = [n for n, line in enumerate(lines) if re.fullmatch(r"##\s+quick start\s*", line, re.I)]
    if len(starts) != 1:
        sys.exit(f"README: {len(starts)} headings `## Quick start` instead of one")
    below = lines[starts[0] + 1 :]
    fenced = False
    for number, line in enumerate(below):
        fenced ^= line.startswith("```")
        if not fenced and re.match(r"##?\s", line):
            return below[:number]
    return below


def blocks(lines):
    """The content of every fenced block."""
    found, current = [], None
    for line in lines:
        if not line.startswith("```"):
            if current is not None:
                current.append(line)
        elif current is None:
            current = []
        else:
            found.append(current)
            current = None
    return found


def main(path):
    with open(path, encoding="utf-8") as file:
        found = blocks(quick_start(file.read()))
    if len(found) < 2:
        sys.exit(f"{path}: the Quick start has {len(found)} fenced blocks; the second tells how to test")
    commands = [line.removeprefix("$ ").strip() for line in found[1] if line.strip()]
    if commands != [EXPECTED]:
        sys.exit(f"{path}: the second block of the Quick start is {commands}, not [{EXPECTED!r}]")
    print(commands[0])


main(sys.argv[1])
