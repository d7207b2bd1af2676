"""assert_queries and no_repeats fail with the statements and their lines, and only when they should."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from flask import Flask

from backend import (
    MonitorError,
    QueryCountError,
    RepeatsError,
    assert_queries,
    dropin,
    install,
    no_repeats,
    uninstall,
)


@pytest.fixture
def plain(dsn: str) -> Iterator[str]:
    """A DSN whose connections are pooled."""
    install(0)
    yield dsn
    uninstall()


def _loop(dsn: str, times: int) -> None:
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT 'first'::text AS first")
        for number in range(times):
            cursor.execute("SELECT n FROM generate_series(1, 3) n WHERE n = %s", (number,))


@pytest.mark.parametrize("times", [0, 1, 3])
def test_as_many_as_allowed_pass(plain: str, times: int) -> None:
    with assert_queries(max=4):
        _loop(plain, times)


def test_one_too_many_lists_the_statements_with_lines_and_counts_the_most_frequent_first(plain: str) -> None:
    with pytest.raises(QueryCountError) as caught, assert_queries(max=4):
        _loop(plain, 5)
    head, most, least, advice = str(caught.value).split("\n")
    assert head.startswith("6 queries in ")
    assert head.endswith(" ms, 1 repeat where there may be 4 at most")
    assert most.split()[:2] == ["5", "x"]
    assert "tests/backend/test_query_assertions.py:" in most
    assert " in _loop  select n from generate_series" in most
    assert least.split()[:2] == ["1", "x"]
    assert "one query per row" in advice or "ask for all of them" in advice
    assert (caught.value.count, caught.value.code) == (6, "H502")
    assert isinstance(caught.value, AssertionError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.count) == (str(caught.value), 6)


@pytest.mark.parametrize("exactly", [0, 2, 4])
def test_exactly_refuses_fewer_and_more(plain: str, exactly: int) -> None:
    with (
        pytest.raises(QueryCountError, match=f"where there may be exactly {exactly}"),
        assert_queries(exactly=exactly),
    ):
        _loop(plain, 2)


def test_exactly_that_many_pass(plain: str) -> None:
    with assert_queries(exactly=3):
        _loop(plain, 2)


def test_a_long_list_is_cut(plain: str) -> None:
    conn = psycopg2.connect(plain)
    with pytest.raises(QueryCountError) as caught, assert_queries(max=0), conn.cursor() as cursor:
        for number in range(30):
            cursor.execute(f"SELECT 1 AS column_{number}")
    conn.close()
    assert str(caught.value).count("\n") <= 24
    assert "  and 10 more" in str(caught.value)


@pytest.mark.parametrize("arguments", [{}, {"max": 1, "exactly": 1}, {"max": -1}, {"exactly": -1}])
def test_a_check_that_says_nothing_is_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="give one of them"):
        assert_queries(**arguments)


def test_decorated_functions_are_checked_and_named(plain: str) -> None:
    @assert_queries(max=2)
    def load() -> None:
        _loop(plain, 2)

    for _ in range(2):
        with pytest.raises(QueryCountError, match=r"load: 3 queries"):
            load()


def test_two_runs_of_a_line_are_a_pair_and_three_a_loop(plain: str) -> None:
    with no_repeats():
        _loop(plain, 2)
    with pytest.raises(RepeatsError) as caught, no_repeats():
        _loop(plain, 3)
    first, *_ = str(caught.value).split("\n")
    assert first.startswith("3 repeated queries in one block, ")
    assert "test_query_assertions.py:" in first
    assert [found.count for found in caught.value.found] == [3]
    assert caught.value.code == "H501"


def test_the_limit_can_be_another(plain: str) -> None:
    with no_repeats(limit=3):
        _loop(plain, 3)
    with pytest.raises(RepeatsError), no_repeats(limit=0):
        _loop(plain, 0)


def test_a_decorated_function_keeps_the_limit(plain: str) -> None:
    @no_repeats(limit=3)
    def load(times: int) -> None:
        _loop(plain, times)

    load(3)
    with pytest.raises(RepeatsError, match="load"):
        load(4)


def test_the_error_inside_is_the_one_that_is_seen(plain: str) -> None:
    with pytest.raises(ZeroDivisionError), assert_queries(max=0), no_repeats():
        _loop(plain, 5)
        raise ZeroDivisionError


def test_a_blind_check_does_not_pass(dsn: str) -> None:
    with pytest.raises(MonitorError), assert_queries(max=4):
        _loop(dsn, 1)
    with pytest.raises(MonitorError), no_repeats():
        _loop(dsn, 9)


def test_a_check_after_uninstall_is_blind_though_a_pool_is_still_in_memory(dsn: str) -> None:
    install(0)
    _loop(dsn, 1)
    drop_in = dropin.installed()
    assert drop_in is not None
    pools = list(drop_in.pools.values())
    uninstall()
    with pytest.raises(MonitorError), no_repeats():
        _loop(dsn, 9)
    assert pools


def test_an_allowed_line_is_no_repeat_but_counts(plain: str) -> None:
    with (
        assert_queries(exactly=4),
        no_repeats(),
        closing(psycopg2.connect(plain)) as conn,
        conn.cursor() as cursor,
    ):
        for number in range(4):
            cursor.execute(
                "SELECT %s",
                (number,),  # harden: allow-repeats: this is what the test is about
            )


def test_a_test_that_asks_in_a_loop_makes_no_loop_of_a_request(plain: str) -> None:
    """Otherwise queries of several lines over one helper have one caller: the line of the test."""
    app = Flask(__name__)

    @app.get("/")
    def index() -> str:
        _query(plain, 1)
        _query(plain, 2)
        _query(plain, 3)
        return ""

    client = app.test_client()
    for _ in range(2):
        with no_repeats():
            client.get("/")


def _query(dsn: str, value: int) -> None:
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT %s", (value,))
