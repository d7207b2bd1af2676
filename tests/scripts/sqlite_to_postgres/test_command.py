"""`harden sqlite-to-postgres`: what is moved is equal, what cannot be moved stops it, and it can be taken back."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

import psycopg2
import pytest

from scripts import cli

from .conftest import Target

Make = Callable[..., Path]
SHOP = """
CREATE TABLE Users (id INTEGER PRIMARY KEY AUTOINCREMENT, email VARCHAR(80) COLLATE NOCASE NOT NULL UNIQUE,
    active BOOLEAN NOT NULL DEFAULT 1, born DATE, seen DATETIME DEFAULT CURRENT_TIMESTAMP, score REAL,
    CHECK (active IN (0, 1)));
CREATE TABLE "order" (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES Users(id) ON DELETE CASCADE,
    price DECIMAL(10,2), note TEXT DEFAULT 'it''s', photo BLOB, day TEXT);
CREATE TABLE tag (order_id INT, name TEXT, PRIMARY KEY (order_id, name)) WITHOUT ROWID;
CREATE INDEX order_user ON "order" (user_id, day DESC) WHERE note IS NOT NULL;
CREATE INDEX users_lower ON Users (lower(email));
INSERT INTO Users VALUES (1, 'A@x', 1, '2020-02-29', '2020-01-01 10:00:00', 0.1), (7, 'b@x', 0, NULL,
    '2021-01-01T10:00:00.123456', 1e308), (8, 'c@x', 1, '0001-01-01', NULL, -0.0);
DELETE FROM Users WHERE id = 8;
INSERT INTO "order" VALUES (1, 1, 12.5, 'tab' || char(9) || 'line' || char(10) || 'back\\slash \\N', x'00ff', ''),
    (2, 7, 3, NULL, x'', 'é😀'), (9223372036854775806, NULL, NULL, '\\.', NULL, NULL);
