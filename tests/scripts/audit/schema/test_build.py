"""The schema of a project's files and code."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from scripts.audit.model.build import build
from scripts.audit.schema.build import schema
from scripts.audit.schema.tables import Schema


def _schema(folder: Path, **files: str) -> Schema:
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(dedent(text).lstrip("\n"))
    return schema(build(folder))


def _covers(folder: Path, sql: str, *columns: str) -> bool:
    return (
        _schema(folder, schema_sql=f"CREATE TABLE t (a int, b int, c text, d int);\n{sql};").covering("t", columns)
        is not None
    )


@pytest.mark.parametrize("sql, columns", [
    ("CREATE INDEX ON t (a)", "a"),
    ("CREATE INDEX ON t (a, b)", "a"),
    ("CREATE INDEX ON t (b, a)", "ab"),
    ("CREATE UNIQUE INDEX i ON public.t USING btree (a)", "a"),
    ("CREATE INDEX ON t (a) WHERE a IS NOT NULL", "a"),
    ("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t USING hash (c)", "c"),
    ("CREATE INDEX ON t (a) INCLUDE (b)", "a"),
    ("ALTER TABLE t ADD PRIMARY KEY (a, b)", "a"),
    ("ALTER TABLE ONLY public.t ADD CONSTRAINT u UNIQUE (b)", "b"),
    ("ALTER TABLE t ADD COLUMN e int UNIQUE", "e"),
])  # fmt: skip
def test_an_index_covers_its_leading_columns(tmp_path: Path, sql: str, columns: str) -> None:
    assert _covers(tmp_path, sql, *columns)


@pytest.mark.parametrize("sql, columns", [
    ("CREATE INDEX ON t (b, a)", "a"),
    ("CREATE INDEX ON t (a)", "ab"),
    ("CREATE INDEX ON t (a) WHERE d = 1", "a"),
    ("CREATE INDEX ON t (a) WHERE b IS NOT NULL", "a"),
    ("CREATE INDEX ON t (lower(c))", "c"),
    ("CREATE INDEX ON t (a) INCLUDE (b)", "b"),
    ("CREATE INDEX ON other (a)", "a"),
    ("CREATE TEMP TABLE x (a int PRIMARY KEY)", "a"),
])  # fmt: skip
def test_what_does_not_begin_with_them_does_not(tmp_path: Path, sql: str, columns: str) -> None:
    assert not _covers(tmp_path, sql, *columns)


def test_an_expression_index_is_known_by_its_expression(tmp_path: Path) -> None:
    assert _covers(tmp_path, "CREATE INDEX ON t (lower(c))", "lower(c)")


def test_a_trigram_index_serves_patterns(tmp_path: Path) -> None:
    made = _schema(
        tmp_path, a_sql="CREATE TABLE t (c text, d text); CREATE INDEX ON t USING gin (c gin_trgm_ops);"
    )
    assert made.has_pattern_index("t", "c") and not made.has_pattern_index("t", "d")


def test_foreign_keys_have_their_places(tmp_path: Path) -> None:
    made = _schema(
        tmp_path,
        a_sql="""
        -- Käufer
        CREATE TABLE a (
            id int PRIMARY KEY,
            b_id int REFERENCES b (id) ON DELETE CASCADE,
            x int, y int,
            FOREIGN KEY (x, y) REFERENCES c (x, y)
        );
        ALTER TABLE ONLY a
            ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES d(id);
        """,
    )
    assert [(each.columns, each.target, each.place.line, each.on_delete) for each in made.foreign_keys] == [
        (("b_id",), "b", 4, "cascade"), (("x", "y"), "c", 6, ""), (("x",), "d", 9, ""),
    ]  # fmt: skip


def test_ddl_that_the_code_executes_counts(tmp_path: Path) -> None:
    made = _schema(
        tmp_path,
        app_py='''
        import psycopg2

        STATEMENTS = ["""
            CREATE TABLE a (
                id serial PRIMARY KEY,
                b_id int REFERENCES b
            )""",
            "CREATE INDEX ON a (b_id)",
        ]

        def init():
            cur = psycopg2.connect("dbname=x").cursor()
            for sql in STATEMENTS:
                cur.execute(sql)
        ''',
    )
    assert [(each.place.path, each.place.line) for each in made.foreign_keys] == [("app.py", 6)]
    assert made.covering("a", ["b_id"])


def test_sqlite_in_the_code_is_another_database(tmp_path: Path) -> None:
    made = _schema(
        tmp_path,
        app_py="""
        import sqlite3
        sqlite3.connect("x.db").cursor().execute("CREATE TABLE a (id int PRIMARY KEY)")
        """,
    )
    assert not made.tables


def test_unparsable_scripts_are_survived(tmp_path: Path) -> None:
    made = _schema(
        tmp_path,
        a_sql="CREATE TABLE a (;\nCREATE TABLE b (x int);\nCREATE TABLE 'x",
        b_sql="\udc80".encode("utf-8", "surrogateescape").decode("latin-1"),
    )
    assert "b" in made.tables


def test_the_same_table_in_two_files_is_one(tmp_path: Path) -> None:
    script = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY, b_id int REFERENCES b);"
    assert len(_schema(tmp_path, one_sql=script, two_sql=script).foreign_keys) == 1


def test_uniqueness_is_known_by_columns(tmp_path: Path) -> None:
    made = _schema(tmp_path, a_sql="CREATE TABLE a (x int, y int, PRIMARY KEY (x, y));")
    assert made.is_unique("a", ["y", "x"]) and not made.is_unique("a", ["x"])
