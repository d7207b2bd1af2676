"""Kept plans: the same answers and the same errors as without, in every kind of session; and bounded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import AsIs, ISQLQuote, adapters, register_adapter

from backend import PoolOptions, many, one
from scripts.stack.bouncer import Bouncer
from tests.support.sql import query, run

from .conftest import MakePool

NODE = one(
    "SELECT %(id)s::bigint AS id, {rows}",
    rows=many("SELECT n, 'a%' LIKE '%%' AS y FROM generate_series(1, %(id)s) n ORDER BY n LIMIT 2"),
)
WANTED = {"id": 3, "rows": [{"n": 1, "y": True}, {"n": 2, "y": True}]}


@contextmanager
def leased(pool: Any, autocommit: bool = True) -> Iterator[Any]:
    conn = pool.getconn()
    try:
        conn.autocommit = autocommit
        yield conn
    finally:
        pool.putconn(conn)


def kept(conn: Any) -> list[str]:
    """Return the statements that the server has prepared in this session."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements ORDER BY prepare_time, name")
        return [name for (name,) in cursor.fetchall()]


@pytest.fixture
def pool(make_pool: MakePool) -> Any:
    return make_pool(1, 1)


def test_from_the_second_time_on_the_plan_is_kept_over_leases(pool: Any) -> None:
    for times in range(5):
        with leased(pool) as conn:
            assert NODE.fetch(conn, id=3) == WANTED
            assert len(kept(conn)) == (times > 0)


def test_it_is_the_kept_plan_that_runs(pool: Any) -> None:
    with leased(pool) as conn:
        for _ in range(8):
            assert NODE.fetch(conn, id=3) == WANTED
        with conn.cursor() as cursor:
            cursor.execute("SELECT generic_plans + custom_plans FROM pg_prepared_statements")
            assert cursor.fetchall() == [(7,)]


def test_each_set_of_types_is_a_statement_of_its_own_with_the_answers_of_the_plain_one(pool: Any) -> None:
    node = one("SELECT %(x)s = 7 AS same, pg_typeof(%(x)s)::text AS kind")
    with leased(pool) as conn:
        for value in (7, 7.5, 7.0, 2**40, Decimal("7.0"), Decimal(7), 7, 7.5, 7.0, 2**40, Decimal("7.0")):
            assert node.fetch(conn, x=value) == node.fetch(conn, x=value)
            with conn.cursor() as cursor:
                cursor.execute(node.sql, {"x": value})
                assert node.fetch(conn, x=value) == cursor.fetchone()[0]
        assert len(kept(conn)) == 3


def test_a_number_with_a_fraction_is_not_rounded_into_an_id(pool: Any) -> None:
    node = many("SELECT n FROM generate_series(1, 9) n WHERE n = %(n)s")
    with leased(pool) as conn:
        for _ in range(3):
            assert node.fetch(conn, n=7.5) == []
            assert node.fetch(conn, n=8) == [{"n": 8}]


def test_one_text_in_two_places_is_read_by_each_in_its_own_way(pool: Any) -> None:
    node = one("SELECT %(t)s::date AS day, %(t)s::timestamp AS at, %(t)s::text AS text")
    with leased(pool) as conn:
        for _ in range(3):
            assert node.fetch(conn, t="2024-01-01 10:00") == {
                "day": "2024-01-01", "at": "2024-01-01T10:00:00", "text": "2024-01-01 10:00",
            }  # fmt: skip
        assert len(kept(conn)) == 1


@pytest.mark.parametrize("autocommit", [True, False])
def test_what_cannot_be_prepared_is_answered_as_it_is(make_pool: MakePool, autocommit: bool) -> None:
    """`interval %s` and `$1 IS NULL` are no syntax for a parameter, or have no type."""
    pool = make_pool(1, 1)
    node = one("SELECT interval %(t)s + interval '1 hour' AS i, %(n)s IS NULL AS no")
    for _ in range(4):
        with leased(pool, autocommit) as conn:
            assert node.fetch(conn, t="1 day", n=None) == {"i": "1 day 01:00:00", "no": True}
            assert query(conn, "SELECT 1") == 1
            assert not kept(conn)


