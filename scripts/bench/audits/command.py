"""`harden bench audits`: the figures that audits promise, measured on the shop and on its twin from before."""

from __future__ import annotations

import argparse
import json
import secrets
import shlex
import sys
from datetime import date
from pathlib import Path
from typing import Any

from ...arguments import number_of, seconds_for
from ...demo.report.machine import describe_machine
from ...demo.sides import DATABASE, ROLE, Sides, start
from ...load import Measured
from ...load.document import document_of
from ...load.report import parse_run, render_page
from ...load.serving import scenario_of
from ...progress import Progress
from ...stack import Stack
from ..noise import Listener
from ..output import judged, machine_line, refuse_missing_folders, write
from .bars import bars
from .measure import RAMP, WARM_UP, Figures, measure
from .soak import soak
from .table import lines

SUMMARY = "what audits promise: p95, p99, errors, pools and memory for 50 to 1,000 users, and a soak"
USERS, QUICK = (50, 200, 400, 500, 1000), (50, 200)
EXAMPLES = """\
examples:
  scripts/harden bench audits --quick                      50 and 200 users, a minute and a half
  scripts/harden bench audits --html audits.html           50 to 1,000 users on both sides, some six minutes
  scripts/harden bench audits --users 500 --soak 600
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("--quick", action="store_true", help="50 and 200 users, short runs, a short soak")
    parser.add_argument("--users", type=number_of("users", 1, 20_000), action="append", metavar="N",
                        help="measure these instead; repeatable")  # fmt: skip
    parser.add_argument("--seconds", type=seconds_for("a run", 2, 3600), metavar="S",
                        help="counted seconds of each run (default: 15; 6 with --quick)")  # fmt: skip
    parser.add_argument("--soak", type=seconds_for("a soak", 0, 86_400), metavar="S",
                        help="seconds of the soak (default: 120; 20 with --quick; 0 for none)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with all runs")
    parser.add_argument("--check", action="store_true", help="exit 1 when a promise does not hold")


def run(options: argparse.Namespace) -> int:
    """Measure, print, write; returns the exit code."""
    refuse_missing_folders(options.json, options.html)
    progress, listener, token = Progress(), Listener(), secrets.token_hex(16)
    users = sorted(set(options.users or (QUICK if options.quick else USERS)))
    seconds = options.seconds or (6.0 if options.quick else 15.0)
    length = options.soak if options.soak is not None else (20.0 if options.quick else 120.0)
    with Stack(progress) as stack:
        more = {"HARDEN_OPS_TOKEN": token, "GUNICORN_CMD_ARGS": "--max-requests 0"}
        sides = start(stack, "small", 20, progress, more)
        machine = describe_machine(stack.binaries.postgres_version, stack.binaries.pgbouncer_version)
        figures, documents = _all(sides, users, seconds, token, machine, progress)
        dsn = sides.cluster.dsn(DATABASE, ROLE)
        soaked = soak(sides, length, token, dsn, progress.bar) if length else None
        progress.clear()
    noise, verdicts = listener.heard().verdict(), bars(figures, soaked)
    print("\n".join([*lines(figures, soaked), *judged(verdicts), "", noise, machine_line(machine)]))
    result: dict[str, Any] = {
        "date": date.today().isoformat(), "machine": machine, "noise": noise, "seconds": seconds,
        "figures": [each.as_dict() for each in figures], "soak": soaked.as_dict() if soaked else None,
        "bars": [vars(bar) for bar in verdicts],
    }  # fmt: skip
    write(options.json, json.dumps(result, indent=1) + "\n", progress)
    write(options.html, render_page([parse_run(document) for document in documents]), progress)
    return int(options.check and not all(bar.holds for bar in verdicts))


def _all(
    sides: Sides, users: list[int], seconds: float, token: str, machine: dict[str, Any], progress: Progress
) -> tuple[list[Figures], list[dict[str, Any]]]:
    figures, documents = [], []
    for count in users:
        for side in ("shop", "legacy"):
            each, measured = measure(sides, side, count, seconds, token, progress.bar)
            figures.append(each)
            documents.append(_document(sides, side, measured, machine))
    progress.clear()
    return figures, documents


def _document(sides: Sides, side: str, measured: Measured, machine: dict[str, Any]) -> dict[str, Any]:
    web = sides.hardened if side == "shop" else sides.legacy
    command = f"scripts/harden {shlex.join(sys.argv[1:])}"
    label = f"{side} {measured.users}, {measured.users} users"
    return document_of(label, command, machine, web.url, scenario_of(sides), measured, RAMP, WARM_UP)
