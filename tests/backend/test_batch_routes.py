"""A dashboard as one request: each part with its own status, on one lease, as a rule in one statement."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from flask import Flask, abort, g

from backend import (
    FLASK_JSON,
    BatchError,
    Hardening,
    Part,
    batch_routes,
    formatted,
    get_db_connection,
    get_pool,
    many,
    one,
    stored,
    transaction,
)
from backend.declared import day, optional, text, whole, wholes
from scripts.stack.bouncer import Bouncer

Asks = Callable[..., Any]
NUMBERS = many("SELECT n FROM generate_series(1, %(most)s) n")
NAMED = one("SELECT n AS id, 'no. ' || n AS name FROM generate_series(1, 3) n WHERE n = %(id)s")
BROKEN = one("SELECT 1 / (%(by)s - 1) AS x")
SLOW = one("SELECT pg_sleep(%(seconds)s)::text AS slept")
TX = one("""
    SELECT pg_backend_pid() AS pid, current_setting('transaction_isolation') AS level,
           current_setting('transaction_read_only') AS ro""")
PARTS: dict[str, Any] = {
    "numbers": Part(NUMBERS, takes={"most": optional(whole(0, 100), 2)}),
    "named": Part(NAMED, takes={"id": whole()}),
    "broken": Part(BROKEN, takes={"by": whole()}),
    "slow": Part(SLOW, takes={"seconds": float}),
    "plain": many("SELECT '100%%' AS share, '%%(most)s' AS text"),
    "tx": TX,
    "secret": Part(NUMBERS, takes={"most": whole()}, allowed=lambda asked: asked["most"] < 3),
}


@pytest.fixture
def ask(url: str) -> Asks:
    def make(parts: dict[str, Any], **options: Any) -> Any:
        app = Flask(__name__)
        Hardening(app, DATABASE_URL=url, DB_POOL_MAX=1, DB_POOL_TIMEOUT=2)
        app.register_blueprint(batch_routes("dashboard", parts, "/api/dashboard", **options))
        return app.test_client()

    return make


@pytest.fixture
def client(ask: Asks) -> Any:
    return ask(PARTS)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The texts that connections of the pool send."""
    from backend import connection

    sent: list[str] = []
    kind = connection.Shared
    made = kind.cursor

    def cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
        class Noting(psycopg2.extensions.cursor):
            def execute(self, query: Any, vars: Any = None) -> None:
                sent.append(str(query))
                super().execute(query, vars)

        return made(self, *args, **{**kwargs, "cursor_factory": Noting})

    monkeypatch.setattr(kind, "cursor", cursor)
    yield sent


def post(client: Any, body: Any) -> Any:
    # Dumped here: the client's own json= would sort the parts.
    return client.post("/api/dashboard", data=json.dumps(body), content_type="application/json")


