"""The pages on cache, auth, one-time secrets, rate limits and HTTP: their code runs on real servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import psycopg2
import pytest
from flask import url_for

from backend import OneTimeRefused, close_pool
from backend.database_helper import get_db_connection

DOCS = Path(__file__).resolve().parents[2] / "docs"
KEY = "k" * 32
TABLES = """
    DROP TABLE IF EXISTS customers, orders, users, one_time_secrets;
    CREATE TABLE customers (id int PRIMARY KEY, name text);
    CREATE TABLE orders (shop text, day date);
    CREATE TABLE users (id int PRIMARY KEY, name text, role text, active bool);
    INSERT INTO customers VALUES (1, 'Old');
    INSERT INTO orders VALUES ('a', '2026-01-01'), ('a', '2026-01-01'), ('b', '2026-01-01');
    INSERT INTO users VALUES (1, 'Ann', 'admin', true), (2, 'Bob', 'user', true);
"""


@pytest.fixture
def servers(url: str, redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with closing(psycopg2.connect(url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(TABLES)
    for name, value in {
        "DATABASE_URL": url, "REDIS_URL": redis_server.url, "TOKEN_KEY": KEY, "SECRET_KEY": "s" * 32,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    yield
    close_pool()
    with closing(psycopg2.connect(url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS customers, orders, users, one_time_secrets, reports")


def _run(page: str, **names: Any) -> dict[str, Any]:
    """Execute all Python of a page, in its order."""
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.M | re.S))
    found: dict[str, Any] = {"__name__": page, **names}
    exec(compile(code, page, "exec"), found)
    return found


def test_cache(servers: None) -> None:
    page = _run("cache.md")
    assert page["customer"](1) == {"id": 1, "name": "Ann"} and page["sent"] == ["mail"]
    page["rename"](1, "Eve")
    assert page["customer"](1)["name"] == "Eve"
    with get_db_connection() as conn:
        assert [page["orders"](conn, "a", "2026-01-01") for _ in range(2)] == [2, 2]
    assert page["cache"].stats()["errors"] == 0
    page["cache"].close()


def test_auth(servers: None) -> None:
    import time

    page = _run("auth.md")

    def headers(user: int) -> dict[str, str]:
        claims = {"sub": str(user), "aud": "shop", "iss": "https://login.shop", "exp": time.time() + 60}
        return {"Authorization": "Bearer " + jwt.encode(claims, KEY, algorithm="HS256")}

    client = page["app"].test_client()
    assert client.get("/api/me", headers=headers(2)).json == {"name": "Bob"}
    assert client.get("/api/me").status_code == 401
    assert client.delete("/api/users/1", headers=headers(2)).status_code == 403
    assert client.delete("/api/users/2", headers=headers(1)).status_code == 204
    assert client.get("/api/me", headers=headers(2)).status_code == 401
    page["cache"].close()


def test_one_time(servers: None) -> None:
    page = _run("one-time.md", exchange=lambda code, **_: f"user of {code}")
    with pytest.raises(OneTimeRefused):
        page["secrets"].consume("confirm-address", page["link"])
    page["app"].debug = True
    client = page["app"].test_client()
    state = re.search(r"state=([\w-]+)", client.get("/login?next=/orders").headers["Location"])
    assert state is not None
    assert client.get(f"/callback?code=c&state={state[1]}").headers["Location"] == "/orders"
    assert client.get(f"/callback?code=c&state={state[1]}").status_code == 400


def test_rate_limits(servers: None) -> None:
    client = _run("rate-limits.md")["app"].test_client()
    assert [client.post("/login").status_code for _ in range(6)] == [200] * 5 + [429]


def test_http(servers: None, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "app.js").write_text("alert(1)")
    monkeypatch.setenv("STATIC_FOLDER", str(folder))
    with closing(psycopg2.connect(url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS reports; CREATE TABLE reports (id int, version int)")
        cursor.execute("INSERT INTO reports VALUES (1, 1)")
    app = _run("http.md")["app"]
    client = app.test_client()
    assert client.get("/account/tokens").headers["Cache-Control"] == "no-store"
    first = client.get("/reports/1")
    assert first.json == {"id": 1, "version": 1}
    mine = {"If-None-Match": first.headers["ETag"]}
    assert client.get("/reports/1", headers=mine).status_code == 304
    codes = [client.put("/reports/1", headers={"If-Match": first.headers["ETag"]}).status_code for _ in range(2)]
    assert codes == [204, 412] and client.put("/reports/1").status_code == 428
    assert client.get("/reports/1", headers=mine).json == {"id": 1, "version": 2}
    with app.test_request_context():
        assert re.fullmatch(r"/static/app\.[0-9a-f]{12,}\.js", url_for("static", filename="app.js"))


NAMES = {
    "cache.md": """get_or_load get set delete cached invalidate within clear stats after_commit namespace ttl
        client
        timeout patience largest most_entries most_bytes tags negative_ttl stale ignore""",
    "auth.md": """TokenVerifier Auth needs_user needs_role protect claims user has_token forget verify load_user
        token_of is_revoked leeway require audience issuer user_projection role_projection changed
        tenant_projection Projection TokenRefused within""",
    "one-time.md": """OneTimeSecrets PostgresSecrets RedisSecrets issue consume clean_up bound_to OneTimeRefused
        OneTimeUnavailable OAuthStates begin finish verifier nonce next_url purpose create_table""",
    "rate-limits.md": "rate_limits needs_store who url",
    "http.md": """http_policy sensitive mark_sensitive sensitive_paths keep html_policy body_mb not_modified
        versioned must_match compress trust_hosts HARDEN_HOSTS write_hashed hashed_static serve_static
        json_response""",
}


@pytest.mark.parametrize(("page", "names"), NAMES.items())
def test_every_name_that_an_app_uses_is_on_its_page(page: str, names: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    missing = [name for name in names.split() if not re.search(rf"\b{name}\b", text)]
    assert missing == []
