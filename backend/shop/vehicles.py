"""Vehicles: one of them, and whether a list of them belongs to a customer, which was a query per vehicle."""

from __future__ import annotations

from flask import Blueprint, Response

from ..database_helper import get_db_connection
from . import fields, queries
from .web import ID, found, json_body

routes = Blueprint("vehicles", __name__)


@routes.get(f"/vehicles/<{ID}:vehicle_id>")
def vehicle(vehicle_id: int) -> Response:
    """Show a vehicle."""
    with get_db_connection(autocommit=True) as conn:
        body = queries.VEHICLE.json(conn, id=vehicle_id)
    return found(body)


@routes.post("/vehicles/verify")
def verify() -> Response:
    """Say of each vehicle, in the order asked, whether it exists and is the customer's."""
    asked = json_body()
    customer_id = fields.id_field(asked, "customer_id")
    vehicle_ids = fields.id_list(asked, "vehicle_ids", longest=1000)
    with get_db_connection(autocommit=True) as conn:
        body = queries.VERIFICATION.json(conn, customer_id=customer_id, vehicle_ids=fields.array(vehicle_ids))
    return found(body)
