"""The shop's profile behind a token: user and profile out of the cache, and the same with nothing in it.

`/warm/7` is a request as most are; `/cold/7` is one that finds nothing cached and leaves it behind. Both verify
the token, so what they differ in is the database's part.
"""

from __future__ import annotations

import os
import secrets
from typing import Any

from flask import Flask, Response

from backend import Auth, Cache, Hardening, TokenVerifier, get_db_connection, user_projection
from backend.shop.queries import PROFILE

USERS = "SELECT id, name, email FROM customers WHERE id = %(key)s"

application = Flask(__name__)
Hardening(application)
cache = Cache(os.environ.get("CACHE_URL") or None, namespace="shop")
users = user_projection(cache, USERS)
auth = Auth(application, verify=TokenVerifier(os.environ["TOKEN_KEY"], ["HS256"], audience="shop"))


def _profile(store: Cache, number: int) -> Any:
    def load() -> Any:
        with get_db_connection(autocommit=True) as conn:
            return PROFILE.json(conn, id=number)

    return store.get_or_load(f"profile:{number}", load, tags=[f"customer:{number}"])


@application.get("/warm/<int:number>")
def warm(number: int) -> Any:
    user = users.get(auth.claims()["sub"])
    return Response(_profile(cache, number), mimetype="application/json") if user else ("", 401)


@application.get("/cold/<int:number>")
def cold(number: int) -> Any:
    nothing = secrets.token_hex(8)
    user = users.within(cold=nothing).get(auth.claims()["sub"])
    found = _profile(cache.within(cold=nothing), number)
    return Response(found, mimetype="application/json") if user else ("", 401)


@application.post("/rename/<int:number>")
def rename(number: int) -> Any:
    auth.claims()
    with get_db_connection() as conn:
        with conn.cursor() as cursor:
            cursor.execute("UPDATE customers SET name = name WHERE id = %s", (number,))
        cache.invalidate(f"customer:{number}", conn=conn)
        users.changed(number, conn=conn)
    return "", 204