def test_several_parts_are_answered_by_one_request(client: Any) -> None:
    answer = client.get("/api/dashboard?parts=numbers,named,plain&named.id=3")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.json == {
        "numbers": {"status": 200, "data": [{"n": 1}, {"n": 2}]},
        "named": {"status": 200, "data": {"id": 3, "name": "no. 3"}},
        "plain": {"status": 200, "data": [{"share": "100%", "text": "%(most)s"}]},
    }
    assert post(client, {"numbers": {}, "named": {"id": 3}, "plain": {}}).json == answer.json
    again = client.get(
        "/api/dashboard?parts=numbers,named,plain&named.id=3", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")


def test_nested_queries_are_one_round_trip_and_equal_ones_run_once(client: Any, statements: list[str]) -> None:
    answer = post(
        client,
        {
            "a:numbers": {"most": 1},
            "b:numbers": {"most": 1},
            "c:numbers": {"most": 2},
            "named": {"id": 1},
            "tx": {},
        },
    )
    assert answer.status_code == 200
    assert answer.json["a"] == answer.json["b"] == {"status": 200, "data": [{"n": 1}]}
    assert answer.json["c"]["data"] == [{"n": 1}, {"n": 2}]
    assert (answer.json["tx"]["data"]["level"], answer.json["tx"]["data"]["ro"]) == ("read committed", "on")
    assert len(statements) == 1
    assert statements[0].count("generate_series") == 3
    assert answer.data.index(b'"a"') < answer.data.index(b'"c"') < answer.data.index(b'"tx"')


def test_a_part_that_fails_leaves_the_others_served(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    answer = post(client, {"numbers": {}, "broken": {"by": 1}, "named": {"id": 9}, "nobody": {}, "slow": {}})
    assert answer.status_code == 207
    assert answer.json == {
        "numbers": {"status": 200, "data": [{"n": 1}, {"n": 2}]},
        "broken": {"status": 500, "error": "this part failed"},
        "named": {"status": 404, "error": "there is nothing of that kind"},
        "nobody": {"status": 404, "error": "there is no such part"},
        "slow": {"status": 400, "code": "H341",
                 "error": "parameter seconds is missing; it must be another value"},
    }  # fmt: skip
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.exc_info and "division by zero" in str(record.exc_info[1])
    assert post(client, {"broken": {"by": 1}}).json["broken"]["status"] == 500
    assert post(client, {"broken": {"by": 2}}).json["broken"] == {"status": 200, "data": {"x": 1}}


def test_each_part_has_its_own_permission_which_is_asked_before_any_sql(ask: Asks, statements: list[str]) -> None:
    def nobody(_: Any) -> bool:
        abort(401, "log in first")

    parts = {"mine": Part(NUMBERS, takes={"most": whole()}, allowed=lambda asked: asked["most"] == 1),
             "theirs": Part(NUMBERS, takes={"most": whole()}, allowed=nobody)}  # fmt: skip
    client = ask(parts)
    answer = post(client, {"mine": {"most": 1}, "more:mine": {"most": 2}, "theirs": {"most": 1}})
    assert answer.json == {
        "mine": {"status": 200, "data": [{"n": 1}]},
        "more": {"status": 403, "error": "not allowed"},
        "theirs": {"status": 401, "error": "log in first"},
    }
    statements.clear()
    assert post(client, {"theirs": {"most": 1}}).status_code == 207
    assert statements == []


def test_what_the_app_gives_cannot_be_sent_by_a_client(ask: Asks) -> None:
    part = Part(NAMED, given=lambda: {"id": g.customer_id})
    client = ask({"me": part})
    client.application.before_request(lambda: setattr(g, "customer_id", 2))
    assert post(client, {"me": {}}).json["me"]["data"]["id"] == 2
    assert post(client, {"me": {"id": 3}}).json["me"]["status"] == 400


def test_functions_stored_and_formatted_queries_share_the_lease_with_the_rest(ask: Asks) -> None:
    def count(conn: Any, most: int) -> dict[str, Any]:
        with get_db_connection() as nested, transaction() as deeper:
            assert nested is conn and deeper is conn
        with conn.cursor() as cursor:
            cursor.execute("SELECT count(*), pg_backend_pid() FROM generate_series(1, %s)", (most,))
            number, pid = cursor.fetchone()
        return {"count": number, "pid": pid}

    def fails(conn: Any) -> None:
        with conn.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    def writes(conn: Any) -> None:
        with conn.cursor() as cursor:
            cursor.execute("CREATE TABLE never (n int)")

    parts = {**PARTS, "count": Part(count, takes={"most": whole()}), "fails": fails, "writes": writes,
             "ready": lambda conn: b'{"as": "it is"}', "odd": lambda conn: object(),
             "kept": Part(stored(NUMBERS, "kept_numbers", most="int"), takes={"most": whole()}),
             "old": formatted(many("SELECT date '2024-03-01' AS day"), FLASK_JSON)}  # fmt: skip
    asked = {"fails": {}, "numbers": {}, "tx": {}, "writes": {}, "count": {"most": 5}, "kept": {"most": 1},
             "odd": {}, "old": {}, "ready": {}, "named": {"id": 1}}  # fmt: skip
    answer = post(ask(parts), asked)
    found = {name: part.get("data", part["status"]) for name, part in answer.json.items()}
    assert found == {
        "fails": 500, "numbers": [{"n": 1}, {"n": 2}], "tx": found["tx"], "writes": 500, "kept": [{"n": 1}],
        "count": {"count": 5, "pid": found["tx"]["pid"]}, "odd": 500, "ready": {"as": "it is"},
        "old": [{"day": "Fri, 01 Mar 2024 00:00:00 GMT"}], "named": {"id": 1, "name": "no. 1"},
    }  # fmt: skip


def test_a_snapshot_shows_one_moment_to_all_parts(ask: Asks, dsn: str) -> None:
    with closing(psycopg2.connect(dsn)) as other, other.cursor() as cursor:
        other.autocommit = True
        cursor.execute("CREATE TABLE moments (n int)")
        try:
            count = one("SELECT count(*) AS c, current_setting('transaction_isolation') AS level FROM moments")

            def add(conn: Any) -> int:
                cursor.execute("INSERT INTO moments VALUES (1)")
                return 1

            late = formatted(count, FLASK_JSON)  # runs by itself, behind the function
            parts = {"before": count, "add": add, "after": late}
            for snapshot, seen in ((True, 0), (False, 2)):
                found = post(ask(parts, snapshot=snapshot), {"before": {}, "add": {}, "after": {}}).json
                assert found["after"]["data"]["c"] == seen
                assert found["after"]["data"]["level"] == ("repeatable read" if snapshot else "read committed")
            assert (
                post(ask(parts, snapshot=True), {"before": {}}).json["before"]["data"]["level"]
                == "repeatable read"
            )
        finally:
            cursor.execute("DROP TABLE moments")


def test_the_time_of_a_batch_ends_its_statements_and_then_what_comes_behind(ask: Asks) -> None:
    client = ask(
        {**PARTS, "after": lambda conn: 1, "sleeps": lambda conn: SLOW.fetch(conn, seconds=30)}, timeout=0.2
    )
    late = {"status": 504, "error": "the time of this request was used up"}
    assert post(client, {"slow": {"seconds": 30}, "numbers": {}}).json == {"slow": late, "numbers": late}
    answer = post(client, {"sleeps": {}, "after": {}, "numbers": {}}).json
    assert (answer["sleeps"], answer["after"], answer["numbers"]["status"]) == (late, late, 200)
    assert post(client, {"numbers": {}}).status_code == 200
    with get_db_connection() as conn, conn.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] != "200ms"


def test_a_connection_that_is_in_a_transaction_already_is_shared_and_left_as_it_was(ask: Asks) -> None:
    client = ask(PARTS)
    app = client.application
    seen: list[Any] = []

    @app.before_request
    def load_user() -> None:
        g.conn = get_db_connection().__enter__()
        g.conn.cursor().execute("CREATE TEMP TABLE mine ON COMMIT DROP AS SELECT 1 AS n")

    @app.after_request
    def look(response: Any) -> Any:
        with g.conn.cursor() as cursor:
            cursor.execute("INSERT INTO mine VALUES (2) RETURNING current_setting('statement_timeout')")
            seen.append(cursor.fetchone()[0])
        g.conn.__exit__(None, None, None)
        return response

    assert post(client, {"numbers": {}, "broken": {"by": 1}}).json["numbers"]["status"] == 200
    assert len(seen) == 1 and seen[0] != "10s"


def test_a_snapshot_cannot_begin_in_the_middle_of_a_transaction(ask: Asks) -> None:
    client = ask(PARTS, snapshot=True)
    client.application.testing = True
    client.application.before_request(lambda: get_db_connection().cursor().execute("SELECT 1"))
    with pytest.raises(BatchError, match="a snapshot cannot begin in a transaction that has run statements"):
        post(client, {"numbers": {}})


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "asks for 1 to 3 parts"), ("?parts=", "asks for 1 to 3 parts"), ("?parts=a,b,c,d", "asks for 1 to 3"),
        ("?parts=a,b,c,d,e,f", "as name or label:name"), ("?parts=numbers&most=1", "neither parts="),
        ("?parts=numbers&named.id=1", "neither parts="), ("?parts=a%22:numbers", "as name or label:name"),
        ("?parts=numbers&parts=named", "stands twice"),
        ("?parts=numbers&numbers.most=1&numbers.most=2", "stands twice"),
        ("?parts=a:b:c", "as name or label:name"),
    ],
)  # fmt: skip
def test_a_query_that_asks_for_nothing_clear_is_a_400(ask: Asks, query: str, said: str) -> None:
    answer = ask(PARTS, most=3).get(f"/api/dashboard{query}")
    assert (answer.status_code, answer.json["code"]) == (400, "H341")
    assert said in answer.json["error"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "must be JSON"), (b"[]", "object of objects"), (b'{"numbers": 1}', "object of objects"),
        (b'{"numbers": []}', "object of objects"), (b"[" * 9000, "must be JSON"), (b"\xff", "must be JSON"),
        (b"{}", "asks for 1 to 20"), (b'{"numbers": {}, "numbers": {"most": 1}}', "stands twice"),
        (b'{"numbers": {}, "numbers:named": {"id": 1}}', "two parts have one label"),
        (b'{"SELECT 1": {}}', "as name or label:name"), (b'{"numbers": {"most": 1, "most": 2}}', "stands twice"),
    ],
)  # fmt: skip
def test_a_body_that_asks_for_nothing_clear_is_a_400(client: Any, body: bytes, said: str) -> None:
    answer = client.post("/api/dashboard", data=body)
    assert (answer.status_code, answer.json["code"]) == (400, "H341")
    assert said in answer.json["error"]


