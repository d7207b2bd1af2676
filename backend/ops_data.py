"""What one worker shows of itself on the ops page: plain data of bounded size, figures, never values or secrets.

Reads what others have counted, and asks the database nothing. Knows neither Flask nor files.
If this is wrong, the ops page is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from . import explain, health, request_end, system_metrics
from .ops_merge import VERSION
from .ops_seen import seen
from .query_table import QueryStats, query_table

MOST_BYTES = 1_000_000  # of a snapshot as JSON
MOST_QUERIES, MOST_TEXT, MOST_PLAN, MOST_HOLDERS = 200, 1000, 8000, 50
Row = dict[str, Any]


def in_flight() -> Row:
    """Return how many requests this worker is serving, and the seconds that the oldest has taken so far."""
    started = list(request_end.in_flight.values())
    oldest = time.perf_counter() - min(started) if started else 0.0
    return {"in_flight": len(started), "oldest_request": oldest}


def snapshot(worker: str) -> Row:
    """Return this process's figures of this moment.

    Args:
        worker: what it is called among its like.
    """
    request_end.flush()
    system = system_metrics.snapshot()
    pools = health.pool_figures()["pools"]
    return {
        "version": VERSION, "worker": worker, "pid": system["pid"], "when": time.time(), "started": seen.started,
        "counts": _counts(system), "gauges": _gauges(system, pools), "series": seen.series(),
        "pools": [_pool(pool) for pool in pools], "routes": seen.routes(), "queries": _queries(),
        "incidents": seen.incidents(), "slow": _slow(),
    }  # fmt: skip


def encoded(data: Row) -> bytes:
    """Return a snapshot as JSON below MOST_BYTES: what is too much is left out, the least important first."""
    body = json.dumps(data, separators=(",", ":")).encode()
    while len(body) > MOST_BYTES:
        lists = {name: data[name] for name in ("queries", "incidents", "slow", "routes", "pools")}
        data = {**data, **{name: rows[: len(rows) // 2] for name, rows in lists.items()}}
        body = json.dumps(data, separators=(",", ":")).encode()
    return body


def _counts(system: Row) -> Row:
    routes = seen.routes()
    added = ("errors", "queries", "seconds", "query_seconds")
    sums = {name: sum(route[name] for route in routes) for name in added}
    requests = sum(route["count"] for route in routes)
    return {"requests": requests, **sums, **seen.reported, "cpu_seconds": system["cpu_seconds"]}


def _gauges(system: Row, pools: list[Row]) -> Row:
    outage = max((pool.get("outage", 0.0) for pool in pools), default=0.0)
    return {
        **in_flight(), "uptime": system["uptime"], "rss_bytes": system["rss_bytes"],
        "threads": system["threads"], "open_files": system["open_files"],
        **{name: sum(pool.get(name, 0) for pool in pools) for name in ("used", "idle", "maxconn", "waiting")},
        "health": f"no database for {outage:.0f} s" if outage else "ok",
    }  # fmt: skip


def _pool(pool: Row) -> Row:
    """Return a pool's figures, with not too many of those who hold and wait."""
    lists = {name: value[:MOST_HOLDERS] for name, value in pool.items() if isinstance(value, list)}
    return {"holders": [], "waiters": [], **pool, **lists}


def _queries() -> list[Row]:
    with query_table.lock:
        rows = list(query_table.rows.values())
    # Their fields are read while requests add to them: a row may be one request ahead of itself, and nobody waits.
    return [_query(row) for row in chosen(rows, MOST_QUERIES)]


def chosen(rows: Iterable[QueryStats], most: int) -> list[QueryStats]:
    """Return the rows that somebody looks for: half by time, the others by slowest, most repeated and errors."""
    shares = {"seconds": most // 2, "slowest": most // 5, "most_per_request": most // 5, "errors": most // 10}
    kept: dict[int, QueryStats] = {}
    rows = list(rows)
    for by, share in shares.items():
        for row in sorted(rows, key=lambda row: getattr(row, by), reverse=True)[:share]:
            kept[id(row)] = row
    return sorted(kept.values(), key=lambda row: row.seconds, reverse=True)


def _query(row: QueryStats) -> Row:
    statement = row.statement
    return {
        "id": statement.id, "text": statement.text[:MOST_TEXT], "summary": statement.summary,
        "kind": statement.kind, "site": row.site, "count": row.count, "seconds": row.seconds,
        "slowest": row.slowest, "rows": row.rows, "errors": row.errors, "requests": row.requests,
        "most_per_request": row.most_per_request, "route": row.route,
    }  # fmt: skip


def _slow() -> list[Row]:
    plans = explain.plans()
    return [
        {
            **row, "text": row["text"][:MOST_TEXT],
            "plan": str(plans.get(row["id"], {}).get("text", ""))[:MOST_PLAN],
            "plan_when": float(plans.get(row["id"], {}).get("when", 0.0)),
        }
        for row in seen.slow()
    ]  # fmt: skip
