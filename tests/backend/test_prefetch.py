"""A loop's statements in one: the same answers, by whatever helper and cursor, and never an old one."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.sql import SQL, Identifier

from backend import BatchError, QueryCounter, install, prefetched, query_cache
from backend import connection as connections
from backend.ahead_sql import lateral
from backend.cached_cursor import at_work
from backend.summed_log import SummedLog

FACTORIES = [
    psycopg2.extensions.cursor, psycopg2.extras.RealDictCursor, psycopg2.extras.DictCursor,
    psycopg2.extras.NamedTupleCursor,
]  # fmt: skip
NOTES = "SELECT id, text FROM notes WHERE owner = %s ORDER BY id"
UNORDERED = "SELECT text, text AS \"Text\", id FROM notes WHERE owner = %s"
BY_TEXT = "SELECT * FROM notes WHERE text = %(text)s AND owner > %(least)s"
OWNERS = list(range(1, 8))


@pytest.fixture(autouse=True)
def _undressed() -> Iterator[None]:
    yield
    connections.dress = connections.overheard = None
    assert at_work.get() is None


@pytest.fixture(scope="module")
def filled(cluster: Any) -> Iterator[str]:
    """A database with notes: owner n has n - 1 of them, inserted out of order."""
    name = "prefetch_notes"
    with closing(psycopg2.connect(cluster.dsn("postgres"))) as conn:
        conn.autocommit = True
        conn.cursor().execute(f"DROP DATABASE IF EXISTS {name}")
        conn.cursor().execute(f"CREATE DATABASE {name}")
    with closing(psycopg2.connect(cluster.dsn(name))) as conn, conn:
        conn.cursor().execute(
            "CREATE TABLE notes"
            " (id serial PRIMARY KEY, owner int, text text, at timestamptz, price numeric(8, 2));"
            "INSERT INTO notes (owner, text, at, price) SELECT o, 'n' || o % 3, now(), o / 3.0"
            " FROM generate_series(1, 8) o, generate_series(2, o) ORDER BY random()"
        )
    yield cluster.dsn(name)
    with closing(psycopg2.connect(cluster.dsn("postgres"))) as conn:
        conn.autocommit = True
        conn.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def pooled(filled: str) -> Callable[[], Any]:
    install()
    return lambda **given: psycopg2.connect(filled, **given)


def _notes(conn: Any, owner: Any, sql: str = NOTES, **given: Any) -> list[Any]:
    with conn.cursor(**given) as cursor:
        cursor.execute(sql, (owner,))
        return cursor.fetchall()


def _sent(counter: Any) -> int:
    return int(counter.count)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("sql", [NOTES, UNORDERED])
def test_the_answers_are_those_of_the_loop_without_it(pooled: Any, factory: Any, sql: str) -> None:
    conn = pooled()
    plain = [_notes(conn, owner, sql, cursor_factory=factory) for owner in OWNERS]
    ahead = [
        _notes(conn, owner, sql, cursor_factory=factory)
        for owner in prefetched(OWNERS, (sql, lambda owner: (owner,)))
    ]
    assert ahead == plain
    assert [[type(row).__name__ for row in rows] for rows in ahead] == [
        [type(row).__name__ for row in rows] for rows in plain
    ]
    if factory is psycopg2.extras.RealDictCursor:
        assert [list(row) for rows in ahead for row in rows] == [list(row) for rows in plain for row in rows]
    conn.close()


def test_one_statement_is_sent_for_all_rows(pooled: Any) -> None:
    conn = pooled()
    with QueryCounter() as counter:
        for owner in prefetched(OWNERS, (NOTES, lambda owner: (owner,))):
            _notes(conn, owner)
    assert _sent(counter) == 1
    conn.close()


def test_a_helper_that_connects_by_itself_is_served_as_well(pooled: Any) -> None:
    def helper(owner: int) -> list[Any]:
        with closing(pooled()) as conn:
            return _notes(conn, owner)

    plain = [helper(owner) for owner in OWNERS]
    with QueryCounter() as counter:
        assert [helper(owner) for owner in prefetched(OWNERS, (NOTES, lambda owner: (owner,)))] == plain
    assert _sent(counter) == 1


def test_what_the_cursor_says_of_an_answer_is_what_it_says_of_one_statement(pooled: Any) -> None:
    conn = pooled()
    with conn.cursor() as cursor:
        for owner in prefetched(OWNERS, (UNORDERED, lambda owner: (owner,))):
            cursor.execute(UNORDERED, (owner,))
            columns = [column[:2] for column in cursor.description]
            said = cursor.rowcount, cursor.query, cursor.statusmessage, columns
            with psycopg2.extensions.cursor(conn) as plain:
                plain.execute(UNORDERED, (owner,))
                columns = [column[:2] for column in plain.description]
                assert said == (plain.rowcount, plain.query, plain.statusmessage, columns)
    conn.close()


def test_several_statements_are_announced_beside_each_other_and_in_loops_within(pooled: Any) -> None:
    conn = pooled()
    by_text = "SELECT count(*) FROM notes WHERE text = %s"

    def run(loop: Callable[..., Any]) -> list[Any]:
        found = []
        for owner in loop(OWNERS, (NOTES, lambda owner: (owner,))):
            for note in loop(_notes(conn, owner), (by_text, lambda note: (note[1],))):
                found.append((owner, note, _notes(conn, note[1], by_text)))
        return found

    plain = run(lambda rows, *_: rows)
    with QueryCounter() as counter:
        assert run(prefetched) == plain
    assert _sent(counter) <= 1 + len(OWNERS) - 1
    conn.close()


def test_a_write_in_the_loop_is_seen_by_what_follows(pooled: Any) -> None:
    conn = pooled()
    for owner in prefetched(OWNERS, (NOTES, lambda owner: (owner,))):
        with psycopg2.extensions.cursor(conn) as plain:
            plain.execute("SELECT count(*) FROM notes WHERE owner = %s", (owner,))
            (before,) = plain.fetchone()
        assert len(_notes(conn, owner)) == before
        with conn.cursor() as cursor:
            cursor.execute("INSERT INTO notes (owner, text) VALUES (%s, 'new')", (owner + 1,))
    conn.rollback()
    conn.close()


def test_another_connection_does_not_see_what_is_not_committed(pooled: Any) -> None:
    writer, reader = pooled(), pooled()
    with writer.cursor() as cursor:
        cursor.execute("INSERT INTO notes (owner, text) VALUES (3, 'mine')")
    for owner in prefetched([3, 4], (NOTES, lambda owner: (owner,))):
        mine, others = len(_notes(writer, owner)), len(_notes(reader, owner))
        assert (mine, others) == ((3, 2) if owner == 3 else (3, 3))
    writer.rollback()
    writer.close()
    reader.close()


@pytest.mark.parametrize("is_inside", [False, True])
def test_a_refused_batch_leaves_the_transaction_as_it_was(pooled: Any, is_inside: bool) -> None:
    """One of the values is none that the column takes: alone, it alone fails."""
    conn = pooled()
    sql = "SELECT count(*) FROM notes WHERE owner = %s"
    values = ["1", "2", "x", "4"]
    if is_inside:
        with conn.cursor() as cursor:
            cursor.execute("INSERT INTO notes (owner, text) VALUES (1, 'kept')")
    found: list[Any] = []
    for value in prefetched(values, (sql, lambda value: (value,))):
        try:
            found += _notes(conn, value, sql)
        except psycopg2.DataError:
            found.append("refused")
            break
    assert found == [(1 if is_inside else 0,), (1,), "refused"]
    conn.rollback()
    conn.close()


def test_what_does_not_match_is_sent(pooled: Any) -> None:
    conn = pooled()
    with QueryCounter() as counter:
        for owner in prefetched(OWNERS, (NOTES, lambda owner: (owner + 100,))):
            assert len(_notes(conn, owner)) == owner - 1
    assert _sent(counter) == len(OWNERS)
    conn.close()


def test_announced_and_never_run_is_told(caplog: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("backend.prefetch._unasked", SummedLog(logging.getLogger("backend.prefetch")))
    with caplog.at_level(logging.WARNING, "backend.prefetch"):
        list(prefetched(OWNERS, ("SELECT 1", lambda owner: (owner,))))
    assert "ran none of them in 7 rows" in caplog.text
    assert "test_prefetch.py" in caplog.text


def test_a_function_that_fails_leaves_its_row_to_the_body(pooled: Any) -> None:
    conn = pooled()
    rows = [{"id": 2}, {}, {"id": 3}]
    found = [len(_notes(conn, row.get("id"))) for row in prefetched(rows, (NOTES, lambda row: (row["id"],)))]
    assert found == [1, 0, 2]
    conn.close()


def test_volatile_and_locking_statements_are_each_sent(pooled: Any) -> None:
    conn = pooled()
    for sql in (
        "SELECT random(), %s", "SELECT nextval('notes_id_seq'), %s",
        "SELECT id FROM notes WHERE owner = %s FOR UPDATE",
    ):  # fmt: skip
        with QueryCounter() as counter:
            for owner in prefetched(OWNERS, (sql, lambda owner: (owner,))):
                _notes(conn, owner, sql)
        assert _sent(counter) == len(OWNERS), sql
    conn.rollback()
    conn.close()


def test_the_loop_sees_a_list_that_its_body_changes(pooled: Any) -> None:
    conn = pooled()
    rows = [1, 2, 3]
    seen = []
    for owner in prefetched(rows, (NOTES, lambda owner: (owner,))):
        seen.append((owner, len(_notes(conn, owner))))
        if owner == 2:
            rows.append(5)
    assert seen == [(1, 0), (2, 1), (3, 2), (5, 4)]
    conn.close()


def test_a_generator_is_read_ahead_by_chunks_alone(pooled: Any) -> None:
    conn = pooled()
    taken = []

    def owners() -> Iterator[int]:
        for owner in OWNERS:
            taken.append(owner)
            yield owner

    with QueryCounter() as counter:
        for owner in prefetched(owners(), (NOTES, lambda owner: (owner,)), chunk=3):
            assert len(_notes(conn, owner)) == owner - 1
            assert len(taken) <= owner + 3
    assert _sent(counter) == 3
    conn.close()


def test_break_and_errors_end_it(pooled: Any) -> None:
    conn = pooled()
    for owner in prefetched(OWNERS, (NOTES, lambda owner: (owner,))):
        _notes(conn, owner)
        break
    assert at_work.get() is None
    with pytest.raises(ZeroDivisionError):
        for owner in prefetched(OWNERS, (NOTES, lambda owner: (owner,))):
            1 / (owner - 1)
    assert at_work.get() is None
    conn.close()


def test_inside_a_query_cache_it_uses_that(pooled: Any) -> None:
    conn = pooled()
    with query_cache() as cache, QueryCounter() as counter:
        for _ in range(2):
            for owner in prefetched(OWNERS, (NOTES, lambda owner: (owner,))):
                assert len(_notes(conn, owner)) == owner - 1
        assert cache.ahead == []
    assert _sent(counter) <= 2
    conn.close()


def test_sql_of_psycopg2_and_trailing_ends_are_read(pooled: Any) -> None:
    conn = pooled()
    composed = SQL("SELECT count(*) FROM {} WHERE owner = %s; -- all").format(Identifier("notes"))
    with QueryCounter() as counter:
        for owner in prefetched(OWNERS, (composed, lambda owner: [owner])):
            with conn.cursor() as cursor:
                cursor.execute(composed, [owner])
                assert cursor.fetchone() == (owner - 1,)
    assert _sent(counter) == 1
    conn.close()


def test_a_value_in_quotes_or_in_a_limit_is_asked_as_it_was_written(pooled: Any) -> None:
    """What is no comparison cannot be a column: such statements are put together as they would have been sent."""
    conn = pooled()
    cursor = conn.cursor()
    for sql in ("SELECT id FROM notes ORDER BY id LIMIT %s", "SELECT id, '%s' FROM notes ORDER BY %s"):
        values = [(owner,) * sql.count("%s") for owner in (1, 2)]
        assert lateral(cursor, sql, values) is None
        plain = []
        for each in values:
            cursor.execute(sql, each)
            plain.append(cursor.fetchall())
        found = []
        for each in prefetched(values, (sql, lambda each: each)):
            with conn.cursor() as own:
                own.execute(sql, each)
                found.append(own.fetchall())
        assert found == plain
    conn.close()


def test_values_of_other_names_or_number_are_each_asked_as_they_are(pooled: Any) -> None:
    conn = pooled()
    sql = "SELECT count(*) FROM notes WHERE owner = %(id)s ORDER BY 1"
    values: list[Any] = [{"id": 2, "x": 2}, {"id": 3, "y": 3}, {"id": 4}]
    found = []
    for each in prefetched(values, (sql, lambda each: each)):
        with conn.cursor() as cursor:
            cursor.execute(sql, each)
            found.append(cursor.fetchone()[0])
    assert found == [1, 2, 3]
    conn.close()


def test_no_savepoint_is_left_in_a_transaction(pooled: Any) -> None:
    conn = pooled()
    _notes(conn, 1)
    for owner in prefetched(OWNERS, (NOTES, lambda owner: (owner,))):
        _notes(conn, owner)
    with pytest.raises(psycopg2.errors.InvalidSavepointSpecification):
        conn.cursor().execute("RELEASE SAVEPOINT harden_ahead")
    conn.rollback()
    conn.close()


def test_two_loops_side_by_side_are_both_asked_ahead(pooled: Any) -> None:
    conn = pooled()
    with QueryCounter() as counter:
        first = prefetched([1, 2], (NOTES, lambda owner: (owner,)))
        second = prefetched([3, 4, 5], (NOTES, lambda owner: (owner,)))
        pairs = [(next(first, None), next(second)) for _ in range(3)]
        for one, other in ((1, 3), (2, 4)):
            assert (one, other) in pairs
            _notes(conn, other)
    assert _sent(counter) <= 2
    second.close()
    conn.close()


@pytest.mark.parametrize("statements", [["SELECT 1"], [("SELECT 1",)], [(1, len)], [("SELECT 1", "x")]])
def test_what_announces_nothing_is_refused(statements: list[Any]) -> None:
    with pytest.raises(BatchError, match=r"give|no SQL"):
        prefetched([], *statements)


def test_a_chunk_of_nothing_is_refused() -> None:
    with pytest.raises(BatchError, match="at least 1"):
        prefetched([], chunk=0)


_VALUES = st.one_of(
    st.integers(-3, 9), st.sampled_from([2**31, -(2**31), 2**40]), st.none(), st.booleans(),
    st.sampled_from(["n0", "n1", "it's", "%s", "\\", "5", ""]), st.just(datetime.date(2026, 1, 1)),
)  # fmt: skip
_TEMPLATES = st.sampled_from([
    NOTES, UNORDERED,
    "SELECT * FROM notes WHERE owner::text = %s::text ORDER BY id",
    "SELECT %s AS asked, count(*) FROM notes",
    "SELECT id, text LIKE '%%1' FROM notes WHERE text = %s ORDER BY id DESC LIMIT 2",
    "WITH mine AS (SELECT * FROM notes WHERE owner >= %s ORDER BY id) SELECT max(price), min(id) FROM mine",
])  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sql=_TEMPLATES, values=st.lists(_VALUES, max_size=7), factory=st.sampled_from(FACTORIES))
def test_any_loop_gives_what_it_gives_without(pooled: Any, sql: str, values: list[Any], factory: Any) -> None:
    """Answers, their types and the server's refusals are those of the loop that sends each statement."""

    def run(rows: Any) -> list[Any]:
        with closing(pooled(cursor_factory=factory)) as conn:
            conn.autocommit = True
            found: list[Any] = []
            for value in rows:
                try:
                    rows_of = _notes(conn, value, sql)
                    found.append([(type(row).__name__, list(row.items()) if isinstance(row, dict) else list(row))
                                  for row in rows_of])  # fmt: skip
                except psycopg2.Error as error:
                    found.append(error.pgcode)
            return found

    assert run(prefetched(values, (sql, lambda value: (value,)))) == run(values)
