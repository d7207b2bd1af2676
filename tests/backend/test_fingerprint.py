"""Which statement a text is: values never survive, spelling does not matter, and PostgreSQL mostly agrees."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import fingerprint, one
from backend.fingerprint import LONGEST, SHOWN, alias, statement_of
from backend.shapes import normalise
from backend.summaries import MOST_SHOWN
from scripts.stack.postgres import Cluster
from tests.backend.conftest import MakePool

NAME = "h_0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    yield
    fingerprint._aliases.pop(NAME, None)


SAME = {
    "spelling": [
        "SELECT a,b FROM t WHERE id=1",
        "select  a , b\nfrom t\twhere id = 2;",
        "Select A, B From T Where ID=%s",
    ],
    "comments": [
        "select 1 from t",
        "select/**/2 from t -- x",
        "/* a /* b */ 'c' */ select 3 from t",
        "select 4 from t /* x",
    ],
    "strings": [
        "select 'a'",
        "select 'it''s'",
        r"select E'it\'s'",
        "select N'a'",
        "select B'01'",
        "select X'1F'",
        "select U&'d\\0061t'",
        "select 'a'\n 'b'",
        "select $$it's$$",
        "select $a$ $b$ ' $b$ $a$",
        "select %s",
        "select %(name)s",
        "select $1",
    ],
    "numbers": [
        "select 1",
        "select -1",
        "select - 1",
        "select 1.5e-10",
        "select .5",
        "select 1.",
        "select 0x1F",
        "select 1_000",
        "select +3",
        "select -.5",
    ],
    "constants": [
        "update t set a = 1",
        "update t set a = NULL",
        "update t set a = true",
        "update t set a = False",
    ],
    "lists": [
        "select * from t where id in (1)",
        "select * from t where id in (1, -2, 3)",
        "select * from t where id IN %s",
        "select * from t where id in('a'::uuid,'b'::uuid)",
        "select * from t where id in (%s,%s)",
        "select * from t where id in ((1, 2), (3, 4))",
    ],
    "rows": [
        "insert into t (a, b) values (1, 'x')",
        "insert into t(a,b) values (1,'x'),(2,NULL),(-3,'z'::text)",
        "INSERT INTO t (a, b) VALUES %s",
        "insert into t (a, b) values (default, ARRAY[1,2]), (DATE '2027-01-01', 2)",
    ],
    "rows alone": ["values (1, 2)", "VALUES(1,2),(3,4)"],
    "rows in FROM": ["select * from (values (1, 2)) v", "select * from(values(1,2), (3,4)) v"],
    "rows with calls": ["insert into t values (1, now())", "insert into t values (1, now()), (2, now())"],
    "arrays": ["select array[1]", "select ARRAY[1, 2, 3]", "select array[[1,2],[3,4]]", "select array [ 1 ]"],
    "json": ["select d->>'a' from t", "select d ->> 'b' from t"],
    "casts": ["select '1'::int", "select 2 :: INT"],
    "names that pass": ["savepoint a1", "savepoint b2"],
    "percent": ["select a % b", "select a %% b"],
}


@pytest.mark.parametrize("what", SAME)
def test_what_differs_in_values_and_spelling_is_one_statement(what: str) -> None:
    assert len({statement_of(sql).text for sql in SAME[what]}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select a from t", "select b from t"),
        ('select a from "T"', "select a from T"),
        ("select a from t where b is null", "select a from t where b = null"),
        ("select a - 1", "select a"),
        ("select f(1)", "select f(1, 2)"),
        ("select a[1]", "select a"),
        ("select a from t1", "select a from t2"),
        ("alter table t alter a set not null", "alter table t alter a set"),
    ],
)
def test_what_differs_otherwise_is_two(one: str, other: str) -> None:
    assert statement_of(one).id != statement_of(other).id


@pytest.mark.parametrize(
    ("sql", "summary", "kind"),
    [
        ("select * from appointments a", "SELECT appointments", "SELECT"),
        ("select * from a x, b as y, c where z in (select 1 from d)", "SELECT a b c d", "SELECT"),
        ('select * from public."Big Name" join x using (id)', "SELECT public.Big Name x", "SELECT"),
        (
            "with recent as (select * from a), n (b) as (select 1) insert into log select * from recent, n",
            "INSERT a log",
            "INSERT",
        ),
        ("with gone as (delete from a returning *) select * from gone", "SELECT a", "SELECT"),
        ("(select 1) union select 2", "SELECT", "SELECT"),
        ("insert into t(a) values (1) on conflict do update set a = 2", "INSERT t", "INSERT"),
        (
            "select extract(year from at), trim('x' from y) from t where a is distinct from b for update",
            "SELECT t",
            "SELECT",
        ),
        ("select * from generate_series(1, 2) g, t", "SELECT", "SELECT"),
        ("create table if not exists t (a int)", "CREATE t", "CREATE"),
        ("truncate table a, b", "TRUNCATE a b", "TRUNCATE"),
        ("delete from a using b where a.id = b.id", "DELETE a b", "DELETE"),
        ("CALL refresh(1)", "CALL refresh", "CALL"),
        ("COPY t FROM STDIN", "COPY t", "COPY"),
        ("selec 'x'", "OTHER", "OTHER"),
        ("", "EMPTY", "EMPTY"),
        ("-- nothing", "EMPTY", "EMPTY"),
        ("begin; update t set a = 1", "BEGIN t", "BEGIN"),
    ],
)
def test_the_summary_names_the_tables_and_the_kind_the_verb(sql: str, summary: str, kind: str) -> None:
    found = statement_of(sql)
    assert (found.summary, found.kind) == (summary, kind)


def test_a_summary_ends_before_it_is_too_long() -> None:
    found = statement_of("select * from " + ", ".join(f"{'long_name_' * 3}{n}" for n in "abcdef"))
    assert len(found.summary) <= MOST_SHOWN
    assert found.summary.count("long_name_") == 6


MARK = "zqxmarkzqx"
spaces = st.sampled_from([" ", "\n", "\t ", " /* c */ ", " -- c\n"])
literals = st.one_of(
    st.sampled_from(
        [
            f"'{MARK}'",
            f"E'\\'{MARK}'",
            f"$${MARK}$$",
            f"$t$ ' {MARK} $$ $t$",
            f"'it''s {MARK}'",
            f"U&'{MARK}'",
            f"'{MARK}'::text",
            "-987654",
            "987654.5e10",
            "0x987654",
            ".987654",
            f"DATE '{MARK}'",
            f"array['{MARK}', '{MARK}']",
            f"'{MARK} -- '",
            f"'/* {MARK}'",
            f"'\"{MARK}\"'",
            f"'{MARK}\\'",
            f"(987654, '{MARK}')",
        ]
    ),
    st.text("'\"$\\/*-%;\n ae", max_size=8).map(lambda text: "'" + text.replace("'", "''") + f"{MARK}'"),
    st.text("'\"$\\/*-%;\n ae", max_size=8).map(
        lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "''") + f"{MARK}'"
    ),
)
frames = st.sampled_from(
    [
        'select {} from t where "Q u\'o" = {}',
        "insert into t (a, b) values ({}, {}), ({}, {})",
        "select * from t where a in ({},{})",
        'update "T" set a={} where b<{}',
        "select f({}), d->>{} from x",
        "with a as (select {}) select * from a limit {}",
        "call p({}, {})",
        "select {}::text || {} from t /* ' */",
        "selec {} {}",
    ]
)


@settings(max_examples=300, deadline=None)
@given(frames, st.lists(literals, min_size=4, max_size=4), spaces)
def test_no_value_survives(frame: str, values: list[str], space: str) -> None:
    sql = frame.replace(" ", space if '"' not in frame and "'" not in frame else " ").format(*values)
    found = statement_of(sql)
    assert MARK not in f"{found.text} {found.summary} {found.kind}", sql
    assert "987654" not in found.text, sql


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.binary(), st.text("'\"$a1%(),-/*\\[]:;. \n?=E", max_size=60)))
def test_any_text_has_a_statement_that_can_be_shown(sql: str | bytes) -> None:
    found = statement_of(sql)
    assert len(found.id) == 16
    assert len(found.summary) <= MOST_SHOWN
    assert found.text.isprintable()
    found.text.encode()
    assert statement_of(sql) == found


@settings(max_examples=200, deadline=None)
@given(frames, st.lists(literals, min_size=4, max_size=4))
def test_a_normalised_text_is_its_own(frame: str, values: list[str]) -> None:
    text = normalise(frame.format(*values))
    assert normalise(text) == text


def test_what_is_quoted_but_no_name_is_not_kept() -> None:
    """Double quotes around a value are a mistake that PostgreSQL reports; the log must not show the value."""
    assert statement_of(f'select "never ended {MARK}').text == "select ?"
    assert statement_of(f'select "{MARK * 10}"').text == "select ?"


@pytest.mark.parametrize(
    "sql",
    ["select '\ud800'", "select \ud800", "select \x00 1", 'select \ue000, "a"', b"select '\xff\xfe'", "\u202e"],
)
def test_characters_that_no_log_can_show_are_replaced(sql: str | bytes) -> None:
    found = statement_of(sql)
    assert found.text.isprintable()
    found.text.encode()


def test_bytes_are_the_same_statement_as_their_text() -> None:
    assert statement_of("select 'é' from \"é\"".encode()) == statement_of("select 'è' from \"é\"")


def test_of_a_very_long_text_only_the_head_is_read() -> None:
    values = ",".join(f"({n},'some text')" for n in range(60_000))
    start = time.thread_time()
    long = statement_of(f"insert into t (a, b) values {values}")
    assert time.thread_time() - start < 0.5
    assert long == statement_of("insert into t (a, b) values (1, 'x')")
    parameters = ",".join(["%(name)s"] * 5000)
    assert statement_of(f"select 1 where a in ({parameters})").text == "select ? where a in (...)"
    assert len(statement_of("select " + "+".join(f"c{n}" for n in range(5000))).text) <= SHOWN


@pytest.mark.parametrize(
    "part",
    [
        "(",
        "((a)",
        "(?,",
        "[",
        "array[",
        "'",
        "''",
        '"',
        "$a$",
        "/*",
        "/* */",
        "-",
        "- ",
        "\n",
        "a,",
        "%(",
        "1e",
        "E'\\",
        "::a",
        " from a,",
        "with a as (",
        "(select ",
        "extract(",
        "(a,b),",
        "?, ",
        "\\",
        "$",
        "a.",
        ".1",
        "- 1",
        "' \n",
    ],
)
def test_no_text_takes_long(part: str) -> None:
    """Patterns that go back over what they read take seconds for eight kilobytes of the wrong thing."""
    assert any(_seconds(part) < 1.0 for _ in range(4))  # a machine that is short of processors is slow once


def _seconds(part: str) -> float:
    start = time.thread_time()
    for sql in (part * LONGEST, "select " + part * LONGEST, "values ('" + part * LONGEST):
        normalise(sql[:LONGEST], True)
        statement_of(sql)
    return time.thread_time() - start


def test_memory_is_bounded_however_many_texts_there_are() -> None:
    fingerprint._young.clear()
    fingerprint._old.clear()
    tracemalloc.start()
    try:
        for n in range(40_000):
            statement_of(f"select {n} from t")
            if n % 4 == 0:
                statement_of(f"select {'column_' * (n % 40)}{n // 4:x}q from table_{n:x}")
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()
        fingerprint._young.clear()
        fingerprint._old.clear()


def test_what_the_kit_keeps_prepared_counts_as_the_statement_itself() -> None:
    sql = "SELECT a FROM t WHERE b = %(b)s"
    alias(NAME, sql)
    other = NAME[:-1] + "0"
    for text in (
        f"PREPARE {NAME} (integer) AS SELECT a FROM t WHERE b = $1; EXECUTE {NAME}(%(b)s)",
        f"DEALLOCATE {other}; PREPARE {NAME} (integer) AS SELECT a FROM t WHERE b = $1; EXECUTE {NAME}(%(b)s)",
        f"EXECUTE {NAME}(%(b)s)",
        f"EXECUTE {NAME}(7)".encode(),
        f"PREPARE {other} (integer) AS SELECT a FROM t WHERE b = $1; EXECUTE {other}(%(b)s)",
    ):
        assert statement_of(text) == statement_of(sql)
    assert statement_of("EXECUTE mine(1)").kind == "EXECUTE"


def test_a_nested_query_is_one_statement_with_and_without_its_plan(make_pool: MakePool) -> None:
    sent: list[str] = []
    query = one("SELECT n AS fingerprinted FROM generate_series(1, %(n)s) n LIMIT 1")

    class Noting(psycopg2.extensions.cursor):
        def execute(self, sql: str, parameters: object = None) -> None:
            sent.append(sql)
            super().execute(sql, parameters)

    with make_pool().connection() as conn:
        conn.cursor_factory = Noting
        conn.commit()
        for _ in range(3):
            query.json(conn, n=3)
            conn.commit()
    own = [sql for sql in sent if "fingerprinted" in sql or sql.startswith("EXECUTE h_")]
    assert len(set(own)) == 3
    assert {statement_of(sql).id for sql in own} == {statement_of(query.sql).id}


AGREED = [  # PostgreSQL tells the types of constants apart as well, which a text does not show
    ["select 1", "select -1", "select /* x */ 2", "SELECT   3 -- x"],
    ["select 'a'", "select E'a\\'b'", "select $$x$$", "select $a$ ' $a$"],
    ["select true", "select FALSE"],
    ["select 1.5", "select -.5e3"],
    [
        "select relname from pg_class where oid = 1",
        "select relname from pg_class where oid=2 -- x",
        "SELECT relname FROM pg_class WHERE (oid = (3))",
    ],
    ["select '{}'::json ->> 'a'", "select '{\"a\": 1}'::json->>'b'"],
    ["select date '2027-01-01'", "select DATE '2027-02-01'"],
    ["select 1 + -1", "select 2 + 3"],
    ["select 1 limit 1", "select 2 limit 3"],
    ["select array[1,2]", "select array[3, 4]"],
    [
        "select relname from pg_class where relname like 'a%'",
        "select relname from pg_class where relname like 'b'",
    ],
    ["select relname from pg_class where oid in (1, 2)", "select relname from pg_class where oid in (3, 4)"],
    ["select 1 from pg_class limit 0", "select 2 from pg_class limit 0"],
    ["select (array[1,2])[1]", "select (array[3,4])[2]"],
    ["values (1, 'a'), (2, 'b')", "values (3, 'c'), (4, 'd')"],
    [
        "with a as (select 1 as b) select b from a where b > 0",
        "with a as (select 2 as b) select b from a where b>5",
    ],
    ["select interval '1 day'", "select interval '2 days'"],
]


def test_what_postgresql_counts_as_one_is_one_here(cluster: Cluster) -> None:
    cluster.create_database("fingerprints", cluster.user)
    with closing(cluster.connect("fingerprints")) as conn, conn.cursor() as cursor:
        conn.autocommit = True
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        for group in AGREED:
            cursor.execute("SELECT pg_stat_statements_reset()")
            for sql in group:
                cursor.execute(sql)
            cursor.execute(
                "SELECT count(*) FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%' AND dbid = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            assert cursor.fetchone() == (1,), group
            assert len({statement_of(sql).id for sql in group}) == 1, group
    cluster.drop_database("fingerprints")
