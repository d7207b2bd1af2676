"""The type told for a Python value is the one that the server gives psycopg2's literal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.literal_types import literal_type

NAMES = {
    "integer": "integer", "bigint": "bigint", "numeric": "numeric", "boolean": "boolean", "date": "date",
    "timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone",
    "time": "time without time zone", "timetz": "time with time zone", "interval": "interval", "bytea": "bytea",
    "unknown": "unknown", "text[]": "text[]", "integer[]": "integer[]", "bigint[]": "bigint[]",
    "numeric[]": "numeric[]",
}  # fmt: skip
UTC = timezone.utc


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        yield connection


def type_at_server(conn: Any, value: Any) -> str:
    with conn.cursor() as cursor:
        cursor.execute("SELECT pg_typeof(%(value)s)", {"value": value})
        return str(cursor.fetchone()[0])


INTEGERS = st.sampled_from(
    [sign * (2**bits + by) for bits in (0, 31, 63, 64) for by in (-2, -1, 0, 1) for sign in (1, -1)]
)
VALUES = st.one_of(
    INTEGERS, st.integers(), st.booleans(), st.none(), st.text("ab'\\%", max_size=5), st.dates(),
    st.datetimes(), st.datetimes(timezones=st.just(UTC)), st.times(),
    st.timedeltas(timedelta(-9999), timedelta(9999)),
    st.binary(max_size=5), st.decimals(), st.floats(), st.lists(INTEGERS, max_size=3),
    st.lists(st.text("ab", max_size=2), max_size=3),
    st.lists(st.none() | st.integers() | st.text("a"), max_size=2),
)  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES)
def test_the_type_is_the_servers_or_is_not_told(conn: Any, value: Any) -> None:
    told = literal_type(value)
    if told:
        assert type_at_server(conn, value) == NAMES[told]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (7, "integer"), (2**31, "bigint"), (-(2**31), "integer"), (-(2**31) - 1, "bigint"), (2**63, "numeric"),
        (7.5, "numeric"), (7.0, "numeric"),
        (float("nan"), ""), (float("inf"), ""), (Decimal("1.50"), "numeric"), (Decimal("5"), ""),
        (Decimal("1E+2"), ""),
        (Decimal("NaN"), ""), (True, "boolean"), ("x", "unknown"), (None, "unknown"), (b"x", "bytea"),
        (date(2024, 1, 1), "date"), (datetime(2024, 1, 1), "timestamp"),
        (datetime(2024, 1, 1, tzinfo=UTC), "timestamptz"),
        (time(1), "time"), (timedelta(1), "interval"), ([1, 2], "integer[]"), ([1, 2**40], "bigint[]"),
        (["a"], "text[]"), ([], ""), ([1, None], ""), ([1, "a"], ""), ([[1]], ""), ((1, 2), ""), ({}, ""),
        (memoryview(b"x"), ""), (type("Text", (str,), {})("x"), ""),
    ],
)  # fmt: skip
def test_each_kind_of_value(value: Any, told: str) -> None:
    assert literal_type(value) == told
