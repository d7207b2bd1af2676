"""Customers: the profile, which was 1 + 3N queries, and the history.

Must not know SQL or JSON: `queries` has the one, PostgreSQL writes the other.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from ..database_helper import get_db_connection
from . import queries
from .web import ID, answer

routes = Blueprint("customers", __name__)


@routes.get(f"/admin/customers/<{ID}:customer_id>")
def show_profile(customer_id: int) -> Response:
    """Show a customer; with `include=appointmentDetails`, everything that ever happened at the shop."""
    nested = request.args.get("include") == "appointmentDetails"
    query = queries.PROFILE if nested else queries.CUSTOMER
    with get_db_connection(autocommit=True) as conn:
        body = query.json(conn, id=customer_id)
    return answer(body)


@routes.get(f"/customers/<{ID}:customer_id>/history")
def list_history(customer_id: int) -> Response:
    """List a customer's appointments with totals, newest first."""
    with get_db_connection(autocommit=True) as conn:
        body = queries.HISTORY.json(conn, id=customer_id)
    return answer(body)
