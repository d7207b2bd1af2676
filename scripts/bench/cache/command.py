"""`harden bench cache`: what a hit saves, and whether the cache and the one-time secrets keep their word."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend import PostgresSecrets, ThreadedConnectionPool

from ...arguments import number_of
from ...demo.report.machine import describe_machine
from ...errors import CommandError
from ...progress import Progress
from ...stack import Stack
from ...stack.postgres import Cluster
from ...stack.redis import Redis
from ..noise import Listener
from ..output import Bar, judged, machine_line, refuse_missing_folders, write
from ..queries.shop import DATABASE, ROLE, SETTINGS, fill_shop
from .races import race_consumers, race_misses
from .serving import Served, measure_profiles, measure_restart
from .trial import try_memory, try_redis

SUMMARY = "the cache: warm beside cold, stampedes, Redis killed under load, random operations of two tenants"
OPERATIONS, QUICK = 200_000, 20_000
PROFILE_BAR = 3.0  # times lower, of p50
EXAMPLES = """\
examples:
  scripts/harden bench cache --quick                   under a minute and a half
  scripts/harden bench cache --json cache.json         three minutes
  scripts/harden bench cache --operations 2000000      two million random operations; some minutes more
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("--quick", action="store_true", help=f"shorter rounds, {QUICK:,} random operations")
    parser.add_argument("--operations", type=number_of("operations", 1000, 100_000_000), metavar="N",
                        help=f"random operations, half of them in Redis (default: {OPERATIONS:,})")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar does not hold")


def run(options: argparse.Namespace) -> int:
    """Measure, print, write; returns the exit code."""
    refuse_missing_folders(options.json)
    progress, listener = Progress(), Listener()
    operations = options.operations or (QUICK if options.quick else OPERATIONS)
    with Stack(progress) as stack:
        cluster = stack.postgres({**SETTINGS, "log_connections": "on", "fsync": "off"})
        server = stack.redis()
        if server is None:
            raise CommandError("there is no redis-server; apt-get install redis-server")
        fill_shop(cluster)
        result = _measured(stack, cluster, server, operations, 1.0 if options.quick else 4.0, progress)
        result["machine"] = describe_machine(stack.binaries.postgres_version)
    result["noise"] = listener.heard().verdict()
    bars = _bars(result)
    print("\n".join([*_table(result), *judged(bars)]))
    write(options.json, json.dumps(result, indent=1) + "\n", progress)
    return int(options.check and not all(bar.holds for bar in bars))


def _measured(
    stack: Stack, cluster: Cluster, server: Redis, operations: int, seconds: float, progress: Callable[[str], None]
) -> dict[str, Any]:
    dsn = cluster.dsn(DATABASE, ROLE)
    profiles = {}
    for place, cache in (("memory", None), ("redis", server)):
        progress(f"profiles behind a token, cache in {place}: cold and warm in turn")
        served = Served(stack, cluster, cache)
        profiles[place] = measure_profiles(served, cluster, seconds)
        if cache is None:
            served.web.stop()
    restart = measure_restart(served, server, 2 * seconds, progress)
    served.web.stop()
    server.empty()
    progress("1,000 callers miss one key on 4 workers")
    loads, answers = race_misses(server.url)
    return {
        "profiles": profiles, "restart": restart, "misses": {"loads": loads, "answers": answers},
        "consumers": _consumers(dsn, server, progress), "trials": _trials(dsn, server, operations, progress),
    }  # fmt: skip


def _consumers(dsn: str, server: Redis, progress: Callable[[str], None]) -> dict[str, list[int]]:
    pool = ThreadedConnectionPool(0, 1, dsn)
    PostgresSecrets(pool).create_table()
    pool.closeall()
    won = {}
    for kind, where in (("postgres", dsn), ("redis", server.url)):
        progress(f"200 consumers race for one secret in {kind}, 20 times")
        won[kind] = race_consumers(kind, where)
    return won


def _trials(dsn: str, server: Redis, operations: int, progress: Callable[[str], None]) -> dict[str, Any]:
    half, told = operations // 2, {}
    for place in ("memory", "redis"):
        progress(f"{half:,} random operations of two tenants, cache in {place}")
        begun = time.monotonic()
        outcome = try_memory(dsn, half) if place == "memory" else try_redis(dsn, server, half, progress=progress)
        told[place] = {**vars(outcome), "seconds": time.monotonic() - begun}
    return told


def _bars(result: dict[str, Any]) -> list[Bar]:
    bars = []
    for place, each in result["profiles"].items():
        times = each["cold_ms"] / each["warm_ms"]
        bars.append(Bar(f"warm p50 at least 3 times lower ({place})", f"{times:.1f} times", times >= PROFILE_BAR))
        asked = each["queries_warm"]
        bars.append(Bar(f"warm, no query ({place})", f"{asked:.3f} a request", asked < 0.01))
    failed, misses = result["restart"]["failed"], result["misses"]
    bars.append(Bar("no request fails while Redis is killed and back", f"{failed} failed", failed == 0))
    is_once = (misses["loads"], misses["answers"]) == (1, 1000)
    told = f"{misses['loads']} time(s), {misses['answers']:,} answers"
    bars.append(Bar("of 1,000 misses at once the loader runs once", told, is_once))
    for kind, won in result["consumers"].items():
        is_one = all(winners == 1 for winners in won)
        bars.append(Bar(f"of 200 consumers exactly one wins ({kind})", f"{sum(won)} in {len(won)} rounds", is_one))
    for place, each in result["trials"].items():
        breaches = each["breaches"]
        told = f"{breaches} of {each['operations']:,}" + "".join(f"; {line}" for line in each["told"])
        bars.append(Bar(f"no answer stale or another tenant's ({place})", told, breaches == 0))
    return bars


def _table(result: dict[str, Any]) -> list[str]:
    head = "profile behind a token, p50".ljust(34) + "cold       warm"
    lines = [machine_line(result["machine"]), result["noise"], "", head]
    for place, each in result["profiles"].items():
        lines.append(
            f"  cache in {place:<20}{each['cold_ms']:>6.2f} ms {each['warm_ms']:>6.2f} ms  "
            f"queries a request {each['queries_cold']:.2f} -> {each['queries_warm']:.3f}"
        )
    restart = result["restart"]
    lines.append(
        f"Redis killed under load: {restart['requests']:,} requests, {restart['failed']} failed, "
        f"p99 {restart['p99_ms']:.0f} ms"
    )
    for place, each in result["trials"].items():
        lines.append(
            f"random operations in {place}: {each['operations']:,} in {each['seconds']:.0f} s, {each['writes']:,} "
            f"writes, {each['rollbacks']:,} rollbacks, {each['loads']:,} loads, {each['restarts']} restarts"
        )
    return lines

