"""`harden bench monitor`: a watched query beside a plain one and beside other ways to watch."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from ...demo.report import describe_machine
from ...errors import CommandError
from ...progress import Progress
from ...stack import Stack
from ..noise import Listener
from ..output import NOT_HERE, refuse_missing_folders, write
from ..queries.command import list_of
from ..queries.shop import SETTINGS, Shop
from ..session import Worker, WorkerError
from .bars import judge
from .plan import BATCHES, PARTS, QUICK, STATEMENTS, Plan
from .result import Cell, Result, render_json
from .serving import measure_requests
from .table import render_table
from .ways import WAYS

SUMMARY = "what watching costs: a query's processor time, memory, the shop's throughput"
MODULE = "scripts.bench.monitor.worker"
ROUNDS_A_JOB = 4
LONGEST = 900.0  # seconds of one job
SERVING = ("gunicorn", "flask", "psycopg2")
EXAMPLES = """\
examples:
  scripts/harden bench monitor --quick              all of it, shortened: half a minute
  scripts/harden bench monitor --json out.json      the whole run: seven minutes
  scripts/harden bench monitor --parts queries,wrapper
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("--quick", action="store_true", help="few rounds, fewer statements")
    parser.add_argument("--parts", type=list_of("part", PARTS), metavar="A,B",
                        help=f"of {', '.join(PARTS)} (default: all)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every round")


def run(options: argparse.Namespace) -> int:
    """Measure, print the tables, write the report."""
    progress = Progress()
    refuse_missing_folders(options.json)
    plan = QUICK if options.quick else Plan()
    try:
        result = measure(replace(plan, parts=options.parts or plan.parts), progress)
    except WorkerError as error:
        raise CommandError(f"the measuring process failed: {error}") from None
    bars = judge(result)
    print(render_table(result, bars), end="", flush=True)
    write(options.json, render_json(result, bars), progress)
    return 0


def measure(plan: Plan, progress: Progress) -> Result:
    """Return what came out.

    Raises:
        WorkerError: the process that measures failed.
        CommandError: a server did.
    """
    listener = Listener()
    found: dict[str, Any] = {}
    with Stack(progress) as stack:
        machine = describe_machine(stack.binaries.postgres_version, stack.binaries.pgbouncer_version)
        cluster = stack.postgres(SETTINGS)
        progress("seeding the shop (small)")
        with closing(Shop(cluster, "small")) as shop:
            setup = {"dsn": shop.dsn}
            if {"queries", "wrapper"} & set(plan.parts):
                with Worker(sys.executable, MODULE, "queries", setup, stack.run) as worker:
                    found |= _in_turn(worker, plan, progress)
            if "memory" in plan.parts:
                progress(f"memory: {plan.texts:,} statements")
                with Worker(sys.executable, MODULE, "memory", setup, stack.run) as worker:
                    found["grown_bytes"] = worker.ask("memory", LONGEST, texts=plan.texts)["bytes"]
            if "requests" in plan.parts:
                found["rates"] = measure_requests(stack, shop, plan, progress)
    return Result(
        date=date.today().isoformat(),
        command=f"scripts/harden {shlex.join(sys.argv[1:])}",
        machine={name: value for name, value in machine.items() if name not in NOT_HERE},
        versions={name: str(machine[name]) for name in SERVING if machine.get(name)},
        plan=plan,
        noise=listener.heard(),
        **found,
    )


def _in_turn(worker: Worker, plan: Plan, progress: Progress) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "queries" in plan.parts:
        found["cells"] = _cells(worker, plan, progress)
    if "wrapper" in plan.parts:
        found["wrapper"] = worker.ask("wrapper", LONGEST, numbers=list(range(plan.wrapper_rounds)))["ns"]
    return found


def _cells(worker: Worker, plan: Plan, progress: Progress) -> tuple[Cell, ...]:
    """Measure every statement and batch, a few rounds of each in turn: what disturbs the machine disturbs all."""
    places = [(name, batch) for name in STATEMENTS for batch in BATCHES]
    samples: dict[tuple[str, int], dict[str, list[float]]] = {place: {} for place in places}
    for start in range(0, plan.rounds, ROUNDS_A_JOB):
        progress.bar(start, plan.rounds, "queries")
        numbers = list(range(start, min(start + ROUNDS_A_JOB, plan.rounds)))
        for place in places:
            answer = worker.ask(
                "queries", LONGEST, keys=[way.key for way in WAYS], sql=STATEMENTS[place[0]], batch=place[1],
                queries=plan.queries, numbers=numbers,
            )  # fmt: skip
            for key, values in answer["ns"].items():
                samples[place].setdefault(key, []).extend(values)
    progress.clear()
    return tuple(Cell(name, batch, samples[name, batch]) for name, batch in places)
