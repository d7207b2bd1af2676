"""What a customer sees of himself, behind a token: warm, the database is not asked at all.

The token is verified once, the user comes from a projection, the profile from the cache, and what changes either
says so in its own transaction. With REDIS_URL all workers share what they know; without it each worker has its
own, and for as short as another worker's change may stay unseen.
Must not decide what others may see. If this is wrong, a customer sees another one's bills.
"""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from ..auth import Auth
from ..cache import Cache
from ..database_helper import get_db_connection
from ..errors import TokenRefused
from ..projection import Projection, user_projection
from ..settings import variable
from . import queries
from .web import answer

routes = Blueprint("me", __name__)
KEY = "shop_accounts"
TOKEN_SECONDS = 86_400
SHARED_TTL, OWN_TTL = 300.0, 5.0


class Accounts:
    """Cache, users and tokens of one app.

    Attributes:
        auth: who asks.
        cache: profiles, by customer.
        users: what authorization needs of a customer.
    """

    def __init__(self) -> None:
        redis = variable("REDIS_URL")
        self.cache = Cache(redis, namespace="shop", ttl=SHARED_TTL if redis else OWN_TTL)
        self.users: Projection = user_projection(self.cache, queries.ACCOUNT)
        # Without a key nobody's token is good, which is right for a shop that nobody set up.
        self._tokens = URLSafeTimedSerializer(variable("SHOP_TOKEN_KEY") or secrets.token_hex(32), salt="shop")
        self.auth = Auth(verify=self._verify, load_user=self.users.get)

    def _verify(self, token: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = self._tokens.loads(token, max_age=TOKEN_SECONDS)
        except BadSignature:
            raise TokenRefused("forged or expired") from None
        return claims

    def profile(self, customer_id: int, *, nested: bool) -> Any:
        """Return a customer's JSON, cached until something of it changes."""
        query = queries.PROFILE if nested else queries.CUSTOMER

        def load() -> Any:
            with get_db_connection(autocommit=True) as conn:
                return query.json(conn, id=customer_id)

        return self.cache.get_or_load(f"profile:{customer_id}:{nested}", load, tags=[f"customer:{customer_id}"])


def start(app: Flask) -> None:
    """Give an app its accounts."""
    accounts = app.extensions[KEY] = Accounts()
    accounts.auth.init_app(app)


def profile_changed(conn: Any, customer_id: int) -> None:
    """Say that a transaction changes what a customer sees of himself."""
    current_app.extensions[KEY].cache.invalidate(f"customer:{customer_id}", conn=conn)


@routes.get("/me")
def show_me() -> Response:
    """Show who asks to himself; with `include=appointmentDetails`, everything that ever happened at the shop."""
    accounts = current_app.extensions[KEY]
    nested = request.args.get("include") == "appointmentDetails"
    return answer(accounts.profile(accounts.auth.user()["id"], nested=nested))
