"""`harden bench pool`: the pool beside the pools it stands in for, in one run on one throw-away PostgreSQL."""

from __future__ import annotations

import argparse
import difflib
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

from ...arguments import number_of, seconds_for
from ...demo.report import describe_machine
from ...errors import CommandError
from ...progress import Progress
from ...stack import Stack
from ..environment import Peers
from ..noise import Listener
from ..output import NOT_HERE, refuse_missing_folders, write
from .bars import judge
from .page import render_page
from .result import Result, render_json, rows
from .rounds import Outcome, Plan, Rounds
from .server import SETTINGS, Server
from .subjects import BY_KEY, OURS, SUBJECTS, Subject
from .table import render_table

SUMMARY = "the pool beside the pools it stands in for"
QUICK = Plan(rounds=2, slow_rounds=1, seconds=0.3, threads=(1, 8, 64), timeout=2.0, checkouts=100, budget=40.0)
PEERS = [subject.key for subject in SUBJECTS if subject.key not in OURS]
MOST_THREADS = 256
A_DAY = 86400.0
EXAMPLES = """\
examples:
  scripts/harden bench pool --quick                         every peer, in under a minute
  scripts/harden bench pool --json out.json --html out.html
  scripts/harden bench pool --peers psycopg2,psycopg-pool --rounds 9
  scripts/harden bench pool --peers psycopg2,semaphore      peers that need no installing
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("--quick", action="store_true", help="short rounds: under a minute in all")
    parser.add_argument("--peers", type=_peers, default=PEERS, metavar="A,B",
                        help=f"beside ours, of {', '.join(PEERS)} (default: all)")  # fmt: skip
    parser.add_argument("--rounds", type=number_of("rounds", 1, 100), metavar="N",
                        help="rounds of each figure (default: 5; 2 with --quick)")  # fmt: skip
    parser.add_argument("--seconds", type=seconds_for("a round", 0.1, 60), metavar="S",
                        help="length of a round of contention (default: 2; 0.3 with --quick)")  # fmt: skip
    parser.add_argument("--threads", type=_threads, metavar="N,N",
                        help="numbers of threads to show the cost for (default: 1,8,64,256)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every round")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")


def _peers(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PEERS:
            close = difflib.get_close_matches(name, PEERS, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(PEERS)}"
            raise argparse.ArgumentTypeError(f"{name!r} is no peer; {hint}")
    return names


def _threads(text: str) -> tuple[int, ...]:
    number = number_of("threads", 1, MOST_THREADS)
    return tuple(number(part.strip()) for part in text.split(","))


def run(options: argparse.Namespace) -> int:
    """Measure every subject, print the tables, write the reports."""
    progress = Progress()
    refuse_missing_folders(options.json, options.html)
    subjects = [BY_KEY[key] for key in BY_KEY if key in OURS or key in options.peers]
    peers = Peers(Path(sys.prefix) / "peers", progress)
    python = peers.prepare(subjects)
    result = _measure(_plan(options), subjects, python, peers.missing, progress)
    bars = judge(result)
    print(render_table(result, bars), end="", flush=True)
    write(options.json, render_json(result, bars), progress)
    write(options.html, render_page(result, bars), progress)
    return 0


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else Plan()
    if options.rounds:
        slow_rounds = min(options.rounds, plan.slow_rounds)
        # As many as were asked for, however long it takes.
        plan = replace(plan, rounds=options.rounds, slow_rounds=slow_rounds, budget=A_DAY)
    return replace(plan, seconds=options.seconds or plan.seconds, threads=options.threads or plan.threads)


def _measure(
    plan: Plan, subjects: Sequence[Subject], python: str, missing: dict[str, str], progress: Progress
) -> Result:
    able = [subject for subject in subjects if not missing.keys() & set(subject.packages)]
    listener = Listener()
    with Stack(progress) as stack:
        machine = describe_machine(stack.binaries.postgres_version)
        with closing(Server(stack.postgres(SETTINGS))) as server:
            outcome = Rounds(server, stack.run, plan, python, progress).measure(able)
    if not any(key in outcome.measured for key in OURS):
        raise CommandError(f"our own pool could not be measured: {next(iter(outcome.left_out.values()))}")
    return Result(
        date=date.today().isoformat(),
        command=f"scripts/harden {shlex.join(sys.argv[1:])}",
        machine={name: value for name, value in machine.items() if name not in NOT_HERE},
        versions=outcome.versions,
        plan=plan,
        noise=listener.heard(),
        rows=rows(able, outcome),
        left_out=_left_out(subjects, missing, outcome),
        problems=[*outcome.problems, *_cut(outcome)],
    )


def _left_out(subjects: Sequence[Subject], missing: dict[str, str], outcome: Outcome) -> dict[str, str]:
    reasons = {
        subject.label: f"{name} could not be installed: {missing[name]}"
        for subject in subjects
        for name in subject.packages
        if name in missing
    }
    return {**reasons, **{BY_KEY[key].label: reason for key, reason in outcome.left_out.items()}}


def _cut(outcome: Outcome) -> list[str]:
    counts = Counter(outcome.cut)
    return [f"{text}: {count} rounds left out, for the machine was too slow" for text, count in counts.items()]
