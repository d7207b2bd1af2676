"""Statements are judged by their text: a table of them, held against what PostgreSQL's session then shows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.statements import (
    HELD,
    LIBRARY,
    LISTENING,
    LOCK,
    LONGEST_KEPT,
    PREPARED,
    SETTING,
    TEMPORARY,
    WIPE,
    Change,
    may_change_session,
    session_change,
)
from scripts.stack.postgres import Cluster

# Statements that leave something in the session after their transaction. All of them are run.
CHANGES: dict[str, Change] = {
    "SET search_path = pg_catalog": SETTING,
    "set search_path to pg_catalog": SETTING,
    "  \n\tSET\n statement_timeout\t=\n5000": SETTING,
    "SET SESSION statement_timeout = 5000": SETTING,
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": SETTING,
    "SET TIME ZONE 'Asia/Tokyo'": SETTING,
    "SET timezone TO 'Asia/Tokyo'": SETTING,
    "SET DateStyle = 'German'": SETTING,
    "SET NAMES 'LATIN1'": SETTING,
    "SET client_encoding = 'LATIN1'": SETTING,
    "SET SCHEMA 'pg_catalog'": SETTING,
    "SET ROLE pg_read_all_stats": SETTING,
    "SET application_name = 'mine'": SETTING,
    "SET app.tenant = '7'": SETTING,
    'SET "app"."tenant" = 7': SETTING,
    'SET"app".tenant = 7': SETTING,
    "SET local.tenant = 7": SETTING,
    "SET XML OPTION DOCUMENT": SETTING,
    "SET default_transaction_read_only = on": SETTING,
    "SET/* a comment */search_path = pg_catalog": SETTING,
    "/* why */ SET search_path = pg_catalog": SETTING,
    "/* one /* inside */ another */ SET search_path = pg_catalog": SETTING,
    "-- why\nSET search_path = pg_catalog": SETTING,
    "-- it's\r\nSET search_path = pg_catalog": SETTING,
    "SELECT 1; SET search_path = pg_catalog": SETTING,
    ";; SELECT 1 ;; SET search_path = pg_catalog;;": SETTING,
    "SELECT 'the letter e'; SET search_path = 'pg_catalog'": SETTING,
    r"SELECT E'it''s \' one'; SET search_path = pg_catalog; SELECT ''": SETTING,
    "SELECT 'C:\\'; SET search_path = pg_catalog; SELECT '\\'": SETTING,
    "SELECT $$ ; $$; SET search_path = pg_catalog": SETTING,
    "SELECT $a$ $b$ $a$; SET search_path = pg_catalog; SELECT $b$ $b$": SETTING,
    'SELECT 1 AS "a""b;"; SET search_path = pg_catalog': SETTING,
    "SET LOCAL search_path = pg_temp; SET search_path = pg_catalog": SETTING,
    "SELECT set_config('search_path', 'pg_catalog', false)": SETTING,
    "select SET_CONFIG ( 'search_path' , 'pg_catalog' , FALSE )": SETTING,
    "SELECT pg_catalog.set_config('search_path', 'pg_catalog', false)": SETTING,
    """SELECT "set_config"('search_path', 'pg_catalog', false)""": SETTING,
    "SELECT set_config('search_path', set_config('app.one', 'pg_catalog', true), false)": SETTING,
    "SELECT set_config('app.one', set_config('search_path', 'pg_catalog', false), true)": SETTING,
    "SELECT set_config('app.one', 'x', true), set_config('search_path', 'pg_catalog', false)": SETTING,
    "SELECT set_config('app.one', ')', 1 = 2)": SETTING,
    "WITH a AS (SELECT set_config('app.one', 'x', false)) SELECT * FROM a": SETTING,
    "INSERT INTO things SELECT 3 WHERE set_config('app.one', 'x', false) = 'x'": SETTING,
    "VALUES (set_config('app.one', 'x', false))": SETTING,
    "EXPLAIN ANALYZE SELECT set_config('app.one', 'x', false)": SETTING,
    "UPDATE pg_settings SET setting = '5000' WHERE name = 'statement_timeout'": SETTING,
    "UPDATE pg_catalog.pg_settings SET setting = '5000' WHERE name = 'statement_timeout'": SETTING,
    "LISTEN channel": LISTENING,
    "listen\nchannel": LISTENING,
    'LISTEN "channel"': LISTENING,
    'LISTEN"channel"': LISTENING,
    "BEGIN; LISTEN channel; COMMIT": LISTENING,
    "PREPARE made AS SELECT 1": PREPARED,
    "prepare made (int) as select $1": PREPARED,
    "PREPARE transaction AS SELECT 1": PREPARED,
    "CREATE TEMP TABLE made (x int)": TEMPORARY,
    "create temporary table made (x int)": TEMPORARY,
    "CREATE TEMP TABLE IF NOT EXISTS made (x int) ON COMMIT DELETE ROWS": TEMPORARY,
    "CREATE TEMP TABLE made (x int) ON COMMIT PRESERVE ROWS": TEMPORARY,
    "CREATE LOCAL TEMPORARY TABLE made AS SELECT 1": TEMPORARY,
    "CREATE\n\tTEMP\n\tTABLE made AS SELECT 'on commit drop'": TEMPORARY,
    "CREATE TEMP TABLE made (x int); CREATE TEMP TABLE gone (x int) ON COMMIT DROP": TEMPORARY,
    "CREATE TEMP SEQUENCE made": TEMPORARY,
    "CREATE TEMP VIEW made AS SELECT 1": TEMPORARY,
    "CREATE OR REPLACE TEMP VIEW made AS SELECT 1": TEMPORARY,
    "CREATE TABLE pg_temp.made (x int)": TEMPORARY,
    'CREATE TABLE "pg_temp".made (x int)': TEMPORARY,
    "CREATE TABLE pg_temp . made (x int)": TEMPORARY,
    "CREATE FUNCTION pg_temp.made() RETURNS int LANGUAGE sql AS 'SELECT 1'": TEMPORARY,
    "SELECT 1 AS x INTO TEMP made": TEMPORARY,
    "SELECT 1 AS x INTO TEMPORARY TABLE made FROM things": TEMPORARY,
    "select 1 as x into local temp table made": TEMPORARY,
    "SELECT 1 AS x INTO pg_temp.made": TEMPORARY,
    "WITH a AS (SELECT 1 AS x) SELECT x INTO TEMP made FROM a": TEMPORARY,
    "EXPLAIN ANALYZE CREATE TEMP TABLE made AS SELECT 1": TEMPORARY,
    "EXPLAIN (ANALYZE, COSTS off) CREATE TEMP TABLE made AS SELECT 1": TEMPORARY,
    "explain analyse select 1 as x into temp made": TEMPORARY,
    "DECLARE made CURSOR WITH HOLD FOR SELECT 1": HELD,
    "declare made no scroll cursor with hold for select 1": HELD,
    'DECLARE "for" CURSOR WITH HOLD FOR SELECT 1': HELD,
    "DECLARE gone CURSOR FOR SELECT 1; DECLARE made CURSOR WITH HOLD FOR SELECT 1": HELD,
    "SELECT pg_advisory_lock(1)": LOCK,
    "select PG_ADVISORY_LOCK (1, 2)": LOCK,
    "SELECT pg_try_advisory_lock(1)": LOCK,
    "SELECT pg_advisory_lock_shared(1)": LOCK,
    "SELECT pg_catalog.pg_try_advisory_lock_shared(1)": LOCK,
    'SELECT "pg_advisory_lock"(1)': LOCK,
    "SELECT x FROM things WHERE pg_try_advisory_lock(x)": LOCK,
    "SELECT pg_advisory_xact_lock(1), pg_advisory_lock(2)": LOCK,
}
# Changes that a fresh session does not show: they take back, or load.
UNSEEN: dict[str, Change] = {
    "RESET search_path": SETTING,
    "reset all": SETTING,
    "RESET ROLE": SETTING,
    "RESET SESSION AUTHORIZATION": SETTING,
    "SET SESSION AUTHORIZATION app": SETTING,
    "SELECT set_config('search_path', %s, %s)": SETTING,
    "SELECT set_config(%(name)s, %(value)s, %(is_local)s)": SETTING,
    "UNLISTEN *": LISTENING,
    "unlisten channel": LISTENING,
    "DEALLOCATE ALL": PREPARED,
    "deallocate prepare made": PREPARED,
    "DISCARD ALL": WIPE,
    "discard temp": WIPE,
    "LOAD 'auto_explain'": LIBRARY,
    "SELECT pg_advisory_unlock(1)": LOCK,
    "SELECT pg_advisory_unlock_all()": LOCK,
    "SET search_path = %s": SETTING,
    "LISTEN %s": LISTENING,
}
# Statements that leave the session as it was. All of them are run.
HARMLESS = r"""
    SELECT 1
    (SELECT 1)
    ((SELECT 1) UNION (SELECT 2))
    ( ( SELECT 1 ) )
    SELECT 'SET search_path = x'
    SELECT '; SET search_path = x'
    SELECT '''; SET search_path = x; --'
    SELECT E'\'; SET search_path = x; --'
    SELECT E'\\', '; SET search_path = x'
    SELECT e'it''s; SET search_path = x'
    SELECT E'\'''; SET search_path = x; SELECT '
    SELECT 'E', 'E''; SET search_path = x'
    SELECT U&'; SET search_path = x'
    SELECT B'101', X'1F', N'; SET search_path = x'
    SELECT $$; SET search_path = x;$$
    SELECT $set$; SET search_path = x; $$ $other$ $set$
    SELECT $é$; SET search_path = x;$é$
    SELECT 1 AS "; SET search_path = x"
    SELECT 1 AS a$b$c, '$b$; SET search_path = x; $b$'
    SELECT 1 -- ; SET search_path = x
    /* SET search_path = x */ SELECT 1
    /* /* */ ; SET search_path = x */ SELECT 1
    /* '; SET search_path = x */ SELECT '*/'
    SELECT '/* '; SELECT ' */'
    SELECT "temp", "hold", "listen", "set" FROM columns
    SELECT temp, hold, listen, load, prepare, discard, reset FROM columns
    SELECT listen FROM columns; SELECT hold FROM columns
    INSERT INTO columns (temp, hold, listen) VALUES (1, 2, 3)
    UPDATE columns SET temp = 1
    UPDATE columns SET hold = 1, listen = 2 WHERE temp = 3
    update only columns as c set temp = 1
    UPDATE columns SET (temp, hold) = (1, 2)
    WITH a AS (UPDATE columns SET temp = 1 RETURNING *) SELECT * FROM a
    WITH a AS (INSERT INTO temp (x) VALUES (1) RETURNING *) SELECT * FROM a
    INSERT INTO temp VALUES (1)
    INSERT INTO temp SELECT 1
    INSERT INTO things VALUES (1) ON CONFLICT (x) DO UPDATE SET x = 2
    INSERT INTO things VALUES (1) ON CONFLICT DO NOTHING
    DELETE FROM temp
    SELECT * FROM temp
    TABLE temp
    VALUES (1), (2)
    ALTER TABLE things SET (fillfactor = 90)
    ALTER TABLE things ALTER COLUMN x SET DEFAULT 3
    ALTER TABLE things ALTER COLUMN x SET NOT NULL
    ALTER ROLE app SET statement_timeout = 0
    COMMENT ON TABLE things IS 'SET search_path = x'
    CREATE TABLE made (temp int, hold int)
    CREATE TABLE temporaries (x int)
    CREATE INDEX temp_index ON things (x)
    CREATE VIEW made AS SELECT temp FROM columns
    CREATE TABLE made AS SELECT 'TEMP'
    SELECT 1 AS x INTO made
    SELECT 1 AS temp INTO temps
    CREATE FUNCTION made() RETURNS int LANGUAGE sql SET search_path = pg_catalog AS 'SELECT 1'
    CREATE FUNCTION made() RETURNS int LANGUAGE sql AS $$ SELECT pg_advisory_lock(1); SELECT 1 $$
    CREATE TEMP TABLE gone (x int) ON COMMIT DROP
    create temporary table gone on commit drop as select 1
    CREATE TABLE pg_temp.gone (x int) ON COMMIT DROP
    SET LOCAL search_path = pg_catalog
    set local role pg_read_all_stats
    SET LOCAL SESSION AUTHORIZATION app
    SET/**/LOCAL search_path = pg_catalog
    SET LOCAL TIME ZONE 'Asia/Tokyo'
    SET TRANSACTION READ ONLY
    SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
    SET transaction_read_only = on
    SET transaction_isolation = 'serializable'
    SET CONSTRAINTS ALL DEFERRED
    BEGIN
    START TRANSACTION READ ONLY
    SAVEPOINT a; RELEASE a
    SHOW search_path
    SHOW ALL
    SELECT set_config('search_path', 'pg_catalog', true)
    SELECT set_config('search_path', concat('pg_', concat('cata', 'log')), TRUE)
    SELECT set_config('app.tenant', 'x', 'true')
    SELECT set_config('app.tenant', 'x', true::bool)
    SELECT set_config('app.tenant', 'a), (b', true), set_config('app.user', 'x', true)
    SELECT set_config('app.one', set_config('app.two', 'x', true), true)
    select set_config ( 'app.tenant' , '(' , true )
    SELECT current_setting('search_path'), 'set_config'
    SELECT pg_advisory_xact_lock(1)
    SELECT pg_try_advisory_xact_lock(1, 2)
    SELECT pg_advisory_xact_lock_shared(1)
    SELECT 'pg_advisory_lock(1)'
    SELECT 1 AS pg_advisory_lock
    GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint) TO app
    DECLARE gone CURSOR FOR SELECT 1
    DECLARE gone CURSOR WITHOUT HOLD FOR SELECT 1
    DECLARE gone CURSOR FOR WITH hold AS (SELECT 1) SELECT * FROM hold
    DECLARE gone SCROLL CURSOR FOR SELECT 'with hold'
    DECLARE gone CURSOR FOR SELECT 1; FETCH ALL FROM gone; CLOSE gone
    EXPLAIN SELECT 1
    EXPLAIN UPDATE columns SET temp = 1
    EXPLAIN ANALYZE UPDATE columns SET temp = 1
    EXPLAIN SELECT pg_advisory_lock(1)
    EXPLAIN CREATE TEMP TABLE made AS SELECT 1
    EXPLAIN SELECT set_config('search_path', 'pg_catalog', false)
    COPY (SELECT 1) TO '/dev/null'
    LOCK TABLE things
    TRUNCATE things
    ANALYZE things
    NOTIFY channel, 'LISTEN channel'
    SELECT pg_notify('channel', 'x')
    DO $$ BEGIN PERFORM 1; END $$
    SELECT setting FROM pg_settings WHERE name = 'search_path'
    SELECT nextval('numbers')
    MERGE INTO temp USING things ON things.x = temp.x WHEN MATCHED THEN UPDATE SET x = 1
"""
HARMLESS_LIST = [line.strip() for line in HARMLESS.strip().splitlines()]
HARMLESS_LIST.append("-- SET search_path = x\nSELECT 1")
UNRUN = ["PREPARE TRANSACTION 'x'", "prepare transaction %s", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'"]
SNAPSHOT = """
    SELECT (SELECT array_agg(name || '=' || setting ORDER BY name) FROM pg_settings
            WHERE name !~ '^transaction_'),
        current_setting('app.tenant', true), current_setting('app.one', true),
        current_setting('local.tenant', true),
        session_user, current_user,
        array(SELECT pg_listening_channels()), array(SELECT name FROM pg_prepared_statements),
        array(SELECT name FROM pg_cursors WHERE name <> ''),
        array(SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
        array(SELECT relname FROM pg_class
            WHERE relnamespace = pg_my_temp_schema() AND relkind IN ('r', 'v', 'S')),
        array(SELECT proname FROM pg_proc WHERE pronamespace = pg_my_temp_schema())
"""


@pytest.fixture(scope="module")
def session(cluster: Cluster) -> Iterator[Any]:
    """A session in a database where the statements find what they name."""
    cluster.create_database("judged", "app")
    with closing(cluster.connect("judged")) as conn:
        with conn.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE things (x int UNIQUE); INSERT INTO things VALUES (1); CREATE TABLE temp (x int);"
                "CREATE SEQUENCE numbers;"
                "CREATE TABLE columns (temp int, hold int, listen int, load int, prepare int, discard int,"
                ' reset int, "set" int);'
                "DO 'BEGIN END'"  # loads plpgsql, and its settings with it
            )
        conn.commit()
        yield conn
    cluster.drop_database("judged")


def _snapshot(conn: Any) -> Any:
    with conn.cursor() as cursor:
        cursor.execute(SNAPSHOT)
        row = cursor.fetchone()
    conn.commit()
    return row


def leaves_something(conn: Any, statement: str) -> bool:
    """Tell whether the session differs after the statement and its transaction; and bring it back."""
    with conn.cursor() as cursor:
        # A setting of one's own is "" instead of NULL once it was set locally; that is no change.
        cursor.execute("SELECT set_config(unnest('{app.tenant,app.one,local.tenant,app.two}'::text[]), '', false)")
    conn.commit()
    before = _snapshot(conn)
    try:
        with conn.cursor() as cursor:
            cursor.execute(statement)
        conn.commit()
        return bool(_snapshot(conn) != before)
    finally:
        conn.rollback()
        conn.reset()
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS temporaries, temps; DROP FUNCTION IF EXISTS made")
            cursor.execute("DROP INDEX IF EXISTS temp_index; ALTER ROLE app RESET ALL")
            cursor.execute("SELECT relkind FROM pg_class WHERE oid = to_regclass('made')")
            for (kind,) in cursor.fetchall():
                cursor.execute(f"DROP {'VIEW' if kind == 'v' else 'TABLE'} made")
        conn.autocommit = False


@pytest.mark.parametrize("statement", [*CHANGES, *UNSEEN])
def test_a_change_of_the_session_is_named(statement: str) -> None:
    assert session_change(statement) == {**CHANGES, **UNSEEN}[statement]
    assert may_change_session(statement)


@pytest.mark.parametrize("statement", HARMLESS_LIST + UNRUN)
def test_what_changes_nothing_passes(statement: str) -> None:
    assert session_change(statement) is None


@pytest.mark.parametrize("statement", CHANGES)
def test_postgresql_shows_the_change(session: Any, statement: str) -> None:
    assert leaves_something(session, statement)


@pytest.mark.parametrize("statement", HARMLESS_LIST)
def test_postgresql_shows_no_change(session: Any, statement: str) -> None:
    if statement.startswith("MERGE") and session.server_version < 150000:
        pytest.skip("no MERGE before PostgreSQL 15")
    assert not leaves_something(session, statement)


def test_there_are_as_many_harmless_statements_as_changes() -> None:
    assert len(HARMLESS_LIST) >= len(CHANGES)


def test_several_statements_are_judged_one_by_one() -> None:
    harmless = "; ".join(each for each in HARMLESS_LIST if "--" not in each)
    assert session_change(harmless) is None
    for statement, change in CHANGES.items():
        assert session_change(f"SELECT 1; ({statement}") == change
        assert session_change(f"{harmless};\n{statement}") is not None


@pytest.mark.parametrize("case", [str.lower, str.upper, str.swapcase])
def test_case_does_not_matter(case: Any) -> None:
    for statement, change in CHANGES.items():
        if '"set_config"' not in statement and '"pg_' not in statement:  # in quotes it does
            assert session_change(case(statement)) == change


@pytest.mark.parametrize(
    "statement",
    [
        "DO $$ BEGIN PERFORM set_config('a.b', 'x', false); END $$",
        "CALL anything()",
        "CREATE TABLE x ()",
        "EXECUTE made",
        "REFRESH MATERIALIZED VIEW x",
        "SELECT 1; CALL anything()",
        "nonsense",
        "%s",
        "[",
    ],
)
def test_what_is_not_known_may_change_the_session(statement: str) -> None:
    assert session_change(statement) is None
    assert may_change_session(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        " ; ( ( SELECT 1 ) ) ; ; ",
        "-- why\nINSERT INTO t VALUES ('; CALL f()')",
        "BEGIN; UPDATE t SET x = 1; COMMIT",
        "WITH a AS (SELECT 1) TABLE a",
        "SET LOCAL search_path = x",
        "COPY t FROM STDIN",
        "",
        ";",
        "/* nothing */",
    ],
)
def test_what_is_known_to_leave_the_session_alone_is_told_apart(statement: str) -> None:
    assert not may_change_session(statement)


def test_a_long_text_is_judged_as_a_short_one_and_not_kept() -> None:
    padding = f"SELECT '{'x' * LONGEST_KEPT}'; "
    assert session_change(padding) is None
    assert not may_change_session(padding)
    assert session_change(f"{padding}SET search_path = x") == SETTING
    assert may_change_session(f"{padding}CALL anything()")


HIDING = {"'{}'": "'", '"{}"': '"', "$x${}$x$": "$x$", "/*{}*/": "*/", "--{}\n": "\n"}
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=40)


@given(st.lists(st.tuples(st.sampled_from(sorted(HIDING)), TEXTS), min_size=1, max_size=6))
def test_what_is_hidden_is_never_taken_for_code(parts: list[tuple[str, str]]) -> None:
    """Whatever stands in strings, names and comments: neither does it change the session, nor hide a change."""
    hidden = []
    for form, text in parts:
        inside = f"{text}; SET search_path = x;".replace("/*", "").replace("$x", "")
        end = HIDING[form]
        inside = inside.replace(end, end * 2 if end in "'\"" else " ")
        hidden.append(form.format(inside.rstrip("$*/") + " "))
    text = f"SELECT {' '.join(hidden)}"
    assert session_change(text) is None
    assert session_change(f"{text}; SET search_path = x") == SETTING


@given(st.text(st.sampled_from("""'"$/*-;(),eE\\ \nx%"""), max_size=60), st.booleans())
def test_any_text_is_judged_without_an_error(text: str, is_after: bool) -> None:
    for hint in (" set ", " temp ", " set_config(", " hold ", " /* "):
        session_change(text + hint if is_after else hint + text)
        may_change_session(text + hint if is_after else hint + text)


NASTY = [
    "'", "''", '"\'_', '"', "e'", 'e\\', "E'\\'_", "$a$", "$$", "$a$_$b$_", "/*", "*/", "/**/", "/*_/*_",
    "''_/*", "--_", ";", ";_", ";(", "(", "(_", "_", ",", "a;", "set_local_a;", "with;", "end;", "update;",
    "create_", "set_config(", "set_config((", "set_config(a,", "set_config(a,b,true)",
    "set_config('a','b',true);", "set_config(set_config(a,b,true),b,true),", "set_", "into_", "into_temp",
    "insert_into_temp_", "on_commit_", "explain_", "explain;", "pg_advisory_lock", "pg_advisory_lock_",
    "'pg_advisory_", "pg_temp", "pg_temp_", "grant_", "update_pg_settings;", "with_hold", "for_", '\\',
]  # fmt: skip
SIZE = 1 << 14  # enough to tell linear from quadratic


@pytest.mark.parametrize("before", ["", "SELECT set_config(", "EXPLAIN ANALYZE CREATE ", "/* /* "])
def test_any_shape_is_judged_in_linear_time(before: str) -> None:
    """No shape makes a pattern try the same part twice: that would take minutes, not twice as long."""
    slow = []
    for nasty in NASTY:
        piece = nasty.replace("_", " ").replace("pg advisory lock", "pg_advisory_lock")
        text = f"{before}{piece * (SIZE // len(piece))} set"
        if _seconds(text) > 0.2 and min(_seconds(text) for _ in range(3)) > 0.2:
            slow.append(piece)
    assert not slow


def _seconds(text: str) -> float:
    start = time.thread_time()
    session_change(text)
    return time.thread_time() - start
