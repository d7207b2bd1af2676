"""Reports, streamed: PostgreSQL writes the CSV, and memory stays flat however long the report is."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, Response, request

from ..row_formats import CSV_RFC4180
from ..stream_source import StreamOptions
from ..streaming import stream_csv
from . import fields, queries

routes = Blueprint("reports", __name__)
# A line per day is read in milliseconds, so reports queue for the pool's connections as any request does
# instead of being turned away while two others are being read.
OPTIONS = StreamOptions(timeout=20.0, most=1000)


@routes.get("/reports/revenue.csv")
def stream_revenue() -> Response:
    """Stream payments and revenue per day, `from` and `to` included."""
    days = {
        "first": fields.read_day(request.args, "from", default=date.min),
        "last": fields.read_day(request.args, "to", default=date.max),
    }
    return stream_csv(queries.REVENUE, days, dialect=CSV_RFC4180, options=OPTIONS)