@pytest.mark.parametrize("clause", ["ORDER BY %(c)s", "ORDER BY 3, %(c)s DESC", "GROUP BY a, b, %(c)s ORDER BY 1"])
def test_a_number_in_order_by_is_a_position_and_nothing_is_kept(pool: Any, clause: str) -> None:
    node = many(f"SELECT a, b, 1 AS c FROM (VALUES (1, 2), (2, 1)) v (a, b) {clause}")
    with leased(pool) as conn:
        answers = {node.json(conn, c=2) for _ in range(4)}
        assert len(answers) == 1
        assert not kept(conn)


def test_a_parameter_in_limit_after_an_order_is_kept(pool: Any) -> None:
    node = many("SELECT n FROM generate_series(1, 3) n ORDER BY n, n DESC LIMIT %(n)s OFFSET %(o)s")
    with leased(pool) as conn:
        for _ in range(3):
            assert node.fetch(conn, n=1, o=1) == [{"n": 2}]
        assert len(kept(conn)) == 1


def test_inside_a_transaction_nothing_is_prepared_so_nothing_can_fail_of_it(pool: Any) -> None:
    with leased(pool, autocommit=False) as conn:
        run(conn, "SELECT 1")
        for _ in range(4):
            assert NODE.fetch(conn, id=3) == WANTED
        assert not kept(conn)


def test_as_the_first_of_a_transaction_it_is_kept_and_seen_by_it(pool: Any) -> None:
    for times in range(4):
        with leased(pool, autocommit=False) as conn:
            assert NODE.fetch(conn, id=3) == WANTED
            assert conn.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INTRANS
            assert len(kept(conn)) == (times > 0)


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("wipe", ["DISCARD ALL", "DEALLOCATE ALL", "DISCARD PLANS"])
def test_a_session_wiped_by_the_app_is_noticed_and_the_answer_is_there(
    make_pool: MakePool, wipe: str, autocommit: bool
) -> None:
    pool = make_pool(1, 1)
    for _ in range(2):
        for _ in range(3):
            with leased(pool, autocommit) as conn:
                assert NODE.fetch(conn, id=3) == WANTED
        with leased(pool) as conn:
            run(conn, wipe)
    with leased(pool, autocommit) as conn:
        assert NODE.fetch(conn, id=3) == WANTED


def test_a_schema_change_is_followed(pool: Any) -> None:
    node = many("SELECT t.* FROM kept_items t ORDER BY t.id")
    with leased(pool) as conn:
        try:
            run(conn, "CREATE TABLE kept_items (id int); INSERT INTO kept_items VALUES (1)")
            assert [node.fetch(conn) for _ in range(3)] == [[{"id": 1}]] * 3
            run(conn, "ALTER TABLE kept_items ADD name text DEFAULT 'n'")
            assert node.fetch(conn) == [{"id": 1, "name": "n"}]
            run(conn, "ALTER TABLE kept_items ALTER id TYPE text")
            assert node.fetch(conn) == [{"id": "1", "name": "n"}]
            run(conn, "DROP TABLE kept_items")
            with pytest.raises(psycopg2.errors.UndefinedTable):
                node.fetch(conn)
        finally:
            run(conn, "DROP TABLE IF EXISTS kept_items")


@pytest.mark.parametrize("autocommit", [True, False])
def test_errors_of_values_are_those_of_the_plain_statement(make_pool: MakePool, autocommit: bool) -> None:
    pool = make_pool(1, 1)
    node = one("SELECT 1 / %(n)s AS x")
    for number in (1, 1, 1):
        with leased(pool, autocommit) as conn:
            assert node.fetch(conn, n=number) == {"x": 1}
    for _ in range(2):
        with leased(pool, autocommit) as conn, pytest.raises(psycopg2.errors.DivisionByZero):
            node.fetch(conn, n=0)
    with leased(pool, autocommit) as conn:
        assert node.fetch(conn, n=1) == {"x": 1}


def test_a_timeout_is_not_tried_again(make_pool: MakePool) -> None:
    pool = make_pool(1, 1, statement_timeout_ms=300)
    node = one("SELECT pg_sleep(%(s)s)::text AS x")
    with leased(pool) as conn:
        assert [node.fetch(conn, s=0) for _ in range(3)] == [{"x": ""}] * 3
        run(conn, "CREATE TEMP SEQUENCE tries")
        slow = one("SELECT nextval('tries') AS n, pg_sleep(%(s)s)::text AS x")
        for _ in range(3):
            slow.fetch(conn, s=0)
        with pytest.raises(psycopg2.errors.QueryCanceled):
            slow.fetch(conn, s=5)
        assert query(conn, "SELECT last_value FROM tries") == 4


