"""Headers by kind of answer, names that are not ours, and 304 from a version."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, session

from backend.answer_headers import is_private
from backend.http_policy import http_policy, sensitive
from backend.trusted_hosts import is_known, trust_hosts
from backend.versioned import must_match, not_modified, versioned


@pytest.fixture
def client() -> Any:
    app = Flask(__name__)
    app.secret_key = "of the test"

    @app.route("/json", methods=["GET", "POST"])
    def plain() -> Any:
        return {"a": 1}

    @app.get("/login")
    def login() -> Any:
        session["user"] = 1
        return "in", 200, {"Cache-Control": "public, max-age=60", "X-Accel-Expires": "60"}

    @app.get("/secret")
    @sensitive
    def secret() -> Any:
        return "s", 200, {"Cache-Control": "public, max-age=60"}

    @app.get("/versioned")
    def read() -> Any:
        return not_modified(7) or versioned(b"{}", 7)

    @app.put("/versioned")
    def write() -> Any:
        must_match(7)
        return {}

    http_policy(app)
    trust_hosts(app, ["localhost", "*.example.com"])
    return app.test_client()


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/json", "private, no-cache"), ("POST", "/json", "no-store"), ("GET", "/none", "no-store"),
        ("GET", "/login", "private, no-cache"), ("GET", "/secret", "no-store"),
    ],
)  # fmt: skip
def test_who_may_keep_an_answer(client: Any, method: str, path: str, said: str) -> None:
    answer = client.open(path, method=method)
    assert answer.headers.getlist("Cache-Control") == [said]
    assert "X-Accel-Expires" not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("said", ["", "public", 'private="a"', "private, s-maxage=9", 'a="b, private, c"'])
def test_what_is_not_clearly_private_is_not_private(said: str) -> None:
    assert not is_private(said)


def test_a_version_decides_304_and_412(client: Any) -> None:
    tag = client.get("/versioned").headers["ETag"]
    assert client.get("/versioned", headers={"If-None-Match": tag}).status_code == 304
    sent = ({}, {"If-Match": '"x"'}, {"If-Match": tag})
    codes = [client.put("/versioned", headers=each).status_code for each in sent]
    assert codes == [428, 412, 200]


def test_a_host_that_is_not_ours_gets_400(client: Any) -> None:
    assert client.get("/json", headers={"Host": "evil.test"}).status_code == 400
    assert client.get("/json", headers={"X-Forwarded-Host": "evil.test"}).status_code == 400
    assert client.get("/json", headers={"Host": "shop.example.com"}).status_code == 200
    assert not is_known("shop.example.com:1337", ("shop.example.com",))
    assert not is_known("example.com", ("*.example.com",))
