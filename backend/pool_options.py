"""How a pool behaves, beyond its size. Immutable; nothing here connects."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from .errors import SettingsError
from .reset import MODES
from .statements import POLICIES

Hook = Callable[[Any], object]


@dataclass(frozen=True)
class PoolOptions:
    """Options of a `ThreadedConnectionPool`. All times in seconds; docs/pool.md weighs each.

    Attributes:
        timeout: how long `getconn` waits for a free connection before PoolTimeout.
        max_waiting: with this many callers waiting, the next is refused at once; 0 is no limit.
        max_lifetime: a connection is replaced at this age, less up to 10 % at random so that they do not
            all expire together; 0 keeps it for ever.
        max_idle: connections above minconn that were idle for longer are closed; 0 keeps them.
        pre_ping_after: a connection idle for longer is pinged by a query at checkout. The socket is looked
            at in any case, which costs no round trip, unless it was in use within the last millisecond.
        leak_after: a lease held for longer is logged once, with the stack that took it, and again when it
            comes back; 0 is off.
        held_idle_after: a lease held for longer while no query runs on it is logged once, with what its
            thread is doing at that moment; 0 is off.
        reset: what a returned connection is cleared of: "rollback", "reset", "watch" or "pgbouncer" (see
            reset.py).
        session_state: in mode "pgbouncer", what to do with a statement that changes the session, which there
            is shared with others: "refuse" it, "report" it to the log, or "allow" it.
        kept_plans: statements of nested queries (`one`, `many`) kept prepared per connection, the ones used
            last; only in mode "rollback", where the session is the pool's own; 0 is none.
        nested_overflow: connections beyond maxconn that may be opened for threads that hold one already,
            so that nested helpers do not wait for themselves.
        connect_timeout: libpq's connect_timeout where the DSN sets none; 0 leaves libpq's "for ever".
        peer_timeout: a server that vanished without a word (power cut, NAT) is noticed within this time, by
            TCP keepalives and tcp_user_timeout where the DSN sets none of them; 0 leaves the system's two hours.
        statement_timeout_ms: statement_timeout set when connecting; 0 leaves the role's own. Not for
            PgBouncer, which refuses startup options.
        reconnect_timeout: when connecting has failed for so long, and each time that passes again,
            `on_reconnect_failed` is called; 0 is never.
        on_reconnect_failed: called with the pool, from its background thread.
        configure: called with each new connection before its first lease; it must leave no transaction open.
            In the modes "reset" and "watch" again after each return, for DISCARD ALL undoes what it set by SQL.
        on_return: called with each connection as it comes back, after the reset; when it raises, or leaves a
            transaction open, the connection is closed. What it sets is there for the next lease.
        clock: monotonic seconds; tests set another.

    Raises:
        SettingsError: a value is out of range.
    """

    timeout: float = 10.0
    max_waiting: int = 0
    max_lifetime: float = 1800.0
    max_idle: float = 600.0
    pre_ping_after: float = 30.0
    leak_after: float = 0.0
    held_idle_after: float = 0.0
    reset: str = "rollback"
    session_state: str = "refuse"
    kept_plans: int = 50
    nested_overflow: int = 0
    connect_timeout: int = 5
    peer_timeout: float = 30.0
    statement_timeout_ms: int = 0
    reconnect_timeout: float = 60.0
    on_reconnect_failed: Hook | None = None
    configure: Hook | None = None
    on_return: Hook | None = None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        problems = []
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, (int, float)) and not _is_count(value):
                problems.append(f"PoolOptions.{field.name}={value!r} is not a number of at least 0")
            elif field.name in CHOICES and value not in CHOICES[field.name]:
                choices = ", ".join(CHOICES[field.name])
                problems.append(f"PoolOptions.{field.name}={value!r} is not one of {choices}")
            elif field.name in HOOKS and value is not None and not callable(value):
                problems.append(f"PoolOptions.{field.name}={value!r} cannot be called")
        if problems:
            raise SettingsError(problems)


CHOICES = {"reset": MODES, "session_state": POLICIES}
HOOKS = ("on_reconnect_failed", "configure", "on_return", "clock")


def checked_sizes(minconn: int, maxconn: int) -> tuple[int, int]:
    """Return a pool's sizes as numbers.

    Raises:
        SettingsError: minconn is above maxconn, or one is out of range.
    """
    low, high = int(minconn), int(maxconn)
    if low < 0 or high < 1 or low > high:
        raise SettingsError([f"a pool needs 0 <= minconn <= maxconn and maxconn >= 1, not {low} and {high}"])
    return low, high


def _is_count(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
