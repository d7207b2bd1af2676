"""Vehicles: one of them, and whether a list of them belongs to a customer, which was a query per vehicle.

Must not check the list in Python row by row: a thousand ids are still one statement.
"""

from __future__ import annotations

from flask import Blueprint, Response

from ..database_helper import get_db_connection
from . import fields, queries
from .web import ID, answer, read_json

routes = Blueprint("vehicles", __name__)


@routes.get(f"/vehicles/<{ID}:vehicle_id>")
def show_vehicle(vehicle_id: int) -> Response:
    """Show a vehicle."""
    with get_db_connection(autocommit=True) as conn:
        body = queries.VEHICLE.json(conn, id=vehicle_id)
    return answer(body)


@routes.post("/vehicles/verify")
def verify() -> Response:
    """Say of each vehicle, in the order asked, whether it exists and is the customer's."""
    asked = read_json()
    customer_id = fields.read_id(asked, "customer_id")
    vehicle_ids = fields.write_array(fields.read_ids(asked, "vehicle_ids", longest=1000))
    with get_db_connection(autocommit=True) as conn:
        body = queries.VERIFICATION.json(conn, customer_id=customer_id, vehicle_ids=vehicle_ids)
    return answer(body)
