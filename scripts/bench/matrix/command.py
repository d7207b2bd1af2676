"""`harden bench matrix`: development server to gevent, no pool to ours, direct to PgBouncer, loop to one query."""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path
from typing import Any

from ...arguments import number_of, seconds_for
from ...demo.report.machine import describe_machine
from ...errors import CommandError
from ...progress import Progress
from ...stack import Stack
from ...stack.bouncer import Bouncer
from ...stack.postgres import Cluster
from ..noise import Listener
from ..output import Bar, judged, machine_line, refuse_missing_folders, write
from ..queries.shop import DATABASE, ROLE, SETTINGS, fill_shop
from .configs import LADDER, Config, everything
from .measure import Bench, Cell, middle
from .picture import ladder_svg
from .table import lines

SUMMARY = "which step brings what: servers x pools x PgBouncer x queries, each measured the same way"
ROUNDS, QUICK_ROUNDS = 5, 3  # of the ladder; every other cell is measured once
CONNECTIONS = "100"  # max_connections, PostgreSQL's default
EXAMPLES = """\
examples:
  scripts/harden bench matrix --quick                  the seven steps of the ladder, a minute and a half
  scripts/harden bench matrix --svg docs/matrix.svg    all 72 cells, some ten minutes
  scripts/harden bench matrix --json matrix.json --users 100
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("--quick", action="store_true", help="the ladder alone, a second and a half each")
    parser.add_argument("--users", type=number_of("users", 1, 2000), default=50, metavar="N",
                        help="requests in flight (default: %(default)s)")  # fmt: skip
    parser.add_argument("--seconds", type=seconds_for("a cell", 0.5, 600), metavar="S",
                        help="of each cell (default: 3; 1.5 with --quick)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the picture of the ladder")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar does not hold")


def run(options: argparse.Namespace) -> int:
    """Measure, print, write; returns the exit code."""
    refuse_missing_folders(options.json, options.svg)
    progress, listener = Progress(), Listener()
    seconds = options.seconds or (1.5 if options.quick else 3.0)
    ladder = [config for _, config in LADDER]
    others = [] if options.quick else [config for config in everything() if config not in ladder]
    plan = ladder * (QUICK_ROUNDS if options.quick else ROUNDS) + others  # a whole ladder after the other
    with Stack(progress) as stack:
        cells = _cells(stack, plan, options.users, seconds, progress)
        machine = describe_machine(stack.binaries.postgres_version, stack.binaries.pgbouncer_version)
    noise, bars = listener.heard().verdict(), _bars(cells)
    print("\n".join([*lines(cells, options.users, seconds), *judged(bars), "", noise, machine_line(machine)]))
    today = date.today().isoformat()
    result: dict[str, Any] = {
        "date": today, "machine": machine, "users": options.users, "seconds": seconds, "noise": noise,
        "cells": [cell.as_dict() for cell in cells],
    }  # fmt: skip
    write(options.json, json.dumps(result, indent=1) + "\n", progress)
    caption = f"{machine['cores']} cores ({machine['cpu']}), PostgreSQL {machine['postgresql']}, {today}"
    write(options.svg, ladder_svg(cells, options.users, caption), progress)
    return int(options.check and not all(bar.holds for bar in bars))


def _cells(
    stack: Stack, configs: list[Config], users: int, seconds: float, progress: Progress
) -> list[Cell]:
    cluster = stack.postgres({**SETTINGS, "log_connections": "on", "max_connections": CONNECTIONS})
    fill_shop(cluster)
    bouncers = _bouncers(stack, cluster)
    bench, rounds = Bench(stack, cluster, bouncers, users, seconds), dict[Config, list[Cell]]()
    for number, config in enumerate(configs):
        progress.bar(number, len(configs), config.name)
        rounds.setdefault(config, []).append(bench.measure(config))
    progress.clear()
    found = {config: middle(cells) if len(cells) > 1 else cells[0] for config, cells in rounds.items()}
    return [found[config] for config in everything() if config in found]


def _bouncers(stack: Stack, cluster: Cluster) -> dict[str, Bouncer]:
    found = {}
    for mode in ("session", "transaction"):
        bouncer = stack.pgbouncer(cluster, [DATABASE], [ROLE], pool_mode=mode, name=f"pgbouncer-{mode}")
        if bouncer is None:
            raise CommandError("the matrix needs PgBouncer; apt-get install pgbouncer")
        found[mode] = bouncer
    return found


def _bars(cells: list[Cell]) -> list[Bar]:
    by_config = {cell.config: cell for cell in cells}
    first, last = (by_config[LADDER[number][1]] for number in (0, -1))
    times = last.rps / first.rps if first.rps else float("inf")
    ours = [cell for cell in cells if cell.pool == "ours"]
    failed = sum(cell.errors for cell in ours)
    return [
        Bar("the last step carries at least 5 times the first's requests", f"{times:.1f} times", times >= 5),
        Bar("with our pool no request fails", f"{failed} of {sum(cell.requests for cell in ours):,}", failed == 0),
    ]
