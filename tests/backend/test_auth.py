"""The token is verified and the user loaded once per request, and never another one's than the request's."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import jwt
import psycopg2
import pytest
from flask import Blueprint, Flask, jsonify, request

from backend import (
    Auth,
    Cache,
    CacheError,
    Hardening,
    Projection,
    TokenRefused,
    TokenVerifier,
    close_pool,
    get_db_connection,
    role_projection,
    tenant_projection,
    transaction,
    user_projection,
)
from backend.query_counter import QueryCounter

SECRET = "s" * 32
USERS = "SELECT id, name, role, active FROM people WHERE id = %(key)s"
ROLES = ["reader", "writer", "admin"]


class Counting:
    """Counts the calls of what it wraps."""

    def __init__(self, function: Any) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        return self.function(*args)


@pytest.fixture
def people(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with closing(psycopg2.connect(url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS people")
        cursor.execute(
            "CREATE TABLE people (id int PRIMARY KEY, name text, role text, active bool DEFAULT true, photo text)"
        )
        cursor.execute(
            "INSERT INTO people SELECT n, 'p' || n, 'reader', true, repeat('x', 9999) FROM generate_series(1, 9) n"
        )
    monkeypatch.setenv("DATABASE_URL", url)
    yield
    close_pool()
    with closing(psycopg2.connect(url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("DROP TABLE people")


class Served:
    """An app with its parts."""

    def __init__(self) -> None:
        self.app = Flask("served")
        Hardening(self.app, HARDEN_PROXIES=1, HARDEN_LOG_FORMAT="json")
        self.cache = Cache(namespace="auth")
        self.users = user_projection(self.cache, USERS)
        self.verify = Counting(TokenVerifier(SECRET, ["HS256"], audience="shop"))
        self.load = Counting(self.users.get)
        self.revoked: set[str] = set()
        self.auth = Auth(self.app, verify=self.verify, load_user=self.load, is_revoked=self.is_revoked)
        self.client = self.app.test_client()

    def is_revoked(self, claims: Any) -> bool:
        return claims.get("jti") in self.revoked


@pytest.fixture
def served(people: None) -> Served:
    made = Served()
    auth, app = made.auth, made.app

    @app.get("/me")
    @auth.needs_user
    def me() -> Any:
        many = [auth.user()["name"] for _ in range(5)] + [auth.claims()["sub"] for _ in range(5)]
        with app.app_context():  # a nested context has another `g`
            many.append(auth.user()["name"])
        return jsonify(many)

    @app.get("/admin")
    @auth.needs_role("admin", "owner")
    def admin() -> Any:
        return auth.user()["name"]

    @app.get("/open")
    def everybody() -> Any:
        return jsonify(auth.has_token())

    return made


def _bearer(user: Any = 1, **claims: Any) -> dict[str, str]:
    whole = {"sub": str(user), "aud": "shop", "exp": time.time() + 60, **claims}
    return {"Authorization": f"Bearer {jwt.encode(whole, SECRET, algorithm='HS256')}"}


def test_ten_consumers_cost_one_verification_and_one_load(served: Served) -> None:
    answer = served.client.get("/me", headers=_bearer(3))
    assert answer.json == ["p3"] * 5 + ["3"] * 5 + ["p3"]
    assert (served.verify.calls, served.load.calls) == (1, 1)


def test_a_request_that_asks_nothing_verifies_nothing(served: Served) -> None:
    assert served.client.get("/open", headers={"Authorization": "Bearer garbage"}).json is True
    assert served.client.get("/open").json is False
    assert served.verify.calls == 0


def test_warm_it_needs_no_query(served: Served) -> None:
    served.client.get("/me", headers=_bearer(3))
    with QueryCounter() as counted:
        for _ in range(5):
            assert served.client.get("/me", headers=_bearer(3)).status_code == 200
    assert counted.count == 0


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, "Bearer"),
        ({"Authorization": "Basic eDp5"}, "Bearer"),
        ({"Authorization": "Bearer"}, "Bearer"),
        ({"Authorization": "Bearer x.y.z"}, 'Bearer error="invalid_token"'),
        (_bearer(1, exp=1), 'Bearer error="invalid_token"'),
        (_bearer(1, aud="else"), 'Bearer error="invalid_token"'),
        (_bearer(99), 'Bearer error="invalid_token"'),
    ],
)
def test_who_is_not_known_gets_401_and_no_detail(served: Served, headers: dict[str, str], told: str) -> None:
    answer = served.client.get("/me", headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, told)
    assert answer.headers["Cache-Control"] == "no-store"
    assert b"expired" not in answer.data and b"audience" not in answer.data


def test_a_user_who_is_deactivated_or_revoked_is_refused(served: Served) -> None:
    assert served.client.get("/me", headers=_bearer(2, jti="a")).status_code == 200
    served.revoked.add("a")
    assert served.client.get("/me", headers=_bearer(2, jti="a")).status_code == 401
    assert served.client.get("/me", headers=_bearer(2, jti="b")).status_code == 200
    with transaction() as conn:
        conn.cursor().execute("UPDATE people SET active = false WHERE id = 2")
        served.users.changed("2", conn=conn)
    assert served.client.get("/me", headers=_bearer(2, jti="b")).status_code == 401


def test_a_role_that_is_given_or_taken_counts_from_the_commit_on(served: Served) -> None:
    def ask() -> int:
        return int(served.client.get("/admin", headers=_bearer(4)).status_code)

    def change(role: str, *, commit: bool) -> None:
        with served.app.app_context(), get_db_connection() as conn:
            conn.cursor().execute("UPDATE people SET role = %s WHERE id = 4", (role,))
            served.users.changed("4", conn=conn)
            assert ask_elsewhere() in (200, 403)
            if not commit:
                conn.rollback()

    def ask_elsewhere() -> int:
        codes: list[int] = []
        thread = threading.Thread(target=lambda: codes.append(ask()))
        thread.start()
        thread.join()
        return codes[0]

    assert ask() == 403
    change("admin", commit=False)
    assert ask() == 403
    change("admin", commit=True)
    assert ask() == 200
    change("reader", commit=True)
    assert ask() == 403


def test_a_refused_token_is_logged_with_the_request_s_id_and_never_itself(served: Served, capfd) -> None:
    """The order of what a request goes through: its id first, then the proxy's headers, the token last."""
    seen: list[str | None] = []
    served.verify.function = lambda token: seen.append(request.remote_addr) or _refuse()
    headers = {**_bearer(1), "X-Request-ID": "abc-123", "X-Forwarded-For": "203.0.113.9"}
    assert served.client.get("/me", headers=headers).status_code == 401
    assert seen == ["203.0.113.9"]
    told = capfd.readouterr().err
    line = json.loads(next(line for line in told.splitlines() if "token was refused" in line))
    assert line["message"] == "a token was refused: expired"
    assert (line["request_id"], line["route"]) == ("abc-123", "/me")
    assert headers["Authorization"].split()[1] not in told


