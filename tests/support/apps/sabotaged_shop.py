"""The shop with one thing broken, named by SABOTAGE: what a check must find."""

import itertools
import os

from flask import Response, request

from backend import transaction
from backend.shop import create_app

app = create_app()
turns = itertools.count(1)
pay = app.view_functions["shop.payments.pay"]
OFTEN = 10  # every tenth request goes wrong: a check that needs all of them to is of no use
STORED = """
INSERT INTO payments (appointment_id, amount, method) VALUES (%(appointment_id)s, %(amount)s, %(method)s)"""


def is_time() -> bool:
    """Tell whether this request is one that goes wrong."""
    return next(turns) % OFTEN == 0


def double() -> Response:
    """Store a payment twice."""
    answer = pay()
    if is_time():
        with transaction() as conn, conn.cursor() as cursor:
            cursor.execute(STORED, request.get_json())
    return answer


def early() -> Response:
    """Acknowledge a payment and take it back."""
    answer = pay()
    if is_time():
        with transaction() as conn, conn.cursor() as cursor:
            cursor.execute("DELETE FROM payments WHERE id = %s", (answer.get_json()["id"],))
    return answer


def refused() -> Response:
    """Store a payment and say that it was refused."""
    answer = pay()
    return Response('{"error": "no"}', 422) if is_time() else answer


def leak() -> Response:
    """Keep a connection in a transaction."""
    if next(turns) == 1:
        import psycopg2

        app.extensions["leak"] = conn = psycopg2.connect(os.environ["DATABASE_URL"])
        conn.cursor().execute("SELECT 1")
    return pay()


def other() -> Response:
    """Show another customer's profile."""
    request.view_args["customer_id"] += is_time()
    return show(**request.view_args)


show = app.view_functions["shop.customers.show_profile"]
if os.environ["SABOTAGE"] == "other":
    app.view_functions["shop.customers.show_profile"] = lambda **_: other()
else:
    app.view_functions["shop.payments.pay"] = globals()[os.environ["SABOTAGE"]]
