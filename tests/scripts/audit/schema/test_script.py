"""Cutting DDL out of scripts."""

from __future__ import annotations

import time

from scripts.audit.schema.script import ddl


def _found(script: str) -> list[str]:
    return [" ".join(sql.split()) for sql, _ in ddl(script)]


def test_statements_are_found_with_their_offsets() -> None:
    script = (
        "-- a;b\nCREATE TABLE a (x text DEFAULT ';');\nINSERT INTO a VALUES ('CREATE');\nALTER TABLE a ADD y int;"
    )
    assert _found(script) == ["CREATE TABLE a (x text DEFAULT ';')", "ALTER TABLE a ADD y int"]
    assert [script[start : start + 6] for _, start in ddl(script)] == ["CREATE", "ALTER "]


def test_a_dump_is_read_past_its_data_and_psql_commands() -> None:
    script = (
        "\\connect shop\n\\restrict abc\nSET x = 1;\nCREATE TABLE public.a (\n    id int\n);\n"
        "COPY public.a (id) FROM stdin;\n1\n"
        "CREATE TABLE data (x int);\n'\n\\.\n\nALTER TABLE ONLY public.a\n"
        "    ADD CONSTRAINT a_pkey PRIMARY KEY (id);\n"
    )
    assert _found(script) == [
        "CREATE TABLE public.a ( id int )", "ALTER TABLE ONLY public.a ADD CONSTRAINT a_pkey PRIMARY KEY (id)",
    ]  # fmt: skip


def test_function_bodies_and_comments_are_no_ddl() -> None:
    script = (
        "CREATE FUNCTION f() RETURNS void AS $body$\nBEGIN\n  CREATE TABLE inside (x int);\n"
        "END $body$ LANGUAGE plpgsql;\n"
        "DO $$\nBEGIN\nCREATE TABLE too (x int);\nEND $$;\n/*\nCREATE TABLE old (x int);\n*/\n"
        "-- CREATE TABLE no (x int);\n"
        "CREATE TABLE a (x int)"
    )
    assert _found(script) == ["CREATE TABLE a (x int)"]


def test_several_on_a_line_are_all_found() -> None:
    assert len(_found("CREATE TABLE a (x int); CREATE INDEX ON a (x);")) == 2


def test_mysql_gives_nothing() -> None:
    assert _found("CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB;") == []


def test_a_large_dump_is_quick() -> None:
    """Two megabytes of INSERTs with quotes and semicolons; a minute would mean backtracking."""
    script = "INSERT INTO a VALUES (1, 'it''s; here', '{\"a\": 1}');\n" * 40_000 + "CREATE TABLE b (x int);"
    start = time.monotonic()
    assert len(_found(script)) == 1
    assert time.monotonic() - start < 20
