"""How a pool behaves, beyond its size. Immutable; nothing here connects."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import SettingsError
from .reset import MODES


@dataclass(frozen=True)
class PoolOptions:
    """Options of a `ThreadedConnectionPool`. All times in seconds.

    Attributes:
        timeout: how long `getconn` waits for a free connection before PoolTimeout.
        max_waiting: with this many callers waiting, the next is refused at once; 0 is no limit.
        max_lifetime: a connection is replaced at this age, less up to 10 % at random so that they do not
            all expire together; 0 keeps it for ever.
        max_idle: connections above minconn that were idle for longer are closed; 0 keeps them.
        pre_ping_after: a connection idle for longer is pinged by a query at checkout. The socket is looked
            at every time in any case, which costs no round trip.
        leak_after: a lease held for longer is logged once, with the stack that took it; 0 is off.
        reset: what a returned connection is cleared of: "rollback", "reset" or "pgbouncer" (see reset.py).
        nested_overflow: connections beyond maxconn that may be opened for threads that hold one already,
            so that nested helpers do not wait for themselves.
        connect_timeout: libpq's connect_timeout where the DSN sets none; 0 leaves libpq's "for ever".
        statement_timeout_ms: statement_timeout set when connecting; 0 leaves the role's own. Not for
            PgBouncer, which refuses startup options.

    Raises:
        SettingsError: a value is out of range.
    """

    timeout: float = 10.0
    max_waiting: int = 0
    max_lifetime: float = 1800.0
    max_idle: float = 600.0
    pre_ping_after: float = 30.0
    leak_after: float = 0.0
    reset: str = "rollback"
    nested_overflow: int = 0
    connect_timeout: int = 5
    statement_timeout_ms: int = 0

    def __post_init__(self) -> None:
        problems = [
            f"PoolOptions.{name}={value!r} is not a number of at least 0"
            for name, value in vars(self).items()
            if name != "reset" and not _is_count(value)
        ]
        if self.reset not in MODES:
            problems.append(f"PoolOptions.reset={self.reset!r} is not one of {', '.join(MODES)}")
        if problems:
            raise SettingsError(problems)


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