def test_a_body_is_read_no_further_than_it_may_be_long(ask: Asks) -> None:
    client = ask(PARTS, longest=30)
    assert post(client, {"numbers": {}}).status_code == 200
    assert post(client, {"numbers": {"most": "9" * 30}}).status_code == 413
    assert client.post("/api/dashboard?parts=numbers", json={"numbers": {}}).status_code == 400
    assert client.put("/api/dashboard").status_code == 405


def test_a_lost_connection_is_told_and_the_next_request_has_a_new_one(
    ask: Asks, terminate: Callable[..., None]
) -> None:
    def dies(conn: Any) -> None:
        terminate(conn)
        conn.cursor().execute("SELECT 1")

    client = ask({**PARTS, "dies": dies, "last": lambda conn: 1})
    answer = post(client, {"numbers": {}, "dies": {}, "last": {}})
    assert answer.json == {
        "numbers": {"status": 200, "data": [{"n": 1}, {"n": 2}]},
        "dies": {"status": 503, "error": "the database does not answer"},
        "last": {"status": 503, "error": "the database does not answer"},
    }
    assert post(client, {"numbers": {}}).status_code == 200
    assert get_pool().stats()["used"] == 0


def test_it_works_behind_pgbouncer_in_transaction_mode(bouncer: Bouncer, database: str) -> None:
    app = Flask(__name__)
    Hardening(app, DATABASE_URL=bouncer.url(database, "app"), DB_PGBOUNCER="transaction", DB_POOL_MAX=1)
    parts = {**PARTS, "slept": lambda conn: 1}
    for snapshot in (False, True):
        app.register_blueprint(batch_routes(f"d{snapshot}", parts, snapshot=snapshot))
    for snapshot in (False, True):
        for body in ({"numbers": {}, "tx": {}}, {"numbers": {}, "tx": {}, "slept": {}}):
            answer = app.test_client().post(f"/d{snapshot}", json=body)
            assert answer.status_code == 200, answer.json
            assert answer.json["tx"]["data"]["level"] == ("repeatable read" if snapshot else "read committed")


