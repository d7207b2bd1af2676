"""Every error the runtime raises on purpose.

HardenError                    H000  base; never raised itself
├── SettingsError (ValueError) H101  settings that cannot work, all of them listed
├── AppLoadError               H201  the app named by HARDEN_APP cannot be served
├── SQLiteRefused              H202  the app opened a SQLite file where that is refused (sqlite3.OperationalError)
├── NodeError (ValueError)     H301  a nested query that is not well formed
├── SchemaError (LookupError)  H302  a tree of tables that the database's tables and keys do not allow
├── BatchError (ValueError)    H311  ids or rows that cannot be looked up or written together
├── PageError (ValueError)     H321  a page that cannot be: its size or number is out of bounds
│   └── CursorError            H322  a cursor that is not one of this list's
├── StreamError                H331  a stream that cannot be sent as asked
│   └── StreamBusy             H332  as many streams as are allowed are open already
├── SessionStateError          H404  a statement would change a session that others share (NotSupportedError)
├── ParameterError (ValueError) H341  a parameter of a request that cannot be; the message is for the client
├── DecryptError               H351  a value that cannot be decrypted, told by its row and column
├── RepeatsError               H501  a request repeated a query, where that is to fail (AssertionError)
├── QueryCountError            H502  a block sent more queries, or others, than it may (AssertionError)
├── MonitorError               H503  the monitor, metrics or ops page cannot do what was asked
├── CacheError (ValueError)    H601  a cache that is not set up or not asked as it can be
├── TokenRefused               H611  a token that is missing, forged, expired or another's
├── OneTimeRefused             H621  a one-time secret that is unknown, used, expired or another browser's
├── OneTimeUnavailable         H622  the store of one-time secrets does not answer
└── (with psycopg2.pool.PoolError)
    ├── PoolTimeout            H401  no connection became free in time (also an OperationalError)
    ├── PoolTooBusy            H402  `max_waiting` callers wait already (also an OperationalError)
    └── PoolClosed             H403  the pool was closed

Pool errors stay children of `psycopg2.pool.PoolError`, and so of `psycopg2.Error`: an `except` clause
written for psycopg2's own pool goes on catching them. All of them pickle.
Must not import anything of ours. If a class here changes its parents, existing `except` clauses break.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg2
import psycopg2.pool


class HardenError(Exception):
    """An error of ours: a stable code, one line that ends in the next step, its data as attributes."""

    code = "H000"


class SettingsError(HardenError, ValueError):
    """Settings that cannot work.

    Attributes:
        problems: one sentence per problem, all that were found.
    """

    code = "H101"

    def __init__(self, problems: list[str]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(self.problems))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


class AppLoadError(HardenError):
    """The app named by HARDEN_APP cannot be found, fails to import, or is no WSGI application."""

    code = "H201"


class SQLiteRefused(HardenError):
    """The app opened a SQLite file where HARDEN_SQLITE=refuse; `except sqlite3.Error` catches it too."""

    code = "H202"


class NodeError(HardenError, ValueError):
    """A `one` or `many` whose holes, children and names do not fit together."""

    code = "H301"


class SchemaError(HardenError, LookupError):
    """A tree of tables names a table, a column or a key that is not there, or more than one key fits.

    Attributes:
        choices: what could have been meant.
    """

    code = "H302"

    def __init__(self, message: str, choices: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.choices = tuple(choices)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.choices)


class BatchError(HardenError, ValueError):
    """Ids or rows that cannot be looked up or written in one batch."""

    code = "H311"


class PageError(HardenError, ValueError):
    """A page that cannot be served as asked for; the message is written for the client.

    Attributes:
        status: the HTTP status for it.
    """

    code = "H321"
    status = 400


class CursorError(PageError):
    """A cursor that this list did not write: changed, of another list or sort, or no cursor at all."""

    code = "H322"


class StreamError(HardenError):
    """A stream of rows that cannot be sent as asked."""

    code = "H331"


class StreamBusy(StreamError):
    """As many streams as are allowed at a time are open already; this one was refused at once."""

    code = "H332"


class ParameterError(HardenError, ValueError):
    """A parameter that a client sent, or did not; the message is written for the client and repeats no value.

    Attributes:
        status: the HTTP status for it.
    """

    code = "H341"
    status = 400


class DecryptError(HardenError):
    """A value that cannot be decrypted; the message never has the value, nor what the decryption said of it.

    Attributes:
        row: the row's number, from 0; None when a whole batch failed.
        column: the column's name or position; None when a whole batch failed.
    """

    code = "H351"

    def __init__(self, message: str, row: int | None = None, column: str | int | None = None) -> None:
        super().__init__(message)
        self.row, self.column = row, column

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.row, self.column)


class RepeatsError(HardenError, AssertionError):
    """A request ran the same statement again and again, and DB_REPEATS or a test wants that to fail.

    Attributes:
        found: what repeated: `Repeats` records of events.py.
    """

    code = "H501"

    def __init__(self, message: str, found: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.found = tuple(found)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.found)


class QueryCountError(HardenError, AssertionError):
    """A block sent more queries than it may, or fewer.

    Attributes:
        count: how many it sent.
    """

    code = "H502"

    def __init__(self, message: str, count: int = 0) -> None:
        super().__init__(message)
        self.count = count

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.count)


class MonitorError(HardenError):
    """The monitor, the metrics or the ops page cannot do what was asked."""

    code = "H503"


class CacheError(HardenError, ValueError):
    """A cache that is not set up, or not asked, as it can be; never for a Redis that is away."""

    code = "H601"


class TokenRefused(HardenError):
    """A token that is not good; its text repeats nothing of it.

    Attributes:
        reason: "missing", "malformed", "forged", "expired", "revoked" ..., for the log.
    """

    code = "H611"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the token is {reason}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason,)


class OneTimeRefused(HardenError):
    """A one-time secret that is not good (any more); its text never says why, for clients read it.

    Attributes:
        purpose: what it was to be used for.
        reason: "unknown", "used", "expired" or "of another browser", for the log.
    """

    code = "H621"

    def __init__(self, purpose: str, reason: str) -> None:
        self.purpose, self.reason = purpose, reason
        super().__init__("this link or login attempt is no longer valid; please start again")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.purpose, self.reason)


class OneTimeUnavailable(HardenError):
    """The store of one-time secrets does not answer; nothing was accepted."""

    code = "H622"


class SessionStateError(HardenError, psycopg2.NotSupportedError):
    """A statement would change its session, which PgBouncer's transaction mode shares with other clients.

    Attributes:
        what: what would have been changed.
        where: the line of the app that sent it.
    """

    code = "H404"

    def __init__(self, message: str, what: str = "", where: str = "") -> None:
        super().__init__(message)
        self.what, self.where = what, where

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.what, self.where)


class _PoolFigures(HardenError, psycopg2.pool.PoolError):
    """A pool error with the pool's figures at that moment.

    Attributes:
        figures: the pool's `stats()` when it happened; empty when it was not asked.
        holders: who held a connection then: dicts with `thread`, `seconds`, `state`, `taken_at`, `now_at`, the
            longest lease first.
    """

    def __init__(
        self,
        message: str,
        figures: dict[str, Any] | None = None,
        holders: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.figures: dict[str, Any] = dict(figures or {})
        self.holders: list[dict[str, Any]] = list(holders or [])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.figures, self.holders)


class PoolTimeout(_PoolFigures, psycopg2.OperationalError):
    """No connection became free within the timeout."""

    code = "H401"


class PoolTooBusy(_PoolFigures, psycopg2.OperationalError):
    """As many callers as `max_waiting` allows are waiting already; this one was refused at once."""

    code = "H402"


class PoolClosed(_PoolFigures):
    """The pool is closed, or was closed while the caller waited."""

    code = "H403"
