"""Each request's queries are its own, streamed or not; strict mode fails it, and developers see a header."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from flask import Flask, Response, jsonify

from backend import Hardening, RepeatsError, close_pool, events, get_db_connection, request_end, watch
from backend.events import RequestEnded
from backend.request_watch import RequestWatch


def _app(url: str, **settings: Any) -> Flask:
    app = Flask(__name__)
    Hardening(app, DATABASE_URL=url, **settings)

    @app.get("/loop/<int:times>")
    def loop(times: int) -> Any:
        with get_db_connection() as conn, conn.cursor() as cursor:
            for number in range(times):
                cursor.execute("SELECT name FROM (VALUES (1, 'a')) AS t (id, name) WHERE id = %s", (number,))
        return jsonify(times)

    @app.get("/timed")
    def timed() -> Response:
        with get_db_connection() as conn:
            conn.cursor().execute("SELECT 1")
        return Response("ok", headers={"Server-Timing": "cache;dur=1.5", "x-query-count": "many"})

    @app.get("/stream")
    def stream() -> Response:
        conn = get_db_connection()
        cursor = conn.cursor()
        cursor.execute("SELECT 0")

        def rows() -> Iterator[str]:
            for number in range(9):
                cursor.execute("SELECT %s", (number,))
                yield str(number)

        return Response(rows())

    @app.get("/fails")
    def fails() -> str:
        loop(9)
        raise ZeroDivisionError

    return app


@pytest.fixture
def make_app(url: str) -> Iterator[Any]:
    """A function that makes the app with settings; afterwards nothing is watched."""
    yield lambda **settings: _app(url, **settings)
    watch.stop()
    close_pool()


@pytest.fixture
def ended() -> Iterator[list[RequestEnded]]:
    """The requests that ended."""
    found: list[RequestEnded] = []
    events.listen(RequestEnded, found.append)
    yield found
    events.unlisten(RequestEnded, found.append)


def test_a_request_ends_with_its_route_status_and_queries(make_app: Any, ended: list[RequestEnded]) -> None:
    client = make_app().test_client()
    client.get("/loop/2", headers={"X-Request-ID": "abc-1"})
    client.get("/nowhere")
    first, second = ended
    assert (first.method, first.route, first.status, first.queries) == ("GET", "/loop/<int:times>", 200, 2)
    assert (first.request_id, first.kind) == ("abc-1", "request")
    assert (second.route, second.status, second.queries) == ("", 404, 0)


@pytest.mark.parametrize("environment", ["production", "development"])
def test_the_route_is_known_when_flask_has_let_go_of_the_request(
    make_app: Any, ended: list[RequestEnded], environment: str
) -> None:
    """Also behind a middleware of the app's that hands a copy of the WSGI environment on, and answers late."""
    app = make_app(HARDEN_ENV=environment)
    watched, inner = app.wsgi_app, None

    def copying(environ: dict[str, Any], start_response: Any) -> Any:
        late: list[Any] = []
        body = inner(dict(environ), lambda *args: late.append(args))  # type: ignore[misc]
        start_response(*late[0])
        return body

    watch_of_requests = watched._app  # behind `Front`
    inner, watch_of_requests._app = watch_of_requests._app, copying
    client = app.test_client()
    for path in ("/loop/1", "/fails", "/nowhere"):
        client.get(path)
    request_end.flush()
    assert [each.route for each in ended] == ["/loop/<int:times>", "/fails", ""]


def test_a_streamed_body_s_queries_are_the_request_s(make_app: Any, ended: list[RequestEnded]) -> None:
    response = make_app().test_client().get("/stream")
    assert not ended
    assert response.get_data() == b"012345678"
    response.close()
    assert [(each.route, each.queries) for each in ended] == [("/stream", 10)]


def test_between_the_parts_of_a_body_its_log_is_not_at_work(make_app: Any, ended: list[RequestEnded]) -> None:
    client = make_app().test_client()
    first, second = client.get("/stream"), client.get("/stream")
    parts = [next(body) for body in (first.iter_encoded(), second.iter_encoded())]
    client.get("/loop/1")
    assert parts == [b"0", b"0"]
    first.get_data()
    second.get_data()
    first.close()
    second.close()
    assert [(each.route, each.queries) for each in ended] == [
        ("/loop/<int:times>", 1), ("/stream", 10), ("/stream", 10)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "path", "is_told"),
    [
        ("production", "/loop/1", False), ("production", "/nowhere", True), ("production", "/fails", True),
        ("development", "/loop/1", True), ("test", "/loop/1", True),
    ],
)  # fmt: skip
def test_the_id_is_told_where_it_failed_and_to_developers(
    make_app: Any, environment: str, path: str, is_told: bool
) -> None:
    client = make_app(HARDEN_ENV=environment).test_client()
    headers = client.get(path, headers={"X-Request-ID": "abc-1"}).headers
    assert headers.getlist("X-Request-ID") == (["abc-1"] if is_told else [])


