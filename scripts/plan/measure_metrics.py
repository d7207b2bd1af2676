"""Demands from production: the app's own /metrics as Prometheus text, and pg_stat_statements over a DSN.

Two pages, before and after, count what lies between; one page counts since the service began, its start included.
Processor time of the app is per request of the whole mix; time in queries is a route's own. What is in no page is
asked for, never taken for nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from urllib.request import urlopen

import psycopg2
from prometheus_client.parser import text_string_to_metric_families

from ..capacity.calibrated import Calibrated
from ..capacity.demands import Demands, TaskDemand
from ..database import first_line, open_database, shown_dsn
from ..errors import CommandError
from ..load import Think
from ..load.scenario_file import parse_think

REQUEST = "harden_request_duration_seconds"
LEAST = 300  # requests
TIMEOUT = 10.0
POINTS = 50
STATEMENTS = """
SELECT coalesce(sum(total_exec_time), 0) / 1000, coalesce(sum(calls), 0)
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

Samples = Mapping[tuple[str, str, str], float]  # and `le` of a bucket


def from_metrics(
    pages: Sequence[str], dsn: str, database_seconds: float | None, think: str | None
) -> tuple[Calibrated, list[str]]:
    """Return demands and what is to be said about them.

    Args:
        pages: one or two files or addresses.
        dsn: of the database, for pg_stat_statements; "" for none.
        database_seconds: processor time of PostgreSQL per request, where it is known.
        think: as in a scenario.

    Raises:
        CommandError: a page cannot be read, has too few requests, or something is missing.
    """
    if not think:
        raise CommandError("how long people think is in no metric; give --think, such as 'exp 10s'")
    counted = _between(pages)
    counts = {route: count for (name, route, _), count in counted.items() if name == f"{REQUEST}_count"}
    routes = {route: count for route, count in counts.items() if count > 0}
    requests = sum(routes.values())
    if requests < LEAST:
        raise CommandError(f"{requests:.0f} requests in {pages[-1]} are too few ({LEAST} are needed); wait longer")
    app = _total(counted, "harden_cpu_seconds_total") / requests
    if app <= 0:
        raise CommandError(f"{pages[-1]} has no harden_cpu_seconds_total, so the app's processor time is missing")
    database, said = _database(dsn, database_seconds, counted, requests)
    latency = _total(counted, f"{REQUEST}_sum") / requests
    tasks = [_task(counted, route, count / requests, app, database, latency) for route, count in routes.items()]
    parsed = _think(think)
    spread = {"uniform": (parsed.low, parsed.high), "constant": (parsed.low, parsed.low)}.get(parsed.kind)
    demands = Demands(tasks, parsed.mean, spread)
    lines = [f"{requests:,.0f} requests of {len(routes)} routes, mean {latency * 1000:.1f} ms"]
    lines += [f"a request needs, in ms of CPU: app {app * 1000:.2f}, PostgreSQL {database * 1000:.2f}", *said,
              "latencies of production have its own waiting in them: predictions err on the slow side",
              "PgBouncer's own processor time is in no metric and not in the model"]  # fmt: skip
    return Calibrated(demands), lines


def _task(
    counted: Samples, route: str, share: float, app: float, database: float, mean_latency: float
) -> TaskDemand:
    count = _total(counted, f"{REQUEST}_count", route)
    latency = _total(counted, f"{REQUEST}_sum", route) / count
    size = latency / mean_latency
    asked = _total(counted, "harden_request_queries_count", route)
    queries = _total(counted, "harden_request_queries_sum", route) / asked if asked else 1.0
    inside = min(app * size, max(latency - database * size, 0.0))
    return TaskDemand(
        route, share, app=inside, database=database * size, queries=queries, after=app * size - inside,
        wait=max(latency - inside - database * size, 0.0), shape=_shape(counted, route, latency),
    )  # fmt: skip


