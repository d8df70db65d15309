#!/usr/bin/env python3
"""Measures whole nights of rosterd, and prints each figure beside its gate and its goal.

    cargo build --release && cargo build --release --example bench
    python3 benches/night.py --dir /tmp/nights

F, the floor, is one pass of the csv crate over the roster with a hash of every key and row, on one
thread, as a process of its own. It runs in turn with what is held against it, and the ratio is taken
pair by pair; figures are medians. A figure beyond its gate is OVER.

Times are the operating system's account of the finished process. A peak below this program's own
memory cannot be seen (the child is for a moment a copy of its parent): such a figure reads as that
floor, which is printed. Bytes written are those of its write calls, so without what it maps.
Needs Linux and Python 3.11.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROSTERD = ROOT / "target/release/rosterd"
TOOL = ROOT / "target/release/examples/bench"
PEER = ROOT / "benches/peers/target/release/peers"
NOTHING = os.open(os.devnull, os.O_RDWR)


class Run:
    """One finished process."""

    def __init__(self, wall, usage, written):
        self.wall = wall
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak = usage.ru_maxrss / 1024
        self.written = written


def run(command, variables=None, folder=None):
    environment = {**os.environ, "ROSTERD_BENCH_TOKEN": "not-a-secret", **(variables or {})}
    command = [str(word) for word in command]
    with tempfile.TemporaryFile() as errors, contextlib.chdir(folder or os.getcwd()):
        actions = [(os.POSIX_SPAWN_DUP2, NOTHING, 0), (os.POSIX_SPAWN_DUP2, NOTHING, 1),
                   (os.POSIX_SPAWN_DUP2, errors.fileno(), 2)]
        begun = time.monotonic()
        child = os.posix_spawn(command[0], command, environment, file_actions=actions)
        # The child is over, and its account still there to be read.
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        wall = time.monotonic() - begun
        written = bytes_written(child)
        _, status, usage = os.wait4(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            errors.seek(0)
            sys.exit(f"{' '.join(command)}: exit {code}\n{errors.read().decode()[-2000:]}")
    return Run(wall, usage, written)


def bytes_written(child):
    try:
        with open(f"/proc/{child}/io", encoding="ascii") as file:
            return int(dict(line.split(": ") for line in file)["wchar"])
    except OSError:
        return None


class Table:
    def __init__(self):
        self.over = False
        print(f"{'measure':<58} {'figure':>10} {'gate':>8} {'goal':>8}")

    def judge(self, what, figure, gate, goal, more=False):
        def meets(limit):
            return limit is None or (figure >= limit if more else figure <= limit)

        if figure is None:
            print(f"{what:<58} not measured")
            return
        verdict = "goal met" if meets(goal) else "ok" if meets(gate) else "OVER"
        if gate is None:
            verdict = "goal met" if meets(goal) else "goal missed"
        self.over = self.over or not meets(gate)
        shown = "" if gate is None else gate
        print(f"{what:<58} {figure:>10.3f} {shown:>8} {goal:>8}  {verdict}", flush=True)

    def tell(self, what, figure):
        print(f"{what:<58} {figure:>10.3f}", flush=True)


class Roster:
    """The files of a company of so many people, made when they are not there."""

    def __init__(self, top, rows):
        self.rows = rows
        self.folder = pathlib.Path(top).resolve() / f"rows-{rows}"
        whole = self.folder / "whole"
        if not whole.exists():
            print(f"writing {rows} people into {self.folder}", file=sys.stderr)
            run([TOOL, "roster", "--rows", rows, "--dir", self.folder])
            whole.touch()

    def file(self, name):
        return self.folder / name

    def rosterd(self, verb, file="day0.csv", configuration="one", state=None):
        state = state or self.state(configuration)
        variables = {"ROSTERD__SOURCES__HR__CSV__PATH": str(self.file(file))}
        command = [ROSTERD, "--config", self.file(f"{configuration}.toml"), "--state-dir", state,
                   "--log-level", "error", *verb]
        return run(command, variables, self.folder)

    def state(self, configuration):
        return self.folder / f"state-{configuration}"

    def floor(self):
        return run([TOOL, "floor", self.file("day0.csv")])

    def adopted(self, configuration="one"):
        """A state in which all is known that day0.csv says, settled by a first quiet night."""
        state = self.state(configuration)
        shutil.rmtree(state, ignore_errors=True)
        self.rosterd(["adopt", "--yes"], configuration=configuration)
        self.rosterd(["run"], configuration=configuration)

    def quiet(self, number, configuration="one"):
        """A night that brings nothing new; never twice the same file in a row."""
        # The night before the first one was day0.csv's.
        file = "noop.csv" if number % 2 == 0 else "day0.csv"
        return self.rosterd(["run"], file, configuration)


def in_turn(count, *measures):
    """Each measure in turn, so often; a round that does not count goes first."""
    rounds = [[measure(number) for measure in measures] for number in range(count + 1)]
    return list(zip(*rounds[1:]))


def median(figures):
    figures = list(figures)
    return None if None in figures else statistics.median(figures)


def ratio(ones, others, what="wall"):
    """Pair by pair; `others` is always measured by its wall time."""
    return median(getattr(one, what) / other.wall for one, other in zip(ones, others))


def quiet(roster, table, options):
    roster.adopted()
    measures = [lambda _: roster.floor(), roster.quiet]
    if options.peers:
        days = [roster.file("day0.csv"), roster.file("noop.csv")]
        measures.append(lambda _: run([PEER, *days]))
    floors, nights, *peers = in_turn(options.runs, *measures)
    table.tell("F, the floor, s", median(run.wall for run in floors))
    table.tell("a: quiet night, s", median(run.wall for run in nights))
    table.judge("a: quiet night, x F", ratio(nights, floors), 1.5, 1.0)
    table.judge("a: its CPU time, x F", ratio(nights, floors, "cpu"), 2.0, 1.5)
    table.judge("a: its peak memory, MiB", median(run.peak for run in nights), 64, 48)
    table.judge("a: bytes it writes", median(run.written for run in nights), 64_000, 64_000)
    if peers:
        table.judge("a: x faster than csv-diff", ratio(peers[0], nights), 2.5, 4.0, more=True)
        table.tell("a: csv-diff's peak memory, MiB", median(run.peak for run in peers[0]))
    # The last quiet night was the same file's as this one's, for an odd and an even count.
    last = "noop.csv" if options.runs % 2 == 0 else "day0.csv"
    roster.rosterd(["run"], last)
    floors, again = in_turn(options.runs, lambda _: roster.floor(),
                            lambda _: roster.rosterd(["run"], last))
    table.judge("a: the very same file again, x F", ratio(again, floors), None, 0.2)


def ids(roster, table, options):
    roster.adopted("ids")
    floors, nights = in_turn(options.runs, lambda _: roster.floor(),
                             lambda number: roster.quiet(number, "ids"))
    table.tell("a: with the users' ids in a file of their own, x F", ratio(nights, floors))
    table.tell("a: its peak memory, MiB", median(run.peak for run in nights))
    shutil.rmtree(roster.state("ids"))


def ten(roster, table, options):
    roster.adopted("ten")
    floors, nights = in_turn(options.runs, lambda _: roster.floor(),
                             lambda number: roster.quiet(number, "ten"))
    table.judge("a: quiet night of ten tenants, x F", ratio(nights, floors), 2.0, 1.3)
    table.tell("a: its peak memory, MiB", median(run.peak for run in nights))
    shutil.rmtree(roster.state("ten"))


def busy(roster, table, options):
    roster.adopted()
    plan = roster.file("plan.json")
    floors, nights = in_turn(options.runs, lambda _: roster.floor(),
                             lambda _: roster.rosterd(["plan", "--out", plan], "day1.csv"))
    table.judge("b: plan of a 1% night, x F", ratio(nights, floors), 2.0, 1.25)
    table.judge("b: its peak memory, MiB", median(run.peak for run in nights), None, 56)


def adopt(roster, table, options):
    state = roster.file("state-new")

    def anew(_):
        shutil.rmtree(state, ignore_errors=True)
        return roster.rosterd(["adopt", "--yes"], state=state)

    floors, runs = in_turn(options.runs, lambda _: roster.floor(), anew)
    table.judge("c: adopt, x F", ratio(runs, floors), 12, 8)
    table.judge("c: its peak memory, MiB", median(run.peak for run in runs), None, 96)
    size = sum(file.stat().st_size for file in state.iterdir())
    csv = roster.file("day0.csv").stat().st_size
    table.judge("c: the database, x the CSV", size / csv, None, 2.0)
    shutil.rmtree(state)


def small(roster, table, options):
    for rows, gate, goal in [(10_000, 20, 10), (100_000, 60, 40)]:
        few = Roster(options.dir, rows)
        few.adopted()
        (nights,) = in_turn(options.runs, few.quiet)
        wall = median(run.wall for run in nights)
        table.judge(f"f: quiet night of {rows}, ms", wall * 1000, gate, goal)


def large(roster, table, options):
    many = Roster(options.dir, roster.rows * 10)
    runs = max(3, options.runs // 2)
    plans = ["plan", "--out", "plan.json"]
    for each in (roster, many):
        each.adopted()
    few, nights = in_turn(runs, roster.quiet, many.quiet)
    busy_few, busy_nights = in_turn(runs, lambda _: roster.rosterd(plans, "day1.csv"),
                                    lambda _: many.rosterd(plans, "day1.csv"))
    for what, ones, others in [("quiet", nights, few), ("1%", busy_nights, busy_few)]:
        table.judge(f"f: {what} night of {many.rows}, x {roster.rows}", ratio(ones, others), 12, 10.5)
        table.judge("f: its peak memory, MiB", median(run.peak for run in ones), 512, 400)


def start(roster, table, options):
    (runs,) = in_turn(options.runs, lambda _: run([ROSTERD, "--version"]))
    table.judge("g: --version, ms", median(run.wall for run in runs) * 1000, 10, 2)
    roster.adopted()
    waits, idle = zip(*(daemon(roster) for _ in range(options.runs)))
    table.judge("g: the daemon is ready, ms", median(waits) * 1000, 30, 5)
    table.judge("g: resident while idle, MiB", median(idle), 24, 10)
    table.judge("g: the binary, MB", ROSTERD.stat().st_size / 1e6, 16, 12)


def daemon(roster):
    """Seconds until it says that it is ready, and MiB that are resident then."""
    address = roster.file("notify")
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(address))
        told.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(address), "ROSTERD_BENCH_TOKEN": "none"}
        command = [ROSTERD, "--config", roster.file("one.toml"), "--state-dir",
                   roster.state("one"), "--log-level", "error", "daemon"]
        begun = time.monotonic()
        child = subprocess.Popen(command, env=environment, stdin=NOTHING, stdout=NOTHING)
        try:
            while b"READY=1" not in told.recv(4096):
                pass
            wait = time.monotonic() - begun
            # What it was busy with when it said so comes to rest.
            time.sleep(0.5)
            with open(f"/proc/{child.pid}/status", encoding="ascii") as file:
                resident = next(line for line in file if line.startswith("VmRSS:"))
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait()
    return wait, int(resident.split()[1]) / 1024


MEASURES = {"quiet": quiet, "ids": ids, "ten": ten, "busy": busy, "adopt": adopt,
            "small": small, "start": start, "large": large}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", required=True, help="where the rosters are made, and kept")
    parser.add_argument("--rows", type=int, default=1_000_000, help="people (%(default)s)")
    parser.add_argument("--runs", type=int, default=7, help="runs that count (%(default)s)")
    parser.add_argument("--only", type=lambda text: text.split(","), metavar="MEASURE,…",
                        help=f"of {', '.join(MEASURES)}; all but `large` when absent")
    parser.add_argument("--large", action="store_true",
                        help="ten times the people too, which takes much disk and time")
    parser.add_argument("--peers", action="store_true", help="csv-diff too; benches/peers has it")
    parser.add_argument("--gate", action="store_true", help="exit with 1 when a gate is passed")
    options = parser.parse_args()
    chosen = options.only or [name for name in MEASURES if name != "large"]
    if options.large and "large" not in chosen:
        chosen.append("large")
    unknown = set(chosen) - set(MEASURES)
    if unknown:
        parser.error(f"no such measure: {', '.join(unknown)}")
    for needed in [ROSTERD, TOOL, *([PEER] if options.peers else [])]:
        if not needed.exists():
            parser.error(f"{needed} is not built; the README's chapter on speed has the commands")
    roster = Roster(options.dir, options.rows)
    table = Table()
    table.tell("peaks below this are not seen, MiB", run([shutil.which("true")]).peak)
    for name in MEASURES:
        if name in chosen:
            MEASURES[name](roster, table, options)
    if options.gate and table.over:
        sys.exit("a figure is beyond its gate")


main()
