"""`harden bench doctor`: the shop without its indexes; doctor and migrate mend it while writes go on."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...demo.report.machine import describe_machine
from ...demo.seed import SIZES, create_schema, seed
from ...errors import CommandError
from ...progress import Progress
from ...stack import Stack
from ...stack.postgres import Cluster
from ..noise import Listener
from ..output import Bar, judged, machine_line, refuse_missing_folders, write
from .workload import Written, timed, writing

SUMMARY = "the slowest statements of the shop without indexes, before and after doctor and migrate"
LAUNCH = [sys.executable, str(Path(__file__).resolve().parents[2] / "launch.py")]
TIMES, LONGEST = 50.0, 1.0  # the bars: how many times faster, and seconds of a write's wait
EXAMPLES = """\
examples:
  scripts/harden bench doctor --quick            5,000 customers, under a minute
  scripts/harden bench doctor                    50,000 customers, two to five minutes
  scripts/harden bench doctor --json doctor.json --check
"""
DROP = """
    SELECT format('DROP INDEX %I.%I', n.nspname, c.relname) AS statement
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND NOT i.indisunique AND c.relname NOT LIKE 'pg_stat%%' ORDER BY 1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("--quick", action="store_true", help="5,000 customers in place of 50,000, and fewer"
    " rounds")
    parser.add_argument("--writers", type=int, default=2, help="threads that write meanwhile (default: 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar is missed")


def run(options: argparse.Namespace) -> int:
    """Measure, print, write; returns the exit code."""
    refuse_missing_folders(options.json)
    progress = Progress()
    listener = Listener()
    size, rounds = ("medium", 5) if options.quick else ("large", 7)
    with Stack(progress) as stack, tempfile.TemporaryDirectory() as folder:
        cluster = stack.postgres({"shared_buffers": "512MB", "random_page_cost": "1.1"})
        _make_shop(cluster, size, progress)
        result = _measured(cluster, Path(folder), rounds, options.writers, progress)
        result["machine"] = describe_machine(stack.binaries.postgres_version)
    result |= {"size": size, "customers": SIZES[size], "noise": listener.heard().verdict()}
    bars = _bars(result)
    print("\n".join([*_table(result), *judged(bars)]))
    write(options.json, json.dumps(result, indent=1) + "\n", progress)
    return int(options.check and not all(bar.holds for bar in bars))


def _make_shop(cluster: Cluster, size: str, progress: Callable[[str], None]) -> None:
    cluster.create_role("shop")
    cluster.create_database("shop", "shop")
    create_schema(cluster.dsn("shop", "shop"))
    seed(cluster.dsn("shop", "shop"), size, progress=progress)
    for row in cluster.execute(DROP, dbname="shop"):
        cluster.execute(row[0], dbname="shop")
    cluster.execute("VACUUM ANALYZE", dbname="shop")


def _measured(cluster: Cluster, folder: Path, rounds: int, writers: int, progress: Any) -> dict[str, Any]:
    dsn = cluster.dsn("shop", "shop")
    before = timed(dsn, rounds, lambda name: progress(f"before: {name}"))
    with writing(dsn, writers) as written:
        advised = _mend(cluster.url("shop", "shop"), folder, progress)
    cluster.execute("ANALYZE", dbname="shop")
    after = timed(dsn, rounds, lambda name: progress(f"after: {name}"))
    return {"before_ms": before, "after_ms": after, "advised": advised, "written": vars(written)}


def _mend(url: str, folder: Path, progress: Callable[[str], None]) -> list[str]:
    """Let doctor look and migrate run, as a person would; return what was run."""
    report, migrations = folder / "doctor.json", folder / "migrations"
    progress("doctor")
    _harden("doctor", "--select", "H50", "--format", "json", "--output", str(report),
            "--fail-on", "never", url=url)  # fmt: skip
    progress("migrate")
    _harden("migrate", "write", "--from", str(report), "--out", str(migrations), url=url)
    _harden("migrate", "run", str(migrations), url=url)
    found = json.loads(report.read_text())["findings"]
    return [statement for each in found if each["change"] for statement in each["change"]["up"]]


def _harden(*arguments: str, url: str) -> None:
    import os

    done = subprocess.run([*LAUNCH, *arguments], capture_output=True, text=True,
                          env={**os.environ, "DATABASE_URL": url})  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise CommandError(f"harden {' '.join(arguments[:2])} ended with {done.returncode}: {last}")


def _bars(result: dict[str, Any]) -> list[Bar]:
    name, times = _slowest(result)
    written = Written(**result["written"])
    failed, longest = len(written.errors), written.longest
    return [
        Bar(f"the slowest statement at least {TIMES:g} times faster", f"{times:,.0f} ({name})", times >= TIMES),
        Bar("no write failed", f"{failed} of {written.commits + failed:,}", not failed),
        Bar(f"no write waited over {LONGEST:g} s", f"{longest:.3f} s the longest", longest <= LONGEST),
    ]


def _slowest(result: dict[str, Any]) -> tuple[str, float]:
    before, after = result["before_ms"], result["after_ms"]
    name = max(before, key=before.__getitem__)
    return name, before[name] / after[name]


def _table(result: dict[str, Any]) -> list[str]:
    before, after = result["before_ms"], result["after_ms"]
    width = max(map(len, before))
    lines = [machine_line(result["machine"]), result["noise"], "",
             f"the shop with {result['customers']:,} customers, median milliseconds", "",
             f"  {'statement':<{width}}  {'before':>10}  {'after':>9}  {'times':>7}"]  # fmt: skip
    for name, slow in sorted(before.items(), key=lambda item: -item[1]):
        lines.append(f"  {name:<{width}}  {slow:>10,.2f}  {after[name]:>9,.2f}  {slow / after[name]:>7,.0f}")
    return [*lines, "", f"{len(result['advised'])} statements run while {result['written']['commits']:,}"
    " writes went on"]
