"""The reference shop, which asks for a profile by a function, and two more ways: as a statement, and parsed."""

from __future__ import annotations

from flask import Response, jsonify

from backend import get_db_connection
from backend.http import json_response
from backend.shop import create_app
from backend.shop.queries import CUSTOMER_WITH_APPOINTMENTS

application = create_app()


@application.get("/bench/statement/<int:customer_id>")
def show_by_statement(customer_id: int) -> Response:
    """Answer by the statement itself; whether its plan is kept is the pool's affair."""
    with get_db_connection(autocommit=True) as conn:
        body = CUSTOMER_WITH_APPOINTMENTS.json(conn, id=customer_id)
    return json_response(body)


@application.get("/bench/parsed/<int:customer_id>")
def show_parsed(customer_id: int) -> Response:
    """Answer as code does that parses what it gets, and writes it again."""
    with get_db_connection(autocommit=True) as conn:
        return jsonify(CUSTOMER_WITH_APPOINTMENTS.fetch(conn, id=customer_id))