def test_no_more_than_kept_plans_per_connection(make_pool: MakePool) -> None:
    pool = make_pool(1, 1, kept_plans=3)
    with leased(pool) as conn:
        for number in range(10):
            for _ in range(2):
                assert one(f"SELECT {number} AS n").fetch(conn) == {"n": number}
        assert len(kept(conn)) == 3


@pytest.mark.parametrize(
    "options", [{"kept_plans": 0}, {"reset": "reset"}, {"reset": "watch"}, {"reset": "pgbouncer"}]
)
def test_nothing_is_kept_where_it_is_not_wanted_or_the_session_is_not_ours(
    make_pool: MakePool, options: dict[str, Any]
) -> None:
    pool = make_pool(1, 1, **options)
    for _ in range(4):
        with leased(pool) as conn:
            assert NODE.fetch(conn, id=3) == WANTED
            assert not kept(conn)


def test_nothing_is_kept_on_a_connection_of_the_apps_own(dsn: str) -> None:
    with closing(psycopg2.connect(dsn)) as conn:
        conn.autocommit = True
        for _ in range(4):
            assert NODE.fetch(conn, id=3) == WANTED
        assert not kept(conn)


def test_behind_transaction_pooling_by_mistake_every_answer_is_right(
    bouncer: Bouncer, make_pool: MakePool
) -> None:
    """The pool was not told of PgBouncer; other clients use the same server sessions."""
    pool = make_pool(0, 4, connect={"dsn": bouncer.url("app", "app")})
    nodes = [one(f"SELECT {number} AS n, %(x)s::int AS x") for number in range(3)]
    wrong: list[Any] = []

    def ask() -> None:
        for times in range(30):
            with leased(pool) as conn:
                got = nodes[times % 3].fetch(conn, x=times)
                if got != {"n": times % 3, "x": times}:
                    wrong.append(got)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong


def test_another_encoding_still_gives_utf8(make_pool: MakePool) -> None:
    pool = make_pool(1, 1)
    for _ in range(3):
        with leased(pool) as conn:
            conn.set_client_encoding("LATIN1")
            assert one("SELECT 'é' || %(x)s AS x").json(conn, x="ü") == '{"x":"éü"}'.encode()


@pytest.mark.parametrize("factory", [psycopg2.extras.RealDictCursor, psycopg2.extras.DictCursor])
def test_any_cursor_class(make_pool: MakePool, factory: Any) -> None:
    pool = make_pool(1, 1, connect={"cursor_factory": factory})
    for _ in range(3):
        with leased(pool) as conn:
            assert NODE.fetch(conn, id=3) == WANTED


