"""`harden bench rows`: each recipe of docs/row-patterns.md, before and after, in turn on one table."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psycopg2
import psycopg2.extras

from ...arguments import number_of
from ...demo.report.machine import describe_machine
from ...progress import Progress
from ...stack import Stack
from ..noise import Listener
from ..output import Bar, judged, machine_line, refuse_missing_folders, write
from .recipes import FILL, PAGE, Pair, pairs, schema

SUMMARY = "rows that nobody needs: window counts, SELECT *, sums in Python, before and after"
ROWS, QUICK, ROUNDS = 100_000, 10_000, 7
EXAMPLES = """\
examples:
  scripts/harden bench rows --quick              10,000 rows, some seconds
  scripts/harden bench rows                      100,000 rows, under a minute
  scripts/harden bench rows --rows 1000000 --json rows.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} rows in place of {ROWS:,}")
    parser.add_argument("--rows", type=number_of("rows", 1000, 100_000_000), metavar="N",
                        help=f"rows of the table (default: {ROWS:,})")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--check", action="store_true", help="exit 1 when an after is not the faster one")


def run(options: argparse.Namespace) -> int:
    """Measure, print, write; returns the exit code."""
    refuse_missing_folders(options.json)
    progress = Progress()
    listener = Listener()
    rows = options.rows or (QUICK if options.quick else ROWS)
    page = PAGE.read_text(encoding="utf-8")
    with Stack(progress) as stack:
        cluster = stack.postgres({"shared_buffers": "512MB", "random_page_cost": "1.1"})
        cluster.create_role("shop")
        cluster.create_database("shop", "shop")
        progress(f"{rows:,} orders")
        fill(cluster.dsn("shop", "shop"), page, rows)
        measured = [timed(cluster.dsn("shop", "shop"), pair, progress) for pair in pairs(page)]
        machine = describe_machine(stack.binaries.postgres_version)
    result = {"rows": rows, "recipes": measured, "machine": machine, "noise": listener.heard().verdict()}
    slower = [each["title"] for each in measured if each["after_ms"] >= each["before_ms"]]
    bars = [Bar("every after is the faster one", ", ".join(slower) or "all are", not slower)]
    print("\n".join([*_table(result), *judged(bars)]))
    write(options.json, json.dumps(result, indent=1) + "\n", progress)
    return int(options.check and not all(bar.holds for bar in bars))


def fill(dsn: str, page: str, rows: int) -> None:
    """Make the page's table with so many rows."""
    with psycopg2.connect(dsn) as conn, conn.cursor() as cursor:
        cursor.execute(schema(page))
        cursor.execute(FILL, (rows,))
    conn.autocommit = True
    with conn.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE orders")
    conn.close()


def timed(dsn: str, pair: Pair, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run both sides in turn and return their medians.

    Returns:
        title, before_ms and after_ms; a round is one call of each, and the first one is not counted.
    """
    progress(pair.title)
    seconds: dict[str, list[float]] = {"before": [], "after": []}
    conn = psycopg2.connect(dsn, cursor_factory=psycopg2.extras.RealDictCursor)
    conn.autocommit = True
    try:
        for _ in range(ROUNDS + 1):
            for name, side in (("before", pair.before), ("after", pair.after)):
                start = time.perf_counter()
                side(conn)
                seconds[name].append(time.perf_counter() - start)
    finally:
        conn.close()
    return {"title": pair.title, **{f"{name}_ms": median(all_[1:]) * 1000 for name, all_ in seconds.items()}}


def _table(result: dict[str, Any]) -> list[str]:
    lines = [
        machine_line(result["machine"]), result["noise"], "",
        f"{result['rows']:,} rows".ljust(56) + "before       after    times",
    ]  # fmt: skip
    for each in result["recipes"]:
        times = each["before_ms"] / each["after_ms"]
        lines.append(f"{each['title']:<52}{each['before_ms']:>7.1f} ms {each['after_ms']:>8.2f} ms {times:>7,.0f}")
    return [*lines, ""]