def test_values_are_bound_and_stay_values(ask: Asks) -> None:
    echo = one("SELECT %(t)s::text AS t, %(d)s::date AS d, %(ids)s::bigint[] AS ids, %(t)s || '%%' AS u")
    client = ask({"echo": Part(echo, takes={"t": text(), "d": day(), "ids": wholes()})})
    for value in ("'; DROP TABLE x --", "%(p0_t)s %s %%", 'a"b\\', "Grüße 🚲"):
        sent = {"t": value, "d": "2024-02-29", "ids": [1, 2]}
        found = post(client, {"echo": sent, "two:echo": {**sent, "ids": []}}).json
        assert found["echo"]["data"] == {**sent, "u": value + "%"}
        assert found["two"]["data"]["ids"] == []
        assert json.loads(json.dumps(found)) == found


def test_what_cannot_be_a_dashboard_is_refused_when_the_app_starts() -> None:
    for parts, said in (
        ({}, "without parts"), ({"a b": NUMBERS}, "names no part"), ({"a": 1}, "not int"),
        ({"a": NUMBERS}, "takes="),
    ):  # fmt: skip
        with pytest.raises(BatchError, match=said):
            batch_routes("d", parts)
    with pytest.raises(BatchError, match="names \\['most'\\]"):
        Part(NUMBERS, takes={"most": whole(), "other": whole()})
    for limits in ({"most": 0}, {"timeout": 0}, {"timeout": float("nan")}, {"longest": 0}):
        with pytest.raises(BatchError, match="limits from"):
            batch_routes("d", PARTS, **limits)
