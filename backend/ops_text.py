"""The ops page for those without JavaScript: a few numbers in the page itself, and all that matters as plain text.

The text is sent as text/plain, so nothing in it can be HTML. If this is wrong, a browser without JavaScript shows
nothing; the page with it does not use this.
"""

from __future__ import annotations

import json
from typing import Any

MOST_ROWS = 20
Row = dict[str, Any]


def summary(body: bytes) -> bytes:
    """Return the service's numbers as a list in HTML; numbers and our own words alone.

    Args:
        body: the data as JSON.
    """
    service = json.loads(body)["service"]
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in _numbers(service))
    return f"<dl>{items}</dl>".encode()


def _numbers(service: Row) -> list[tuple[str, str]]:
    return [
        ("Workers", f"{service['workers']:d}"),
        ("Requests", f"{service['requests']:,d}"),
        ("Errors", f"{service['errors']:,d}"),
        ("In flight", f"{service['in_flight']:d}"),
        ("95 % answered within", _milliseconds(service["p95"])),
        ("Connections in use", f"{service['used']:d} of {service['maxconn']:d}"),
        ("Callers waiting", f"{service['waiting']:d}"),
        ("N+1 reports", f"{service['repeats']:,d}"),
        ("Slow queries", f"{service['slow']:,d}"),
    ]


def as_text(body: bytes) -> bytes:
    """Return the data as text for people.

    Args:
        body: the data as JSON.
    """
    data = json.loads(body)
    lines = [*([data["note"], ""] if data["note"] else [])]
    lines += [f"{name:<24}{value:>16}" for name, value in _numbers(data["service"])]
    lines += _section("Queries, most time first", [_query(row) for row in data["queries"][:MOST_ROWS]])
    lines += _section("N+1", [_incident(row) for row in data["incidents"][:MOST_ROWS]])
    lines += _section("Slow queries", [_slow(row) for row in data["slow"][:MOST_ROWS]])
    lines += _section("Requests by route", [_route(row) for row in data["routes"][:MOST_ROWS]])
    lines += _section("Workers", [_worker(row) for row in data["workers"]])
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines or ["none so far"])]


def _query(row: Row) -> str:
    times = f"{row['count']:,d} x {_milliseconds(row['mean'])}, slowest {_milliseconds(row['slowest'])}"
    return f"{times}  {row['site']}  {row['text'][:160]}"


def _incident(row: Row) -> str:
    first = row["lines"][0]["site"] if row["lines"] else ""
    return f"{row['count']:,d} queries in {row['route']}, {row['times']:,d} times  {first}  {row['advice']}"


def _slow(row: Row) -> str:
    return f"{row['times']:,d} times, slowest {_milliseconds(row['slowest'])}  {row['site']}  {row['text'][:160]}"


def _route(row: Row) -> str:
    figures = f"{row['count']:,d} x {_milliseconds(row['mean'])}, {row['queries_per_request']:.1f} queries each"
    return f"{figures}, {row['errors']:,d} errors  {row['method']} {row['route']}"


def _worker(row: Row) -> str:
    return (
        f"{row['pid']:d}: {row['requests']:,d} requests, {row['in_flight']:d} in flight, "
        f"{row['rss_bytes'] / 1048576:.0f} MiB, {row['threads']:d} threads, {row['health']}"
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"
