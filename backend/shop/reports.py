"""Reports, streamed: memory stays flat however long the report is.

The rows come through a server-side cursor, which lives in one transaction; so the stream has a lease of its
own, as it outlives the request. Must give that lease back when the client goes away in the middle, or every
impatient reader costs the pool a connection.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import date
from itertools import chain

from flask import Blueprint, Response, request

from ..database_helper import get_pool
from ..database_pool import ThreadedConnectionPool
from . import fields, queries

routes = Blueprint("reports", __name__)
BATCH = 1000  # rows per round trip


@routes.get("/reports/revenue.csv")
def stream_revenue() -> Response:
    """Stream payments and revenue per day, `from` and `to` included."""
    first = fields.read_day(request.args, "from", default=date.min)
    last = fields.read_day(request.args, "to", default=date.max)
    lines = _lines(get_pool(), first, last)
    # The first line is drawn here: a pool with nothing free is still an error with a status, and close()
    # does nothing to a generator that has not started.
    response = Response(chain((next(lines),), lines), content_type="text/csv; charset=utf-8")
    response.call_on_close(lines.close)
    return response


def _lines(pool: ThreadedConnectionPool, first: date, last: date) -> Generator[str, None, None]:
    with pool.connection() as conn, conn.cursor(name="revenue") as cursor:
        cursor.execute(queries.REVENUE, {"first": first, "last": last})
        yield "day,payments,revenue\r\n"
        while rows := cursor.fetchmany(BATCH):
            yield "".join(f"{day},{payments},{amount}\r\n" for day, payments, amount in rows)
