"""A request's names are read when somebody asks: ids that can stand in a header, routes and no paths."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.query_log import QueryLog
from backend.request_names import ID_KEY, endpoint_of, id_of, route_of
from tests.support.children import FORKS, in_child

PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/+=@-"


def is_made(request_id: str) -> bool:
    return len(request_id) == 16 and int(request_id, 16) >= 0


@pytest.mark.parametrize("sent", ["abc-1", "00-4bf92f35/77:b3+4=@_.", "x" * 128])
def test_the_front_s_id_is_kept(sent: str) -> None:
    assert id_of({"HTTP_X_REQUEST_ID": sent}) == sent


@pytest.mark.parametrize(
    "sent", ["", "a b", "x" * 129, "a\r\nSet-Cookie: x=1", "abc\n", "\nabc", "ä", "a\x00", "a\u2028b", '"}', "a;b"]
)
def test_an_id_that_cannot_stand_in_a_header_is_replaced(sent: str) -> None:
    assert is_made(id_of({"HTTP_X_REQUEST_ID": sent}))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=140))
def test_whatever_is_sent_the_id_has_harmless_characters_alone(sent: str) -> None:
    request_id = id_of({"HTTP_X_REQUEST_ID": sent})
    assert 0 < len(request_id) <= 128
    assert set(request_id) <= set(PLAIN)


def test_asked_twice_the_id_is_the_same_and_two_requests_have_two() -> None:
    one: dict[str, Any] = {}
    other: dict[str, Any] = {}
    assert id_of(one) == id_of(one) == one[ID_KEY]
    assert id_of(one) != id_of(other)


def test_ten_thousand_made_ids_are_ten_thousand() -> None:
    assert len({id_of({}) for _ in range(10_000)}) == 10_000


@FORKS
def test_a_forked_child_counts_its_ids_anew() -> None:
    """Otherwise the workers of a preloaded app would all give the ids that its parent goes on with."""
    id_of({})
    of_child = in_child(lambda: [id_of({}) for _ in range(50)])
    assert all(map(is_made, of_child))
    assert not set(of_child) & {id_of({}) for _ in range(100)}


def test_the_route_is_the_rule_and_is_known_only_once_flask_has_found_it() -> None:
    app = Flask(__name__)
    seen: list[tuple[str, str]] = []

    def around(environ: dict[str, Any], start_response: Any) -> Any:
        def started(*args: Any) -> Any:
            seen.append((route_of(environ), endpoint_of(environ)))
            return start_response(*args)

        seen.append((route_of(environ), endpoint_of(environ)))
        body = inner(environ, started)
        seen.append((route_of(environ), endpoint_of(environ)))
        return body

    inner, app.wsgi_app = app.wsgi_app, around  # type: ignore[method-assign]

    @app.get("/users/<int:number>")
    def user(number: int) -> str:
        return f"{number} {route_of(request.environ)}"

    client = app.test_client()
    assert client.get("/users/4711").text == "4711 /users/<int:number>"
    client.get("/nowhere")
    client.post("/users/1")
    none = ("", "")
    assert seen[:3] == [none, ("/users/<int:number>", "user"), none]  # Flask lets go of its request at the end
    assert seen[3:] == [none] * 6


@pytest.mark.parametrize("left", [None, object(), "text"])
def test_an_environ_that_flask_has_not_seen_has_no_names(left: Any) -> None:
    environ = {} if left is None else {"werkzeug.request": left}
    assert (route_of(environ), endpoint_of(environ)) == ("", "")


def test_a_log_that_has_settled_keeps_its_names_and_not_the_environ() -> None:
    class Matched:
        class url_rule:
            rule = "/users/<id>"

        endpoint = "user"

    environ = {"HTTP_X_REQUEST_ID": "abc", "HTTP_TRACEPARENT": "00-1", "werkzeug.request": Matched}
    log = QueryLog("request", "GET", environ=environ)
    assert (log.function, log.traceparent) == ("user", "00-1")
    assert log.settle() == "/users/<id>" == log.settle()
    assert log.environ is None
    assert (log.route, log.request_id, log.traceparent) == ("/users/<id>", "abc", "")


def test_an_id_that_was_asked_for_before_is_the_same_afterwards() -> None:
    log = QueryLog("request", environ={})
    made = log.request_id
    log.settle()
    assert log.request_id == made
    late = QueryLog("request", environ={})
    late.settle()
    assert is_made(late.request_id)
    assert late.request_id == late.request_id


def test_a_block_has_a_name_and_no_id() -> None:
    log = QueryLog("block", route="nightly")
    assert (log.route, log.request_id, log.function, log.settle()) == ("nightly", "", "", "nightly")
