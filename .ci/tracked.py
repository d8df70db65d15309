"""Fails when a file that is generated or private has been added to the repository.

Reads the output of `git ls-files -z`.
"""

import fnmatch
import sys

# Matched against the whole path and against each of its parts.
UNWANTED = {
    "target": "built by cargo",
    "*.db": "state",
    "*.db-wal": "state",
    "*.db-shm": "state",
    "*.db.*": "a copy of state",
    "state/*.lock": "a lock of a running process",
    "__pycache__": "compiled Python",
    "*.py[co]": "compiled Python",
    "*.profraw": "a measurement",
    "*.rs.bk": "a copy made by an editor",
    "*.orig": "left over from a merge",
    "*.rej": "left over from a patch",
    "*.sw[op]": "a copy made by an editor",
    "*~": "a copy made by an editor",
    ".DS_Store": "made by a file manager",
    ".env": "secrets",
    "*.pem": "secrets",
    "*.key": "secrets",
}
# Made for a server within the tests, and guarding nothing.
PUBLIC = "tests/hosts/certificates/"


def reasons(path):
    if path.startswith(PUBLIC):
        return
    for pattern, reason in UNWANTED.items():
        if any(fnmatch.fnmatchcase(part, pattern) for part in [path, *path.split("/")]):
            yield reason


def main():
    paths = [path for path in sys.stdin.buffer.read().decode().split("\0") if path]
    if not paths:
        sys.exit("git lists no files: run this within the repository")
    problems = [f"{path}: {reason}" for path in paths for reason in reasons(path)]
    if problems:
        told = "\n".join(problems)
        sys.exit(f"{told}\nTake it out with `git rm --cached` and add it to .gitignore.")
    print(f"   {len(paths)} files, none of them generated")


main()
