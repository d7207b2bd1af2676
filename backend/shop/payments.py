"""Payments: taking one for an appointment."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from ..database_helper import transaction
from . import fields, queries
from .web import found, json_body

routes = Blueprint("payments", __name__)
METHODS = ("card", "cash", "transfer")


@routes.post("/payments")
def pay() -> Response:
    """Take a payment and answer with the receipt."""
    payment = _payment(json_body())
    with transaction() as conn:
        with conn.cursor() as cur:
            cur.execute(queries.PAY, payment)
            row = cur.fetchone()
        if row is None:
            raise fields.Refused("appointment_id is not an appointment", 422)
        receipt = queries.PAYMENT.json(conn, id=row[0])
    return found(receipt, 201)


def _payment(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "appointment_id": fields.id_field(body, "appointment_id"),
        "amount": fields.amount(body, "amount"),
        "method": fields.choice(body, "method", METHODS),
    }
