"""Appointments: the list, page by page, which was 1 + N queries; and booking one.

Must not write outside `transaction`: a booking without its prices would be billed at nothing.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from ..database_helper import get_db_connection, transaction
from . import cursor, fields, queries
from .me import profile_changed
from .web import answer, read_json

routes = Blueprint("appointments", __name__)


@routes.get("/appointments")
def list_newest() -> Response:
    """List all appointments, newest first: `items`, and `next_cursor`, which is null on the last page."""
    limit = fields.read_limit(request.args, default=20, largest=100)
    after = cursor.decode(request.args.get("cursor"))
    with get_db_connection(autocommit=True) as conn:
        body = queries.PAGE.json(conn, seconds=after.seconds, id=after.id, limit=limit)
    return answer(body)


@routes.post("/appointments")
def book() -> Response:
    """Book an appointment at today's prices: all of it is stored, or nothing."""
    booking = _booking(read_json())
    with transaction() as conn:
        _check_references(conn, booking)
        with conn.cursor() as cur:
            cur.execute(queries.BOOK, booking)
            (appointment_id,) = cur.fetchone()
        profile_changed(conn, booking["customer_id"])
        body = queries.APPOINTMENT.json(conn, id=appointment_id)
    return answer(body, 201)


def _booking(body: dict[str, Any]) -> dict[str, Any]:
    booking = {
        "customer_id": fields.read_id(body, "customer_id"),
        "vehicle_id": fields.read_id(body, "vehicle_id"),
        "starts_at": fields.read_moment(body, "starts_at"),
    }
    service_ids = fields.read_ids(body, "service_ids", longest=20)
    if len(set(service_ids)) < len(service_ids):
        raise fields.Refused("service_ids must not repeat an id")
    notes = fields.read_text(body, "notes", longest=1000)
    return {**booking, "service_ids": fields.write_array(service_ids), "notes": notes}


def _check_references(conn: Any, booking: dict[str, Any]) -> None:
    """Refuse before the first INSERT: one that fails on a foreign key has burnt an id and answers 500."""
    with conn.cursor() as cur:
        cur.execute(queries.REFERENCES, booking)
        owns_vehicle, knows_services = cur.fetchone()
    if not owns_vehicle:
        raise fields.Refused("vehicle_id is not a vehicle of customer_id", 422)
    if not knows_services:
        raise fields.Refused("service_ids has an unknown id", 422)
