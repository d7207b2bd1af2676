"""`harden demo`: an unhardened Flask + psycopg2 app under load, and the same app hardened, side by side."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from ..arguments import number_of, seconds_for
from ..atomic import WriteError, write_atomically
from ..errors import CommandError
from ..load import LoadError, Workload, run_closed
from ..progress import Progress
from ..stack import Stack
from ..stack.web import Web
from .counting import Observer
from .report import describe_machine, parse_report, render_json, render_page, render_table
from .sides import DATABASE, ROLE, ROUTES, Sides, start

USERS = (50, 200)
WARM_UP = 0.5
DRAIN = 60.0
EXAMPLES = """\
examples:
  scripts/harden demo --quick                    the proof, in under a minute
  scripts/harden demo --json out.json --html out.html
  scripts/harden demo --users 400 --seconds 20   400 users as well as 50 and 200, measured for longer
  scripts/harden demo --quick --keep             leaves the hardened shop up to look at
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("--quick", action="store_true", help="short runs: under a minute in all")
    parser.add_argument("--users", type=number_of("users", 1, 5000), action="append", metavar="N",
                        help="measure N users too; repeatable (50 and 200 always are)")  # fmt: skip
    parser.add_argument("--seconds", type=seconds_for("a run", 0.5, 3600), metavar="S",
                        help="length of each run (default: 8; 1.5 with --quick)")  # fmt: skip
    parser.add_argument("--appointments", type=number_of("appointments", 0, 2000), default=20, metavar="N",
                        help="appointments of the measured customers (default: %(default)s)")  # fmt: skip
    parser.add_argument("--size", choices=("small", "medium", "large"), default="small",
                        help="rows in the database (default: %(default)s)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    parser.add_argument("--keep", action="store_true", help="leave the hardened shop up until Ctrl-C")


def run(options: argparse.Namespace) -> int:
    """Measure both sides, print the table, write the reports."""
    progress = Progress()
    for file in (options.json, options.html):
        if file is not None and not file.absolute().parent.is_dir():
            raise CommandError(f"the folder of {file} does not exist; make it, or name another file")
    seconds = options.seconds or (1.5 if options.quick else 8.0)
    with Stack(progress) as stack:
        sides = start(stack, options.size, options.appointments, progress)
        runs = _measure(sides, sorted({*USERS, *(options.users or ())}), seconds, progress)
        report = parse_report(
            {
                "machine": describe_machine(stack.binaries.postgres_version, stack.binaries.pgbouncer_version),
                "date": date.today().isoformat(),
                "command": f"scripts/harden {shlex.join(sys.argv[1:])}",
                "settings": {**sides.settings, "seconds": seconds},
                "runs": runs,
            }
        )
        print(render_table(report), flush=True)
        _write(options, report, progress)
        if options.keep:
            _stay_up(sides.hardened, progress)
    return 0


def _measure(sides: Sides, users: list[int], seconds: float, progress: Progress) -> list[dict[str, Any]]:
    plan = [
        (side, route, count)
        for route in ROUTES
        for count in users
        for side in ("legacy", "hardened")
    ]
    observer = Observer(sides.cluster, DATABASE, ROLE)
    runs = []
    for done, (side, route, count) in enumerate(plan):
        progress.bar(done, len(plan), f"{side} {route}, {count} users")
        web = sides.legacy if side == "legacy" else sides.hardened
        runs.append({"side": side, "route": route, **_one_run(web, sides, route, count, seconds, observer)})
    progress.clear()
    return runs


def _one_run(
    web: Web, sides: Sides, route: str, users: int, seconds: float, observer: Observer
) -> dict[str, Any]:
    workload = Workload(web.url, sides.workloads[route])
    try:
        run_closed(workload, min(users, 20), WARM_UP, drain_timeout=DRAIN)
        observer.wait_until_quiet()
        with observer.counted() as counts:
            result = run_closed(workload, users, seconds, drain_timeout=DRAIN)
    except LoadError as error:
        raise CommandError(f"the load generator failed: {error}") from None
    if not web.child.is_running():
        raise CommandError(f"{web.child.name} ended under {users} users: {web.child.last_line()}", web.child.log)
    return {
        **result.as_dict(),
        # A refused request asks the database nothing, so it would flatter the average.
        "queries_per_request": round(counts.statements / result.answered, 2) if result.answered else None,
        "connections_opened": counts.connections_opened,
        "server_connections_peak": counts.connections_peak,
    }


def _write(options: argparse.Namespace, report: Any, progress: Progress) -> None:
    for file, render in ((options.json, render_json), (options.html, render_page)):
        if file is None:
            continue
        try:
            write_atomically(file, render(report))
        except WriteError as error:
            raise CommandError(str(error)) from None
        progress(f"wrote {file}")


def _stay_up(web: Web, progress: Progress) -> None:
    progress(f"the hardened shop is at {web.url}/api/admin/customers/1?include=appointmentDetails")
    progress(f"its pool: {web.url}/health/database/pool; Ctrl-C stops it")
    try:
        while web.child.is_running():
            time.sleep(0.5)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one Ctrl-C is enough; stopping takes a moment
