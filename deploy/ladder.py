"""The timeouts of a request as one ladder: each below the next, so that the innermost that can help ends a wait.

Knows the description's `[timeouts]` and no connections. If a rung is wrong, an outer layer gives up first: the
client gets a 502 without a reason, while the thread and the query behind it go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from .description import Description, Timeouts

GRACEFUL_BELOW_WORKER = 5
STOP_ABOVE_GRACEFUL = 10  # two seconds of Gunicorn's linger, its forced end of workers, and a slow machine
POOL_ABOVE_QUEUE = 2


@dataclass(frozen=True)
class Rung:
    """One timeout.

    Attributes:
        name: the key of harden.toml, or what is computed from one.
        seconds: how long.
        reason: why it stands here.
        key: the key of harden.toml that moves it.
        above: seconds that the key's own value is above this rung; 0 for a rung that is a key.
    """

    name: str
    seconds: int
    reason: str
    key: str
    above: int = 0


def graceful(timeouts: Timeouts) -> int:
    """Return the seconds that Gunicorn gives requests in flight."""
    return timeouts.worker - GRACEFUL_BELOW_WORKER


def stop(timeouts: Timeouts) -> int:
    """Return the seconds that systemd gives Gunicorn, which needs some after the last request."""
    return max(graceful(timeouts), 0) + STOP_ABOVE_GRACEFUL


def pool_timeout(description: Description) -> int:
    """Return the seconds that a request waits for a connection of its process's pool.

    A little above the wait inside, so that a caller ahead of it that gives up in the queue hands over in time.
    """
    timeouts = description.timeouts
    inside = timeouts.query_wait if description.pgbouncer.enabled else timeouts.lock
    return min(inside + POOL_ABOVE_QUEUE, timeouts.statement)


def rungs(description: Description) -> tuple[Rung, ...]:
    """Return the ladder from the innermost to the outermost; without PgBouncer it has no queue."""
    return (*_database(description), *_service(description.timeouts))


def _database(description: Description) -> tuple[Rung, ...]:
    timeouts = description.timeouts
    below = (
        _rung("connect", timeouts.connect, "a dead server is noticed before anything else is waited for"),
        _rung("lock", timeouts.lock, "a blocked statement names its lock and fails while others wait"),
    )
    queue = (
        _rung("query_wait", timeouts.query_wait,
              "a caller in PgBouncer's queue outlasts the locks of those before it, not its request"),
    )  # fmt: skip
    above = _rung("statement", timeouts.statement, "the server ends a slow statement, and its connection is free")
    return (*below, *(queue if description.pgbouncer.enabled else ()), above)


def _service(timeouts: Timeouts) -> tuple[Rung, ...]:
    return (
        Rung("graceful", graceful(timeouts), "a stop lets the longest statement finish", "timeouts.worker",
             GRACEFUL_BELOW_WORKER),
        _rung("worker", timeouts.worker, "Gunicorn kills a worker that hangs, but none that is stopping"),
        _rung("proxy", timeouts.proxy, "the front hears the app's own answer, or its worker's end"),
        _rung("client", timeouts.client, "the caller hears the front's answer instead of giving up on it"),
    )  # fmt: skip


def _rung(name: str, seconds: int, reason: str) -> Rung:
    return Rung(f"timeouts.{name}", seconds, reason, f"timeouts.{name}")


def problems(description: Description) -> list[str]:
    """Return a line for each rung that is not below the next, with what to change."""
    ladder = rungs(description)
    return [_problem(lower, upper) for lower, upper in pairwise(ladder) if lower.seconds >= upper.seconds]


def _problem(lower: Rung, upper: Rung) -> str:
    changes = [f"raise {upper.key} to {lower.seconds + 1 + upper.above}"]
    if upper.seconds > 1:
        changes.append(f"lower {lower.key} to {upper.seconds - 1 + lower.above}")
    return f"{_named(lower)} is not below {_named(upper)}: {' or '.join(changes)}"


def _named(rung: Rung) -> str:
    derived = f" ({rung.key} - {rung.above})" if rung.above else ""
    return f"{rung.name} = {rung.seconds} s{derived}"
