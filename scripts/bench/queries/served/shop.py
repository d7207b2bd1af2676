"""The reference shop, and its profile in two more ways: parsed and written again, and by a function."""

from __future__ import annotations

from flask import Response, jsonify

from backend import get_db_connection
from backend.shop import create_app
from backend.shop.queries import CUSTOMER_WITH_APPOINTMENTS

from ..methods import call_function

application = create_app()


@application.get("/bench/parsed/<int:customer_id>")
def show_parsed(customer_id: int) -> Response:
    """Answer as code does that lets the driver parse and Flask write."""
    with get_db_connection(autocommit=True) as conn:
        return jsonify(CUSTOMER_WITH_APPOINTMENTS.fetch(conn, id=customer_id))


@application.get("/bench/function/<int:customer_id>")
def show_by_function(customer_id: int) -> Response:
    """Answer by the function, whose plan PostgreSQL keeps."""
    with get_db_connection(autocommit=True) as conn:
        return Response(call_function(conn, customer_id), content_type="application/json")
