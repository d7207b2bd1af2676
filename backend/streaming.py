"""`stream_csv`, `stream_ndjson`, `stream_json`: millions of rows as a Flask response, in constant memory.

    @app.get("/revenue.csv")
    def revenue():
        return stream_csv("SELECT * FROM payments WHERE paid_on >= %(first)s", {"first": day})

One of the few modules that know Flask. If this is wrong, a response has headers that its body does not keep.
"""

from __future__ import annotations

import unicodedata
from typing import Any
from urllib.parse import quote

from flask import Response
from psycopg2.sql import Composable
from werkzeug.exceptions import ServiceUnavailable

from .database_helper import get_pool
from .errors import StreamBusy, StreamError
from .nested import Node
from .row_formats import CSV, Csv, CsvDialect, JsonArray, Ndjson
from .row_stream import RowStream
from .stream_source import Parameters, Rows, StreamOptions

RETRY_AFTER = 5  # seconds
DEFAULTS = StreamOptions()


def stream_csv(
    sql: str | Composable,
    parameters: Parameters = None,
    *,
    filename: str | None = None,
    dialect: CsvDialect = CSV,
    options: StreamOptions = DEFAULTS,
    pool: Any = None,
) -> Response:
    """Return a response that sends the rows of a SELECT as CSV, with a line of column names.

    Args:
        sql: one SELECT.
        parameters: as for `cursor.execute`; None leaves percent signs in the SQL alone.
        filename: what the browser saves it as; None shows it.
        dialect: how the CSV is written.
        options: time limits, how many streams at a time, COPY or cursor.
        pool: where the connection comes from; the process's own pool when None.

    Raises:
        StreamError: the SQL, its parameters or the filename cannot be.
        ServiceUnavailable: as many streams as are allowed are open; a 503 with Retry-After.
        PoolTimeout: no connection was free in time.
        psycopg2.Error: what the server said before the first row.
    """
    if isinstance(sql, Node):
        raise StreamError("CSV has no place for nested rows; use stream_ndjson or stream_json")
    return _response(Rows(sql, parameters, Csv(dialect), options, filename), "text/csv; charset=utf-8", pool)


def stream_ndjson(
    sql: str | Composable | Node,
    parameters: Parameters = None,
    *,
    filename: str | None = None,
    options: StreamOptions = DEFAULTS,
    pool: Any = None,
) -> Response:
    """Return a response that sends one JSON object per row and line; else as `stream_csv`.

    Args:
        sql: one SELECT, or a `many(...)`, whose rows are then documents with their children.
    """
    return _response(Rows(sql, parameters, Ndjson(), options, filename), "application/x-ndjson", pool)


def stream_json(
    sql: str | Composable | Node,
    parameters: Parameters = None,
    *,
    filename: str | None = None,
    options: StreamOptions = DEFAULTS,
    pool: Any = None,
) -> Response:
    """Return a response that sends all rows as one JSON array, `[]` for none; else as `stream_ndjson`."""
    return _response(Rows(sql, parameters, JsonArray(), options, filename), "application/json", pool)


def _response(rows: Rows, content_type: str, pool: Any) -> Response:
    headers = stream_headers(rows.filename)
    try:
        stream = RowStream(pool or get_pool(), rows)
    except StreamBusy as error:
        raise ServiceUnavailable(retry_after=RETRY_AFTER) from error
    # Handed to the server as it is: the request's own connections need not wait for the body's end, and what
    # would read all of it into memory (an after_request that hashes or compresses) is refused by werkzeug.
    return Response(stream, headers=headers, content_type=content_type, direct_passthrough=True)


def stream_headers(filename: str | None) -> dict[str, str]:
    """Return the headers of a stream beside its type, as a HEAD has them too.

    Raises:
        StreamError: the filename cannot be one.
    """
    headers = {"Cache-Control": "no-store"}
    headers["X-Accel-Buffering"] = "no"  # nginx passes on what comes instead of filling its disk
    if filename is not None:
        headers["Content-Disposition"] = _disposition(filename)
    return headers


def _disposition(filename: str) -> str:
    """Return the header by which a browser saves the body (RFC 6266, RFC 8187).

    Raises:
        StreamError: a name with a path or a control character in it, or an empty one.
    """
    has_control = any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in filename)
    if not filename.strip(". ") or has_control or "/" in filename or "\\" in filename:
        raise StreamError(f"{filename!r} is no name for a file: it is empty, or has a path or a control character")
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode().replace('"', "'")
    shown = f'attachment; filename="{plain or "export"}"'
    return shown if plain == filename else f"{shown}; filename*=UTF-8''{quote(filename, safe='!#$&+-.^_`|~')}"
