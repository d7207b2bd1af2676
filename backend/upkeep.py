"""What a pool needs between its callers' visits: shrinking, filling, reports, figures.

Called by the housekeeper's thread, and by the pool where a person asks for it. Works on a pool's slots and
opener; holds no lock while it connects or closes. If this is wrong, a pool keeps what it does not need, or
lets go of what it needs next.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import psycopg2

from .holders import report_leaks, report_stalls
from .record import Record

log = logging.getLogger(__name__)
LONGEST_PAUSE, SHORTEST_PAUSE = 30.0, 0.05


def pause(pool: Any) -> float:
    """Return in how many seconds the pool needs the housekeeper again."""
    options, outage = pool.options, pool._slots.outage
    spans = [options.leak_after / 4, options.held_idle_after / 4, options.max_idle / 4, options.max_lifetime / 4]
    if outage.failures:
        spans.append(options.reconnect_timeout / 4)
    due = min((span for span in spans if span > 0.0), default=LONGEST_PAUSE)
    if pool._slots.size < pool.minconn or pool._slots.queue:
        due = min(due, outage.next_try - pool._clock() if outage.failures else 0.0)
    return max(SHORTEST_PAUSE, min(due, LONGEST_PAUSE))


def housekeep(pool: Any) -> float | None:
    """Do what is due; returns when to come again, None for a pool that is closed."""
    if pool.closed:
        return None
    pool._close_surplus()
    for conn, reason in pool._slots.take_due(lambda record: _reason(pool, record)):
        pool._discard_taken(conn, reason)
    fill(pool, raises=False)
    _report(pool)
    return pause(pool)


def _reason(pool: Any, record: Record) -> str:
    """Say why an idle connection is to be closed; "" when it is not."""
    now, limit = pool._clock(), pool.options.max_idle
    if now >= record.expires:
        return "max_lifetime"
    is_spare = len(pool._slots.records) > pool.minconn
    return "max_idle" if limit and is_spare and now - record.returned > limit else ""


def fill(pool: Any, *, raises: bool) -> None:
    """Open connections until there are minconn, one after the other: a server is not stormed.

    Raises:
        psycopg2.Error: connecting failed; only when it is to be raised.
    """
    while _reserved(pool, presses=raises):
        was_out = pool._slots.outage.failures
        try:
            conn, waiter = pool._open()
        except psycopg2.Error as error:
            if raises:
                raise
            if not was_out:
                log.warning("cannot connect; trying again in the background: %s", " ".join(str(error).split()))
            return
        if conn is None:
            if waiter is not None:
                pool._withdraw(waiter)
            if raises:
                pool._slots.raise_if_unreachable()
            return
        conn._record.fit_until = pool._clock() + pool._trusted_for
        pool._idle.append(conn)
        pool._close_surplus()


def _reserved(pool: Any, *, presses: bool) -> bool:
    while not pool._slots.reserve(presses=presses):
        if not presses or not pool._slots.is_probing():
            return False
        time.sleep(0.01)  # an outage allows one attempt at a time, and somebody else's is under way
    return True


def _report(pool: Any) -> None:
    options, slots, now = pool.options, pool._slots, pool._clock()
    if options.leak_after:
        report_leaks(slots.leases(), options.leak_after, now)
    if options.held_idle_after:
        report_stalls(slots.leases(), options.held_idle_after, now)
    with slots.lock:
        is_due = slots.outage.is_due_for_report(options.reconnect_timeout, now)
        since, failures, cause = slots.outage.since, slots.outage.failures, slots.outage.cause
    if is_due:
        text = "connecting has failed for %.0f s, %d times: %s"
        log.error(text, now - since, failures, " ".join(str(cause).split()))
        if options.on_reconnect_failed is not None:
            options.on_reconnect_failed(pool)


def wait_for_returns(pool: Any, timeout: float) -> None:
    """Wait until nothing is leased any more, at most `timeout` seconds."""
    # Not by the pool's clock: this is how long a process may take to end, whatever happens to that clock.
    deadline, nobody = time.monotonic() + timeout, threading.Event()
    while pool._leased and time.monotonic() < deadline:
        nobody.wait(0.01)


def figures(pool: Any) -> dict[str, Any]:
    """Return a pool's figures; see docs/pool.md for each. Reports what is due as well."""
    _report(pool)
    slots = pool._slots
    with slots.lock:
        slots._reap()
        records, leases = list(slots.records), slots.leases()
        counts, now = slots.counts, pool._clock()
        return {
            "minconn": slots.minconn, "maxconn": slots.maxconn, "size": slots.size,
            "idle": len(slots.idle), "used": len(leases), "waiting": len(slots.queue),
            "connecting": slots.connecting, "suspended": slots.suspended, "pgbouncer": pool._opener.is_bounced,
            "leased": slots.past_leases + sum(record.number for record in records),
            "waited": slots.queue.waited, "wait_time": slots.queue.wait_time, "timeouts": counts["timeouts"],
            "refused": counts["refused"], "nested": counts["nested"],
            "use_time": slots.past_use + sum(record.use_time for record in records),
            "opened": counts["opened"], "create_time": pool._opener.create_time,
            "connect_failures": counts["connect_failures"],
            "outage": now - slots.outage.since if slots.outage.failures else 0.0,
            "closed": counts["closed"], "closed_for": dict(slots.reasons), "dropped": counts["dropped"],
            "longest_lease": now - leases[0].since if leases else 0.0,
        }  # fmt: skip
