"""Who holds the connections of a pool, since when, from where, and what they are doing: for people to read.

Taking this down costs nothing while all is well: what a thread is doing is looked up in the moment that
somebody asks, and where it took the connection is only known when `leak_after` has it written down.
Knows nothing of pools. If this is wrong, an exhausted pool is blamed on the wrong line.
"""

from __future__ import annotations

import logging
from typing import Any

from psycopg2.extensions import (
    TRANSACTION_STATUS_ACTIVE,
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INERROR,
    TRANSACTION_STATUS_INTRANS,
    connection,
)

from .record import Record
from .site import site_of, site_text, thread_name

log = logging.getLogger(__name__)
STATES = {
    TRANSACTION_STATUS_ACTIVE: "running a query",
    TRANSACTION_STATUS_IDLE: "idle",
    TRANSACTION_STATUS_INTRANS: "idle in a transaction",
    TRANSACTION_STATUS_INERROR: "idle in a failed transaction",
}
SHOWN = 3  # in a message of one line; the error's `holders` has all


def holders(leases: list[Record], now: float) -> list[dict[str, Any]]:
    """Describe leases.

    Args:
        leases: the oldest first.
        now: by the pool's clock.
    """
    return [
        {
            "thread": thread_name(record.thread),
            "seconds": now - record.since,
            "state": state(record),
            "taken_at": site_text(record.site),
            "now_at": site_text(site_of(record.thread)),
        }
        for record in leases
    ]


def waiters(waiting: list[tuple[int, float]], now: float) -> list[dict[str, Any]]:
    """Describe callers that wait for a connection.

    Args:
        waiting: thread and when it began to wait, the next to be served first.
        now: by the pool's clock.
    """
    return [
        {
            "thread": thread_name(thread),
            "seconds": max(0.0, now - since),
            "now_at": site_text(site_of(thread)),
        }
        for thread, since in waiting
    ]


def state(record: Record) -> str:
    """Say what a leased connection is doing."""
    conn: Any = record.connection()
    if conn is None or connection.closed.__get__(conn):
        return "closed"
    if conn.isexecuting():
        return STATES[TRANSACTION_STATUS_ACTIVE]
    return STATES.get(connection.get_transaction_status(conn), "broken")


def exhausted(what: str, figures: dict[str, Any], held: list[dict[str, Any]], cause: BaseException | None) -> str:
    """Return an exhausted pool's message in one line: what happened, the numbers, who, the next step."""
    numbers = "(used={used} idle={idle} waiting={waiting} max={maxconn}, longest lease {longest_lease:.1f} s)"
    parts = [f"{what} {numbers.format(**figures)}"]
    if cause is not None:
        parts.append(f"connecting fails: {' '.join(str(cause).split())}")
    if held:
        who = "; ".join(_who(each) for each in held[:SHOWN])
        more = f"; and {len(held) - SHOWN} more" if len(held) > SHOWN else ""
        parts.append(f"held by {who}{more}")
    parts.append("shorten what holds them, see /health/database/pool; raise DB_POOL_MAX last")
    return "; ".join(parts)


def _who(holder: dict[str, Any]) -> str:
    place = holder["taken_at"] or holder["now_at"]
    verb = "taken at" if holder["taken_at"] else "now at"
    innermost = " < ".join(place.split(" < ")[:2])
    return f"{holder['thread']} for {holder['seconds']:.1f} s ({holder['state']}, {verb} {innermost})"


def report_leaks(leases: list[Record], after: float, now: float) -> None:
    """Log each lease held for longer than `after` seconds, once."""
    for record in leases:
        held = now - record.since
        if held <= after:
            return
        if not record.leak_reported and record.leased:
            record.leak_reported = True
            log.warning("connection held for %.1f s; taken at %s", held, site_text(record.site))


def report_stalls(leases: list[Record], after: float, now: float) -> None:
    """Log each lease held for longer than `after` seconds on which no query runs, once, with what keeps it."""
    for record in leases:
        held = now - record.since
        if held <= after:
            return
        if record.stall_reported or not record.leased:
            continue
        doing = state(record)
        if doing != STATES[TRANSACTION_STATUS_ACTIVE]:
            record.stall_reported = True
            log.warning(
                "connection held for %.1f s, %s, while %s is at %s: do what is slow before it is taken, or after "
                "it was given back",
                held, doing, thread_name(record.thread), site_text(site_of(record.thread)),
            )  # fmt: skip


def report_return(held: float) -> None:
    """Say that a lease reported as held too long came back after all, after so many seconds."""
    log.warning("connection given back after all, after %.1f s", held)