def _refuse() -> Any:
    raise TokenRefused("expired")


def test_a_blueprint_is_protected_as_a_whole(served: Served) -> None:
    part = Blueprint("part", __name__, url_prefix="/part")
    part.get("/closed")(lambda: "closed")
    part.add_url_rule("/login", "login", lambda: "login")
    served.auth.protect(part, public=["part.login"])
    fresh = Flask("other")
    served.auth.init_app(fresh)
    fresh.register_blueprint(part)
    client = fresh.test_client()
    codes = [client.get(f"/part/{path}").status_code for path in ("closed", "login", "nowhere")]
    assert codes == [401, 200, 404]
    assert client.options("/part/closed").status_code == 200


def test_after_a_login_within_a_request_it_looks_again(served: Served) -> None:
    with served.app.test_request_context(headers=_bearer(1)):
        assert served.auth.user()["name"] == "p1"
        request.environ["HTTP_AUTHORIZATION"] = _bearer(2)["Authorization"]
        assert served.auth.user()["name"] == "p1"
        served.auth.forget()
        assert served.auth.user()["name"] == "p2"


def test_a_refusal_is_remembered_for_the_request(served: Served) -> None:
    with served.app.test_request_context(headers={"Authorization": "Bearer x.y.z"}):
        for _ in range(3):
            with pytest.raises(TokenRefused):
                served.auth.claims()
    assert served.verify.calls == 1


def test_without_a_role_or_a_loader_it_says_what_is_missing(served: Served) -> None:
    with pytest.raises(ValueError, match="needs a role"):
        served.auth.needs_role()
    bare = Auth(verify=lambda token: {"sub": token}, token_of=lambda asked: asked.cookies.get("token"))
    with served.app.test_request_context(headers={"Cookie": "token=abc"}):
        assert bare.claims() == {"sub": "abc"}
        with pytest.raises(RuntimeError, match="without load_user"):
            bare.user()


