"""A request's queries by statement and line, whatever kind of statement, and however many."""

from __future__ import annotations

import sys
import threading
import tracemalloc
from typing import Any

import pytest
from psycopg2 import sql

from backend.lines import Call, rendered
from backend.query_group import MOST_DURATIONS, MOST_GROUPS
from backend.query_log import QueryLog


def note(
    log: QueryLog, query: Any, seconds: float = 0.001, rows: int = 1, values: Any = None, failed: int = 0
) -> None:
    frame = sys._getframe(1)
    log.note(query, seconds, rows, frame, frame.f_lasti, values, failed)


def test_runs_of_one_statement_from_one_line_are_one_group() -> None:
    log = QueryLog()
    for number in range(7):
        note(log, "SELECT name FROM t WHERE id = %s", 0.25, 2, (number,))
    (group,) = log.end()
    assert (group.count, group.seconds, group.slowest, group.rows, group.errors) == (7, 1.75, 0.25, 14, 0)
    assert group.durations == (0.25,) * 7
    assert group.statement.text == "select name from t where id = ?"
    assert group.site.endswith(" in test_runs_of_one_statement_from_one_line_are_one_group")
    assert group.method == "execute"
    assert not group.is_batch


def test_another_line_is_another_group() -> None:
    log = QueryLog()
    note(log, "SELECT 1")
    note(log, "SELECT 1")
    first, second = log.end()
    assert first.statement is second.statement
    assert first.site != second.site


def test_statements_that_differ_in_their_values_alone_are_one_group_with_its_callers() -> None:
    log = QueryLog()
    for number in range(8):
        note(log, f"SELECT name FROM t WHERE id = {number}", 0.25)
    (group,) = log.end()
    assert (group.count, group.seconds, group.is_same) == (8, 2.0, False)
    assert group.stack[0] == group.site


def test_a_failed_query_counts_as_one_and_as_an_error() -> None:
    log = QueryLog()
    note(log, "SELEC 1", rows=-1, failed=1)
    (group,) = log.end()
    assert (group.count, group.errors, group.rows) == (1, 1, 0)


@pytest.mark.parametrize(("values", "is_same"), [([(1,)] * 8, True), ([(n,) for n in range(8)], False)])
def test_a_line_that_repeats_is_looked_at_for_its_callers_and_whether_its_values_differ(
    values: list[Any], is_same: bool
) -> None:
    log = QueryLog()
    for each in values:
        note(log, "SELECT %s", values=each)
    (group,) = log.end()
    assert group.is_same is is_same
    assert group.stack[0] == group.site


def test_values_composed_into_a_statement_differ_as_parameters_do() -> None:
    log = QueryLog()
    for number in range(10):
        note(log, sql.SQL("SELECT {}").format(sql.Literal(number)))
    (group,) = log.end()
    assert (group.count, group.is_same) == (10, False)


def test_a_line_that_does_not_repeat_costs_no_look() -> None:
    log = QueryLog()
    for number in range(4):
        note(log, "SELECT %s", values=(number,))
    (group,) = log.end()
    assert (group.is_same, group.stack) == (None, ())


def test_nothing_of_the_values_is_kept() -> None:
    log = QueryLog()
    for number in range(10):
        note(log, "SELECT %s", values=(f"secret-{number}",))
    assert "secret" not in repr([vars_of(group) for group in log.groups()])


def vars_of(group: Any) -> list[Any]:
    return [*vars(group).values(), *(getattr(group.line, name) for name in type(group.line).__slots__)]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (b"SELECT 'x'", "select ?"),
        (sql.SQL("SELECT {} FROM {}").format(sql.Literal(1), sql.Identifier("My", "T")), 'select ? from "My"."T"'),
        (sql.SQL("SELECT 1"), "select ?"),
        (sql.SQL("SELECT {}").format(sql.Placeholder()), "select ?"),
        (sql.Composed([]), ""),
        (Call(("callproc", "CALL f()")), "call f()"),
        (Call(("copy_expert", b"COPY t TO STDOUT")), "copy t to stdout"),
        (Call(("executemany", sql.SQL("INSERT INTO t VALUES (%s)"))), "insert into t values (...)"),
        (None, "?"),
        (7, "?"),
    ],
)
def test_whatever_the_app_executes_has_a_text(query: Any, text: str) -> None:
    log = QueryLog()
    note(log, query)
    (group,) = log.end()
    assert group.statement.text == text
    assert group.method == (query[0] if isinstance(query, Call) else "execute")


def test_what_is_composed_anew_each_time_is_one_group() -> None:
    log = QueryLog()
    for number in range(3):
        note(log, sql.SQL("SELECT {} FROM t").format(sql.Literal(number)))
    assert [group.count for group in log.end()] == [3]


def test_rendering_leaves_values_out() -> None:
    assert rendered(sql.SQL("{} {}").format(sql.Literal("secret"), sql.Identifier("a"))) == '? "a"'


def test_a_very_long_statement_is_kept_in_part_and_still_is_one_group() -> None:
    log = QueryLog()
    for _ in range(3):
        note(log, "SELECT " + "1," * 500_000)
    (group,) = log.groups()
    assert len(group.line.statement.text) < 10_000
    assert group.count == 3


def test_many_different_statements_end_in_one_group_of_others() -> None:
    log = QueryLog()
    for number in range(MOST_GROUPS + 50):
        note(log, f"SELECT * FROM table_{number}")
    groups = log.end()
    assert len(groups) == MOST_GROUPS + 1
    assert (groups[-1].count, groups[-1].method) == (50, "other")
    assert log.sums()[0] == log.query_count == MOST_GROUPS + 50


def test_a_hundred_thousand_queries_take_little_memory_and_are_all_counted() -> None:
    log = QueryLog()
    tracemalloc.start()
    for _ in range(100_000):
        note(log, "SELECT 1", 0.5)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    (group,) = log.end()
    assert (group.count, group.seconds, group.slowest) == (100_000, 50_000.0, 0.5)
    assert len(group.durations) <= MOST_DURATIONS + 1
    assert used < 500_000


def test_an_inner_log_hands_its_queries_to_the_outer_one() -> None:
    outer, inner = QueryLog("block"), QueryLog()
    inner.outer = outer
    for log, runs in ((outer, 2), (inner, 3)):
        for _ in range(runs):
            note(log, "SELECT 1", 0.25)
    assert [group.count for group in inner.end()] == [3]
    assert [(group.count, group.seconds) for group in outer.end()] == [(5, 1.25)]


def test_two_logs_are_two_although_both_are_empty() -> None:
    one, other = QueryLog(), QueryLog()
    assert one != other
    assert not one == other  # noqa: SIM201
    assert len({one, other}) == 2


def test_a_look_at_what_another_thread_has_counted_meanwhile_does_nothing() -> None:
    log = QueryLog()
    note(log, "SELECT 1")
    log.groups()
    log.look(None, sys._getframe())
    assert log.query_count == 1


def test_a_log_that_is_over_takes_nothing_more() -> None:
    log = QueryLog()
    log.end()
    note(log, "SELECT 1")
    assert log.groups() == []


def test_inner_logs_that_end_in_several_threads_lose_nothing() -> None:
    outer = QueryLog("block")

    def work() -> None:
        for _ in range(200):
            inner = QueryLog()
            inner.outer = outer
            note(inner, "SELECT 1")
            inner.end()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outer.query_count == 1600