@pytest.mark.parametrize("sent", ["a b", "x" * 129, "a\r\nSet-Cookie: x=1", "ä"])
def test_an_id_that_cannot_stand_in_a_header_is_replaced_in_the_answer(
    make_app: Any, ended: list[RequestEnded], sent: str
) -> None:
    client = make_app(HARDEN_ENV="production").test_client()
    headers = client.get("/nowhere", environ_overrides={"HTTP_X_REQUEST_ID": sent}).headers
    request_end.flush()
    (told,) = headers.getlist("X-Request-ID")
    assert len(told) == 16
    assert [each.request_id for each in ended] == [told]
    assert "Set-Cookie" not in headers


def test_strict_mode_raises_out_of_the_app(make_app: Any) -> None:
    client = make_app(DB_REPEATS="raise").test_client()
    assert client.get("/loop/5").status_code == 200
    with pytest.raises(
        RepeatsError, match=r"6 repeated queries in /loop/<int:times>.*test_request_watch.py:\d+ in loop"
    ):
        client.get("/loop/6")
    assert client.get("/loop/1").status_code == 200


def test_strict_mode_leaves_what_failed_already_alone(make_app: Any) -> None:
    app = make_app(DB_REPEATS="raise")
    assert app.test_client().get("/fails").status_code == 500
    app.testing = True
    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/fails")


def test_strict_mode_raises_at_the_end_of_a_streamed_body(make_app: Any) -> None:
    response = make_app(DB_REPEATS="raise").test_client().get("/stream")
    with pytest.raises(RepeatsError, match="9 repeated queries in /stream"):
        response.close() if response.get_data() else None


def test_strict_mode_closes_the_body_of_what_it_refuses() -> None:
    closed: list[bool] = []

    class Body(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def app(_: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Body([b"x"])

    def refuse(_: Any) -> None:
        raise RepeatsError("again and again")

    with pytest.raises(RepeatsError):
        RequestWatch(app, "streamed", None, refuse)({}, lambda *_: None)
    assert closed == [True]


@pytest.mark.parametrize("environment", ["development", "test"])
def test_developers_see_count_time_and_repeats_in_a_header(make_app: Any, environment: str) -> None:
    client = make_app(HARDEN_ENV=environment).test_client()
    headers = client.get("/loop/7").headers
    assert headers["X-Query-Count"] == "7"
    found = re.fullmatch(
        r'db;dur=([\d.]+);desc="7 queries, 1 repeat", total;dur=([\d.]+)', headers["Server-Timing"]
    )
    assert found is not None and 0 < float(found[1]) <= float(found[2])
    assert 'desc="1 query"' in client.get("/loop/1").headers["Server-Timing"]
    assert client.get("/nowhere").headers["X-Query-Count"] == "0"


def test_the_header_goes_on_where_the_app_s_own_ends(make_app: Any) -> None:
    headers = make_app(HARDEN_ENV="development").test_client().get("/timed").headers
    assert headers["Server-Timing"].startswith("cache;dur=1.5, db;dur=")
    assert headers.getlist("X-Query-Count") == ["1"]
    assert len(headers.getlist("Server-Timing")) == 1


def test_the_header_of_a_streamed_body_counts_so_far(make_app: Any) -> None:
    response = make_app(HARDEN_ENV="development").test_client().get("/stream")
    assert response.headers["X-Query-Count"] == "1"
    response.close()


def test_production_tells_nobody(make_app: Any) -> None:
    headers = make_app(HARDEN_ENV="production").test_client().get("/loop/7").headers
    assert not {"X-Query-Count", "Server-Timing"} & set(headers.keys())


def test_a_header_that_cannot_be_made_costs_the_response_nothing(
    make_app: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from backend import query_header

    def fail(*_: Any) -> None:
        raise RuntimeError("no")

    client = make_app(HARDEN_ENV="development").test_client()
    monkeypatch.setattr(query_header, "repeats_of", fail)
    monkeypatch.setattr(query_header, "_failed", set())
    with caplog.at_level(logging.ERROR):
        answers = [client.get("/loop/1") for _ in range(2)]
    assert [(answer.status_code, "X-Query-Count" in answer.headers) for answer in answers] == [(200, False)] * 2
    assert sum("header that counts" in record.getMessage() for record in caplog.records) == 1


def test_the_pool_s_errors_pass_through_as_ever(make_app: Any, ended: list[RequestEnded]) -> None:
    app = make_app()

    @app.get("/wrong")
    def wrong() -> None:
        get_db_connection().cursor().execute("SELECT nothing FROM nowhere")

    app.testing = True
    with pytest.raises(psycopg2.errors.UndefinedTable):
        app.test_client().get("/wrong")
    assert [(each.route, each.status, each.queries, each.groups[0].errors) for each in ended] == [
        ("/wrong", 500, 1, 1)
    ]