def test_what_one_auth_has_seen_is_not_another_one_s(served: Served) -> None:
    """Customers and staff, each with a key of their own: a good token of the one is a forgery to the other."""
    staff = Auth(verify=TokenVerifier("t" * 32, ["HS256"], audience="shop"), load_user=served.load)
    with served.app.test_request_context(headers=_bearer(1)):
        assert served.auth.user()["name"] == "p1"
        for ask in (staff.claims, staff.user):
            with pytest.raises(TokenRefused, match="forged"):
                ask()
        staff.forget()
        assert served.auth.user()["name"] == "p1" and served.verify.calls == 1


def test_a_role_that_was_rolled_back_is_gone_within_the_same_request(served: Served) -> None:
    @served.app.get("/undone")
    def undone() -> Any:
        with get_db_connection() as conn:
            before = served.users.get(6)["role"]
            conn.cursor().execute("UPDATE people SET role = 'admin' WHERE id = 6")
            served.users.changed(6, conn=conn)
            within = served.users.get(6)["role"]
            conn.rollback()
            return jsonify([before, within, served.users.get(6)["role"]])

    assert served.client.get("/undone").json == ["reader", "admin", "reader"]


def test_a_projection_has_few_columns_and_one_query(people: None) -> None:
    with closing(Cache(namespace="p")) as cache:
        users = Projection("user", USERS + ";", cache)
        with QueryCounter() as counted:
            assert users.get(5) == {"id": 5, "name": "p5", "role": "reader", "active": True}
            users.get(5)["name"] = "changed"
            assert users.get(5)["name"] == "p5"
            assert users.get(77) is None and users.get(77) is None
        assert counted.count == 2
        assert users.within(tenant=2).get(5) == users.get(5)
        with pytest.raises(CacheError, match="several rows"):
            Projection("all", "SELECT id FROM people WHERE %(key)s = %(key)s", cache).get(1)
        with pytest.raises(CacheError, match=r"needs %\(key\)s"):
            Projection("none", "SELECT 1", cache)
        with pytest.raises(CacheError, match="cannot be part"):
            users.get([1])


def test_the_ttls_are_those_that_audits_name(people: None) -> None:
    cache = Cache()
    made = [make(cache, USERS) for make in (user_projection, role_projection, tenant_projection)]
    assert [each._ttl for each in made] == [300, 900, 3600]


def test_users_with_changing_roles_never_see_each_other_s_or_an_old_one(served: Served) -> None:
    """Random: roles change with commit and rollback, tokens of nine users come from three threads."""
    acknowledged: dict[int, set[str]] = {user: {"reader"} for user in range(1, 10)}
    wrong: list[Any] = []
    locks = {user: threading.Lock() for user in acknowledged}

    @served.app.get("/role")
    @served.auth.needs_user
    def role() -> Any:
        return jsonify(dict(served.auth.user()))

    def work(seed: int) -> None:
        choose = random.Random(seed)
        client = served.app.test_client()
        for _ in range(150):
            user = choose.randint(1, 9)
            with locks[user]:  # one at a time per user, so that what is right is known
                if choose.random() < 0.3:
                    new, commit = choose.choice(ROLES), choose.random() < 0.6
                    with served.app.app_context(), get_db_connection() as conn:
                        conn.cursor().execute("UPDATE people SET role = %s WHERE id = %s", (new, user))
                        served.users.changed(str(user), conn=conn)
                        if not commit:
                            conn.rollback()
                    if commit:
                        acknowledged[user] = {new}
                told = client.get("/role", headers=_bearer(user)).json
                if told["id"] != user or told["role"] not in acknowledged[user]:
                    wrong.append((user, told, acknowledged[user]))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_while_the_keys_server_is_away_it_is_503_and_not_401(served: Served) -> None:
    jwks = jwt.PyJWKClient("http://127.0.0.1:9/jwks.json", timeout=1)  # nobody listens there

    def key(kid: str | None) -> Any:
        return jwks.get_signing_key(kid or "").key

    served.verify.function = TokenVerifier(key, ["RS256"], audience="shop")
    assert served.client.get("/me", headers=_bearer(1)).status_code == 503


def test_an_account_whose_state_is_null_is_not_active(served: Served) -> None:
    with transaction() as conn:
        conn.cursor().execute("UPDATE people SET active = NULL WHERE id = 6")
    assert served.client.get("/me", headers=_bearer(6)).status_code == 401
