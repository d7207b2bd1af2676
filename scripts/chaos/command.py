"""`harden chaos`: break each part of the stack while people pay, then see whether the books are right."""

from __future__ import annotations

import argparse
import json
import secrets
import shlex
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from ..arguments import number_of, seconds_for
from ..bench.output import machine_line, refuse_missing_folders, write
from ..demo.report.machine import describe_machine
from ..errors import CommandError
from ..progress import Progress
from ..stack import Stack
from .faults import FAULTS, Fault
from .page import as_dict, render_page
from .people import Books
from .running import Run, one_run
from .table import lines
from .world import build

EXAMPLES = """\
examples:
  scripts/harden chaos                                   ten runs with random faults, three minutes
  scripts/harden chaos --runs 50 --html chaos.html
  scripts/harden chaos --faults kill-worker,crash-postgres --runs 3
  scripts/harden chaos --seed 4711 --runs 1              the run of that seed once more
  scripts/harden chaos --list                            the faults
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.epilog = f"exit codes: 0 every promise was kept; 1 one was broken; 2 it could not run\n\n{EXAMPLES}"
    add = parser.add_argument
    add("--runs", type=number_of("runs", 1, 10_000), default=10, metavar="N", help="(default: %(default)s)")
    add("--seconds", type=seconds_for("a run", 1, 3600), default=8.0, metavar="S",
        help="seconds of faults in each run (default: %(default)g)")  # fmt: skip
    add("--faults", metavar="A,B", help="these alone (default: all)")
    add("--seed", type=number_of("seed", 0, 2**31), metavar="N", help="of the first run; the next ones count up")
    add("--list", action="store_true", help="name the faults and end")
    add("--json", type=Path, metavar="FILE", help="write every figure")
    add("--html", type=Path, metavar="FILE", help="write a page with a plot of each run")


def run(options: argparse.Namespace) -> int:
    """Run, print, write; returns 1 when a promise was broken."""
    if options.list:
        print("\n".join(f"{fault.name:18} {fault.part:10} {fault.says}" for fault in FAULTS.values()))
        return 0
    refuse_missing_folders(options.json, options.html)
    faults, progress = _faults(options.faults), Progress()
    seed = options.seed if options.seed is not None else secrets.randbelow(100_000)
    with Stack(progress) as stack:
        machine = describe_machine(stack.binaries.postgres_version, stack.binaries.pgbouncer_version)
        runs = _runs(stack, faults, seed, options, progress)
    print("\n".join([*lines(runs, options.seconds, options.faults or ""), machine_line(machine)]))
    day, command = date.today().isoformat(), f"scripts/harden {shlex.join(sys.argv[1:])}"
    header = {"date": day, "command": command, "machine": machine, "seed": seed}
    write(options.json, json.dumps(as_dict(runs, header), indent=1) + "\n", progress)
    write(options.html, render_page(runs, day, command, machine_line(machine).removeprefix("machine: ")), progress)
    return int(any(each.broken for each in runs))


def _runs(
    stack: Stack, faults: Sequence[Fault], seed: int, options: argparse.Namespace, progress: Progress
) -> list[Run]:
    world, books, runs = build(stack, progress), Books(), []
    for number in range(options.runs):
        def tell(words: str, number: int = number) -> None:
            progress.bar(number, options.runs, f"seed {seed + number}: {words}")

        runs.append(one_run(world, books, seed + number, faults, options.seconds, tell))
        if runs[-1].broken:
            progress(f"seed {seed + number}: {runs[-1].broken[0]}")
        if not runs[-1].is_back:
            progress(f"{options.runs - number - 1} run(s) are left out: there is no service to break")
            break
    progress.clear()
    return runs


def _faults(given: str | None) -> list[Fault]:
    names = [name.strip() for name in given.split(",")] if given else list(FAULTS)
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        raise CommandError(f"there is no fault {unknown[0]!r}; there are {', '.join(FAULTS)}")
    return [FAULTS[name] for name in names]
