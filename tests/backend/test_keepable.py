"""Which statements mean the same with a kept plan, told by their text."""

from __future__ import annotations

import pytest

from backend.keepable import SETTINGS, read


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 WHERE d >= 'today'",
        "SELECT E'Now'::timestamptz",
        "SELECT $$tomorrow$$::date",
        "SELECT 'yesterday12:00'::timestamp",
        "SELECT (%(x)s)::interval day",
        "SELECT CAST(%(x)s AS interval minute to second)",
        "SELECT a FROM t ORDER BY %(x)s",
        "SELECT a FROM t ORDER BY b, ((%(x)s)) DESC",
        "SELECT a FROM t GROUP BY %(x)s",
        "SELECT a FROM t GROUP BY GROUPING SETS ((a), (%(x)s))",
        "SELECT a FROM t GROUP BY ROLLUP (a, %(x)s)",
        "SELECT DISTINCT ON (a, %(x)s) a FROM t",
    ],
)
def test_what_a_kept_plan_would_answer_otherwise_is_not_kept(sql: str) -> None:
    assert not read(sql).is_keepable


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'known', 'nowhere', now(), current_date",
        "SELECT interval '1' day, %(x)s * interval '1 day'",
        "SELECT a FROM t ORDER BY a LIMIT %(x)s OFFSET %(y)s",
        "SELECT a FROM t ORDER BY similarity(%(x)s, a), b <-> %(y)s",
        "SELECT a FROM t JOIN u ON (%(x)s = u.id) WHERE a IN (1, %(y)s) GROUP BY a HAVING a > %(x)s",
        "SELECT DISTINCT ON (a) b, %(x)s AS x FROM t ORDER BY (a + %(x)s)",
        "SELECT a FROM (SELECT a FROM t ORDER BY a) v WHERE f(a, %(x)s)",
    ],
)
def test_what_means_the_same_is_kept(sql: str) -> None:
    reading = read(sql)
    assert reading.is_keepable
    assert reading.settings == ()


@pytest.mark.parametrize("literal", ["2024-01-01", "20240101", "1/2/24", "Jan 1 2024", "12:30", "-1 2:03"])
def test_a_literal_that_may_be_a_moment_depends_on_the_session_s_settings(literal: str) -> None:
    sql = f"SELECT * FROM t WHERE at > '{literal}' AND x = %(x)s AND y = %(x)s"
    assert read(sql) == (("x", "x"), SETTINGS, True)
