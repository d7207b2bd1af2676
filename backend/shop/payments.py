"""Payments: taking one for an appointment.

Must not take money for an appointment that does not exist: the INSERT selects from the appointment itself.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from ..database_helper import transaction
from . import fields, queries
from .me import profile_changed
from .web import answer, read_json

routes = Blueprint("payments", __name__)
METHODS = ("card", "cash", "transfer")


@routes.post("/payments")
def pay() -> Response:
    """Take a payment and answer with the receipt."""
    payment = _payment(read_json())
    with transaction() as conn:
        with conn.cursor() as cur:
            cur.execute(queries.PAY, payment)
            row = cur.fetchone()
        if row is None:
            raise fields.Refused("appointment_id is not an appointment", 422)
        profile_changed(conn, row[1])
        receipt = queries.PAYMENT.json(conn, id=row[0])
    return answer(receipt, 201)


def _payment(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "appointment_id": fields.read_id(body, "appointment_id"),
        "amount": fields.read_amount(body, "amount"),
        "method": fields.read_choice(body, "method", METHODS),
    }