VALUE = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text("a'%\\{}", max_size=4), st.none(),
    st.booleans(),
    st.decimals(allow_nan=False, allow_infinity=False, places=2), st.dates(), st.datetimes(),
    st.lists(st.integers(-5, 2**40), min_size=1, max_size=3), st.binary(max_size=3),
)  # fmt: skip
SHOWN = one("SELECT {v}", v=one("SELECT %(a)s AS a, pg_typeof(%(a)s)::text AS kind, CAST(%(b)s AS text) AS b"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a=VALUE, b=VALUE)
def test_any_values_give_the_same_with_and_without_a_kept_plan(pool: Any, dsn: str, a: Any, b: Any) -> None:
    with leased(pool) as conn:
        answers = {SHOWN.json(conn, a=a, b=b) for _ in range(3)}
        with conn.cursor() as cursor:
            cursor.string_types = {114: psycopg2.extensions.BYTES}
            cursor.execute(SHOWN.sql, {"a": a, "b": b})
            answers.add(cursor.fetchone()[0])
    kinds = {answer.replace(b'"text"', b'"unknown"') for answer in answers}
    assert len(kinds) == 1


def test_moments_are_compared_as_the_plain_statement_does(pool: Any) -> None:
    node = one("SELECT timestamptz '2024-01-01 10:00+00' < %(t)s AS x")
    at = datetime(2024, 1, 1, 10, 0, 1, tzinfo=timezone.utc)
    with leased(pool) as conn:
        assert [node.fetch(conn, t=at)["x"] for _ in range(3)] == [True] * 3
        assert [node.fetch(conn, t=date(2024, 1, 1))["x"] for _ in range(3)] == [False] * 3


def test_the_option_is_a_count() -> None:
    assert PoolOptions(kept_plans=0).kept_plans == 0


@pytest.mark.parametrize(
    ("setting", "values", "sql"),
    [
        ("TimeZone", ("UTC", "Asia/Tokyo"), "SELECT extract(epoch FROM timestamptz '2024-01-01 00:00')::int AS x"),
        ("DateStyle", ("ISO, MDY", "ISO, DMY"), "SELECT date '01/02/2024' AS x"),
        ("IntervalStyle", ("postgres", "sql_standard"), "SELECT extract(epoch FROM interval '-1 2:03:04') AS x"),
    ],
)
def test_a_moment_in_the_sql_is_read_by_the_settings_of_now(
    pool: Any, setting: str, values: tuple[str, str], sql: str
) -> None:
    node = one(sql)
    with leased(pool) as conn:
        for value in values * 3:
            run(conn, f"SET {setting} TO '{value}'")
            assert node.fetch(conn) == query(conn, node.sql)
        assert len(kept(conn)) == 2


def test_now_as_a_literal_is_always_now(pool: Any) -> None:
    node = one("SELECT timestamptz 'now' = now() AS x")
    with leased(pool) as conn:
        assert all(node.fetch(conn) == {"x": True} for _ in range(4))
        assert not kept(conn)


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT CAST(%(x)s AS interval day) AS y", "5"),
        ("SELECT %(x)s::interval hour AS y", "5"),
        ("SELECT %(x)s::text AS y", -5),
        ("SELECT %(x)s :: smallint AS y", -32768),
        ("SELECT array_agg(v) AS y FROM (SELECT * FROM (VALUES (1, 2), (2, 1)) w (a, b) ORDER BY (%(x)s)) v", 2),
        ("SELECT array_agg(v) AS y FROM (SELECT DISTINCT ON (%(x)s) a FROM (VALUES (1), (2)) w (a)) v", 1),
        ("SELECT array_agg(v) AS y FROM (SELECT a FROM (VALUES (1), (2)) w (a) GROUP BY ((%(x)s))) v", 1),
    ],
)
def test_it_does_not_depend_on_whether_a_plan_was_kept(pool: Any, sql: str, value: Any) -> None:
    node = one(sql)
    with leased(pool) as conn:
        wanted = query(conn, node.sql.replace("%(x)s", "%s"), value)
        assert [node.fetch(conn, x=value) for _ in range(4)] == [wanted] * 4


def test_values_that_cannot_be_sent_do_not_end_the_keeping(pool: Any) -> None:
    node = one("SELECT %(x)s::text AS x")
    with leased(pool) as conn:
        for number in range(6):
            with pytest.raises(ValueError, match="NUL"):
                node.fetch(conn, x="\0")
            assert node.fetch(conn, x=str(number)) == {"x": str(number)}
        assert len(kept(conn)) == 1


def test_a_missing_table_does_not_end_the_keeping(pool: Any) -> None:
    node = one("SELECT count(*) AS n FROM not_yet")
    with leased(pool) as conn:
        for _ in range(6):
            with pytest.raises(psycopg2.errors.UndefinedTable):
                node.fetch(conn)
        run(conn, "CREATE TEMP TABLE not_yet ()")
        assert [node.fetch(conn) for _ in range(3)] == [{"n": 0}] * 3
        assert len(kept(conn)) == 1


def test_with_a_wait_callback_as_gevent_has_it(pool: Any) -> None:
    psycopg2.extensions.set_wait_callback(psycopg2.extras.wait_select)
    try:
        with leased(pool) as conn:
            assert all(NODE.fetch(conn, id=3) == WANTED for _ in range(4))
            assert len(kept(conn)) == 1
    finally:
        psycopg2.extensions.set_wait_callback(None)


def test_with_an_adapter_of_the_apps_own_nothing_is_kept(pool: Any) -> None:
    usual = adapters[float, ISQLQuote]
    register_adapter(float, lambda value: AsIs(f"{value!r}::float8"))
    try:
        node = one("SELECT %(x)s + 0.2 = 0.3 AS same")
        with leased(pool) as conn:
            assert [node.fetch(conn, x=0.1) for _ in range(4)] == [{"same": False}] * 4
            assert not kept(conn)
    finally:
        register_adapter(float, usual)
