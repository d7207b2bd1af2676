"""PostgreSQL's JSON goes out as it came, with an ETag; and once only to a client that has it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import NotFound

from backend.http import json_response

BODY = '{"price":12.50, "name":"é"}'.encode()


@pytest.fixture
def client() -> Any:
    app = Flask(__name__)
    app.add_url_rule(
        "/<int:found>", "row", lambda found: json_response(BODY if found else None), methods=["GET", "POST"]
    )
    app.add_url_rule("/public", "public", lambda: json_response(BODY, cache_control="public, max-age=60"))
    app.add_url_rule("/made", "made", lambda: json_response(BODY, 201))
    app.register_error_handler(404, lambda error: ({"error": "ours"}, 404))
    return app.test_client()


def test_the_bytes_are_sent_as_they_are() -> None:
    response = json_response(BODY, 201)
    assert (response.get_data(), response.status_code) == (BODY, 201)
    assert response.content_type == "application/json"


def test_headers_of_an_answer(client: Any) -> None:
    answer = client.get("/1")
    assert (answer.data, answer.status_code) == (BODY, 200)
    assert answer.headers["Content-Length"] == str(len(BODY))
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.get_etag() == (client.get("/1").get_etag()[0], False)


@pytest.mark.parametrize("spelled", ['"{}"', 'W/"{}"', '"other", "{}"', "*"])
def test_a_client_that_has_it_gets_304_without_a_body(client: Any, spelled: str) -> None:
    etag = client.get("/1").get_etag()[0]
    answer = client.get("/1", headers={"If-None-Match": spelled.format(etag)})
    assert (answer.data, answer.status_code) == (b"", 304)
    assert answer.get_etag() == (etag, False)
    assert "Content-Type" not in answer.headers
    assert answer.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("stale", ['"other"', "", '"', 'W/"x"'])
def test_a_client_that_has_something_else_gets_it_all(client: Any, stale: str) -> None:
    answer = client.get("/1", headers={"If-None-Match": stale})
    assert (answer.data, answer.status_code) == (BODY, 200)


def test_head_has_the_headers_alone(client: Any) -> None:
    answer = client.head("/1")
    assert (answer.data, answer.status_code, answer.headers["Content-Length"]) == (b"", 200, str(len(BODY)))
    assert answer.get_etag() == client.get("/1").get_etag()


def test_what_is_not_a_200_of_get_has_no_etag(client: Any) -> None:
    assert client.post("/1").get_etag() == (None, None)
    made = client.get("/made")
    assert (made.status_code, made.get_etag()) == (201, (None, None))


def test_no_row_is_a_404_as_the_app_shapes_it(client: Any) -> None:
    answer = client.get("/0")
    assert (answer.status_code, answer.json) == (404, {"error": "ours"})
    with pytest.raises(NotFound):
        json_response(None)


def test_who_may_keep_it_is_the_callers_choice(client: Any) -> None:
    assert client.get("/public").headers["Cache-Control"] == "public, max-age=60"