INSERT INTO tag VALUES (1, 'x'), (1, 'y');
"""


def test_types_keys_and_values_arrive(make_file: Make, target: Target) -> None:
    file = make_file(SHOP)
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    assert target.move(file) == 0
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert target.ask("SELECT id, email, active, born, seen, score FROM users ORDER BY id") == [
        (1, "A@x", True, date(2020, 2, 29), datetime(2020, 1, 1, 10), 0.1),
        (7, "b@x", False, None, datetime(2021, 1, 1, 10, 0, 0, 123456), 1e308),
    ]
    rows = target.ask('SELECT price::text, note, photo, day FROM "order" ORDER BY id')
    assert [(price, note, photo and bytes(photo), day) for price, note, photo, day in rows] == [
        ("12.50", "tab\tline\nback\\slash \\N", b"\x00\xff", ""),
        ("3.00", None, b"", "é😀"),
        (None, "\\.", None, None),
    ]
    indexes = dict(target.ask("SELECT indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
    assert indexes["order_user"].endswith("(user_id, day DESC) WHERE (note IS NOT NULL)")
    assert "tag_pkey" in indexes and "users_email_key" in indexes


def test_the_next_key_follows_the_highest_that_ever_was(make_file: Make, target: Target) -> None:
    assert target.move(make_file(SHOP)) == 0
    assert target.ask("INSERT INTO users (email) VALUES ('d@x') RETURNING id, active") == [(9, True)]


def test_a_nocase_column_stays_unique_in_any_case(make_file: Make, target: Target) -> None:
    assert target.move(make_file(SHOP)) == 0
    with pytest.raises(psycopg2.errors.UniqueViolation):
        target.ask("INSERT INTO users (email) VALUES ('a@X')")


def test_nocase_by_lower_keeps_the_type_and_the_rule(make_file: Make, target: Target) -> None:
    assert target.move(make_file("CREATE TABLE t (a TEXT COLLATE NOCASE UNIQUE); INSERT INTO t VALUES ('x')"),
                       "--nocase", "lower") == 0  # fmt: skip
    with pytest.raises(psycopg2.errors.UniqueViolation):
        target.ask("INSERT INTO t VALUES ('X')")


def test_mixed_values_stop_it_before_anything_is_written(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), ('two'), (3)")
    assert target.move(file) == 1
    assert "1 of 3 values are no bigint: rowid 2: text 'two'" in capsys.readouterr().out
    assert target.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    assert target.move(file, "--on-mismatch", "text") == 0
    assert target.ask("SELECT n FROM t ORDER BY n") == [("1",), ("3",), ("two",)]


@pytest.mark.parametrize(
    ("declared", "values", "type_name"),
    [
        ("DATE", "('2020-01-01'), ('2020-02-30')", "text"),
        ("DATE", "('2020-01-01 00:00:00')", "timestamp without time zone"),
        ("DATETIME", "('2020-01-01'), (NULL)", "date"),
        ("DATETIME", "(1600000000)", "bigint"),
        ("TIMESTAMP", "('2020-01-01 00:00:00Z'), ('2020-01-01T05:00+05:00')", "timestamp with time zone"),
        ("BOOLEAN", "(0), (2)", "bigint"),
        ("DECIMAL(4,2)", "(99.99)", "numeric(4,2)"),
        ("DECIMAL(4,2)", "(0.125)", "numeric"),
        ("VARCHAR(2)", "('abc')", "text"),
        ("VARCHAR(2)", "('ab')", "character varying(2)"),
        ("STRING", "('a'), (7)", "text"),
        ("", "(1), (2)", "bigint"),
        ("REAL", "(9e999), (-9e999), (1)", "double precision"),
        ("JSON", "('{\"a\":  1}')", "json"),
        ("JSON", "('{')", "text"),
        ("BLOB", "(x''), (NULL)", "bytea"),
        ("TIME", "('10:00:00.123')", "time without time zone"),
        ("UUID", "('00000000-0000-0000-0000-00000000000a')", "uuid"),
        ("BIGINT", "(-9223372036854775807 - 1)", "bigint"),
        ("NUMERIC", "(1), (0.1), (1e300)", "numeric"),
    ],
)
def test_the_values_decide_the_type(
    make_file: Make, target: Target, declared: str, values: str, type_name: str
) -> None:
    assert target.move(make_file(f"CREATE TABLE t (c {declared}); INSERT INTO t VALUES {values}")) == 0
    assert target.ask("SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
                      "WHERE attrelid = 't'::regclass AND attname = 'c'") == [(type_name,)]  # fmt: skip


@pytest.mark.parametrize("value", ["'a' || char(0) || 'b'", "CAST(x'ff61' AS TEXT)", "CAST(x'eda080' AS TEXT)"])
def test_text_that_postgresql_cannot_hold_is_kept_as_bytes(make_file: Make, target: Target, value: str) -> None:
    file = make_file(f"CREATE TABLE t (c TEXT); INSERT INTO t VALUES ('fine'), ({value})")
    assert target.move(file) == 1
    assert target.move(file, "--on-mismatch", "text") == 1
    assert target.move(file, "--type", "t.c=bytea") == 0
    assert target.ask("SELECT count(*) FROM t WHERE c = 'fine'::bytea") == [(1,)]


def test_rows_without_a_parent_stop_it(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p_id INT REFERENCES p);"
                     "INSERT INTO c VALUES (5)")  # fmt: skip
    assert target.move(file) == 1
    assert "c: 1 rows refer to no row of p (first: rowid 1)" in capsys.readouterr().out
    assert target.move(file, "--orphans", "keep") == 0
    assert target.ask("SELECT convalidated FROM pg_constraint WHERE contype = 'f'") == [(False,)]


def test_what_cannot_be_translated_stops_it_until_allowed(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file("CREATE TABLE t (a TEXT CHECK (a GLOB 'x*')); CREATE VIEW v AS SELECT a FROM t;")
    assert target.move(file) == 1
    out = capsys.readouterr().out
    assert "missing: CHECK (a GLOB 'x*') of t: GLOB has no sure equal in PostgreSQL" in out
    assert "missing: view v is not translated" in out
    assert target.move(file, "--allow-missing") == 0


def test_what_the_server_refuses_leaves_nothing(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file("CREATE TABLE t (a INT); CREATE INDEX i ON t (lower(a)); INSERT INTO t VALUES (1)")
    assert target.move(file) == 1
    assert "missing: index i of t: function lower(bigint) does not exist" in capsys.readouterr().out
    assert target.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_a_rollback_drops_what_the_import_made_and_no_more(make_file: Make, target: Target) -> None:
    target.ask("CREATE TABLE mine (a int)")
    file = make_file(SHOP)
    assert target.move(file) == 0
    assert target.move(file, "--rollback") == 0
    assert target.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [("mine",)]
    assert target.move(file) == 0


def test_a_rollback_stops_where_the_app_wrote_since(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file(SHOP)
    assert target.move(file) == 0
    target.ask("UPDATE users SET score = 2 WHERE id = 1")
    assert target.move(file, "--rollback") == 2
    assert "users: rows were written since the import (1 of 3 tables)" in capsys.readouterr().err
    assert target.move(file, "--rollback", "--force") == 0


def test_a_second_look_finds_one_changed_bit(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file(SHOP)
    assert target.move(file) == 0
    assert target.move(file, "--verify-only") == 0
    target.ask("UPDATE users SET score = score + 1e-17 + 2e-17 WHERE id = 1")
    capsys.readouterr()
    assert target.move(file, "--verify-only") == 1
    assert capsys.readouterr().out.startswith("users: 2 rows (")


def test_a_table_in_the_way_is_named(make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    target.ask("CREATE TABLE users (a int)")
    assert target.move(make_file(SHOP)) == 2
    assert "schema public has users already (1 of 3)" in capsys.readouterr().err
    assert target.move(make_file(SHOP, "two.db"), "--schema", "Old Shop") == 0


def test_a_run_that_was_cut_off_goes_on(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file(
        "CREATE TABLE a (x INT); CREATE TABLE b (y INT); INSERT INTO a VALUES (1); INSERT INTO b VALUES (2)"
    )
    target.ask(
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT FROM "
        "pg_event_trigger_ddl_commands() WHERE object_identity = 'public.b') THEN RAISE 'cut'; END IF; END $$"
    )
    target.ask("CREATE EVENT TRIGGER no ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION no()")
    assert target.move(file, "--resume") == 2
    assert "table b: cut; whole tables are kept; run it again with --resume" in capsys.readouterr().err
    assert target.ask("SELECT x FROM a") == [(1,)]
    target.ask("DROP EVENT TRIGGER no")
    assert target.move(file, "--resume") == 0
    assert target.ask("SELECT x, y FROM a, b") == [(1, 2)]
    assert target.ask("SELECT bool_and(complete) FROM harden_sqlite_import") == [(True,)]


def test_a_changed_file_is_not_resumed(make_file: Make, target: Target) -> None:
    file = make_file("CREATE TABLE a (x INT); CREATE TABLE b (y INT CHECK (y > 0)); INSERT INTO b VALUES (1)")
    assert target.move(file, "--resume") == 0
    target.ask("UPDATE harden_sqlite_import SET complete = false")
    with closing(sqlite3.connect(file)) as conn:
        conn.execute("INSERT INTO a VALUES (1)")
        conn.commit()
    assert target.move(file, "--resume") == 2


def test_a_run_with_other_options_is_not_resumed(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file("CREATE TABLE a (x INT); INSERT INTO a VALUES (1)")
    assert target.move(file, "--resume") == 0
    target.ask("UPDATE harden_sqlite_import SET complete = false")
    assert target.move(file, "--resume", "--type", "a.x=text") == 2
    assert "had other options" in capsys.readouterr().err


def test_a_dry_run_needs_no_database(make_file: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sqlite-to-postgres", str(make_file(SHOP)), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "id bigint GENERATED BY DEFAULT AS IDENTITY" in out
    assert (
        'ALTER TABLE public."order" ADD FOREIGN KEY (user_id) REFERENCES public.users (id) ON DELETE CASCADE;'
        in out
    )
    assert "ALTER TABLE public.users ADD CHECK (active IN (false, true));" in out


def test_json_says_each_type_and_sum(make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    assert target.move(make_file(SHOP), "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["committed"] and found["tables"][0]["columns"]["email"] == "citext"
    assert len(found["tables"][0]["checksum"]) == 32


def test_odd_names_arrive(make_file: Make, target: Target) -> None:
    long = "n" * 70
    file = make_file(
        f'CREATE TABLE "Order Items" ("a""b" INT, [select] INT, `ctid` INT, {long}1 INT, {long}2 INT, '
        'Größe INT, "%s" TEXT); INSERT INTO "Order Items" VALUES (1, 2, 3, 4, 5, 6, \'7%\')'
    )
    assert target.move(file) == 0
    assert target.ask('SELECT "a""b", "select", ctid_, Größe, "%s" FROM "Order Items"') == [(1, 2, 3, 6, "7%")]