def _shape(counted: Samples, route: str, mean: float) -> Sequence[float]:
    """Return quantiles over their mean from a histogram's buckets, linear within each."""
    sums: dict[float, float] = defaultdict(float)
    for (name, of, edge), count in counted.items():
        if name == f"{REQUEST}_bucket" and of == route and edge != "+Inf":
            sums[float(edge)] += count
    steps = sorted(sums.items())
    total = _total(counted, f"{REQUEST}_count", route)
    points = [(0.0, 0.0), *((count / total, edge) for edge, count in steps)]
    if points[-1][0] < 1.0:  # beyond the last bucket: nothing is known but that it is longer
        points.append((1.0, 2 * points[-1][1]))
    found = [_quantile(points, n / POINTS) for n in range(POINTS + 1)]
    middle = (sum(found) - (found[0] + found[-1]) / 2) / POINTS
    return [value / middle for value in found] if middle > 0 else (1.0,)


def _quantile(points: Sequence[tuple[float, float]], share: float) -> float:
    for (low, first), (high, second) in pairwise(points):
        if share <= high and high > low:
            return first + (second - first) * (share - low) / (high - low)
    return points[-1][1]


def _database(
    dsn: str, given: float | None, counted: Samples, requests: float
) -> tuple[float, list[str]]:
    if given is not None:
        return given, []
    if not dsn:
        raise CommandError(
            "PostgreSQL's time per request is missing: give --dsn of a server with pg_stat_statements, or "
            "--database-ms"
        )
    seconds, calls = _statements(dsn)
    queries = _total(counted, "harden_request_queries_sum") / requests
    if not calls or not queries:
        raise CommandError("pg_stat_statements or harden_request_queries has counted nothing; wait for traffic")
    note = "PostgreSQL's time is the execution time of pg_stat_statements: waits for disk and locks are in it"
    return seconds / calls * queries, [note]


def _statements(dsn: str) -> tuple[float, float]:
    with closing(open_database(dsn, "harden plan")) as conn, conn.cursor() as cursor:
        try:
            cursor.execute(STATEMENTS)
        except psycopg2.Error as error:
            raise CommandError(
                f"pg_stat_statements of {shown_dsn(dsn)} cannot be read: {first_line(error, dsn)}; "
                "CREATE EXTENSION pg_stat_statements, or give --database-ms"
            ) from None
        [(seconds, calls)] = cursor.fetchall()
        return float(seconds), float(calls)


def _between(pages: Sequence[str]) -> Samples:
    if len(pages) > 2:
        raise CommandError(f"{len(pages)} pages of metrics are too many; give one, or one before and one after")
    read = [_samples(page) for page in pages]
    if len(read) == 1:
        return read[0]
    found = {key: value - read[0].get(key, 0.0) for key, value in read[1].items()}
    if any(value < 0 for key, value in found.items() if key[0].endswith(("_count", "_total"))):
        raise CommandError(f"counters of {pages[1]} are below those of {pages[0]}: the service began anew between")
    return found


def _samples(page: str) -> Samples:
    found: dict[tuple[str, str, str], float] = defaultdict(float)
    try:
        for family in text_string_to_metric_families(_text(page)):
            for sample in family.samples:
                key = (sample.name, sample.labels.get("route", ""), sample.labels.get("le", ""))
                found[key] += sample.value
    except ValueError as error:
        raise CommandError(f"{page} is no Prometheus text: {error}") from None
    return found


def _text(page: str) -> str:
    try:
        if page.startswith(("http://", "https://")):
            with urlopen(page, timeout=TIMEOUT) as answer:
                return str(answer.read().decode())
        return Path(page).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {page}: {getattr(error, 'strerror', None) or error}") from None


def _total(counted: Samples, name: str, route: str | None = None) -> float:
    return sum(value for (of, where, _), value in counted.items() if of == name and route in (None, where))


def _think(text: str) -> Think:
    try:
        return parse_think(text)
    except ValueError as error:
        raise CommandError(f"--think: {error}") from None
