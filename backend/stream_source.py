"""What the two roads to the rows share: options, the statement that is run, and the transaction it runs in.

One transaction, so it works behind PgBouncer in transaction mode, and read-only; all settings end with it.
Must not import Flask or the pool. If this is wrong, a stream runs for ever, or with another stream's limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2.extensions
from psycopg2.sql import Composable

from .errors import StreamError
from .nested import Node
from .row_formats import Csv, Ndjson
from .select_text import only_select

WAYS = ("auto", "copy", "cursor")
LONGEST = 2_000_000.0  # seconds; PostgreSQL counts milliseconds in 31 bits
plain: type[Any] = psycopg2.extensions.cursor
Format = Csv | Ndjson
Parameters = Mapping[str, Any] | Sequence[Any] | None


@dataclass(frozen=True)
class StreamOptions:
    """How long a stream may take, how many there may be, and on which road the rows come.

    Attributes:
        timeout: seconds for all of it; 0 is no limit.
        stall_timeout: seconds in which the client must take at least 64 KiB; then the stream is cut and its
            connection goes back; 0 is no limit.
        most: streams of the pool at a time, in this process; 0 is a quarter of its connections, one at least.
        via: `copy` is the fastest and needs a thread, `cursor` needs none; `auto` takes COPY where it can.

    Raises:
        StreamError: a value that cannot be.
    """

    timeout: float = 3600.0
    stall_timeout: float = 60.0
    most: int = 0
    via: str = "auto"

    def __post_init__(self) -> None:
        for name in ("timeout", "stall_timeout", "most"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LONGEST:
                raise StreamError(f"StreamOptions.{name}={value!r} is not a number from 0 to {LONGEST:.0f}")
        if self.via not in WAYS:
            raise StreamError(f"StreamOptions.via={self.via!r} is not one of {', '.join(WAYS)}")

    @property
    def patience(self) -> float:
        """Seconds that the client may take nothing; 0 is no limit."""
        return min(filter(None, (self.stall_timeout, self.timeout)), default=0.0)


def begun(conn: Any) -> Any:
    """Return a cursor whose first statement begins a transaction, whatever the pool's connections are like."""
    if conn.autocommit:
        conn.autocommit = False
    return conn.cursor(cursor_factory=plain)


@dataclass(frozen=True)
class Rows:
    """The rows that are asked for, and the form they are to have; the filename is the log's as well."""

    sql: str | Composable | Node
    parameters: Parameters
    form: Format
    options: StreamOptions
    filename: str | None = None

    @property
    def label(self) -> str:
        """What the log calls the stream."""
        return repr(self.filename) if self.filename else type(self.form).__name__

    def begin(self, cursor: Any, more: str = "") -> bytes:
        """Set the transaction up; returns the SELECT to run, its parameters merged in.

        COPY and DECLARE know no parameters of the protocol's, so psycopg2 writes them as literals.

        Args:
            cursor: a plain cursor of a connection without an open transaction.
            more: further SET LOCAL.

        Raises:
            StreamError: the SQL is no single SELECT, or its parameters do not fit.
            psycopg2.Error: what the server said.
        """
        query = self._merged(cursor)
        limit = round(self.options.timeout * 1000)
        cursor.execute(f"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {limit}{more}")
        columns: Sequence[Any] = ()
        if self.form.wants_columns:
            cursor.execute(b"SELECT * FROM (\n" + query + b"\n) r LIMIT 0")
            columns = cursor.description or ()
        return self.form.select(query, columns)

    def _merged(self, cursor: Any) -> bytes:
        sql, parameters = self.sql, self.parameters
        if isinstance(sql, Node):  # its text is one for parameters, whether it has any or not
            text, parameters = sql.body, parameters or {}
        else:
            text = sql.as_string(cursor) if isinstance(sql, Composable) else sql
        text = only_select(text)
        try:
            merged: bytes = cursor.mogrify(text, parameters)
        except KeyError as error:
            raise StreamError(f"the SQL of a stream wants the parameter {error}, which was not given") from None
        except (TypeError, IndexError, ValueError) as error:
            raise StreamError(
                f"the SQL of a stream and its parameters do not fit: {error}; a percent sign is %% there"
            ) from None
        return merged
