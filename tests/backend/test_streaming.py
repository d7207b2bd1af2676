"""CSV, NDJSON and JSON arrays: the same bytes by COPY and by a cursor, and headers that fit them."""

from __future__ import annotations

import csv
import gc
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

import psycopg2.extras
import pytest
from flask import Flask, Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import sql as composable

import backend
from backend import (
    CSV,
    CSV_RFC4180,
    CSV_SPREADSHEET,
    CsvDialect,
    Hardening,
    StreamError,
    StreamOptions,
    many,
    one,
    stream_csv,
    stream_json,
    stream_ndjson,
)
from scripts.stack.bouncer import Bouncer
from tests.support.threads import until

from .conftest import MakePool

NAME = composable.Identifier('a"; --')
TEXTS = st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8"))
WAYS = ("copy", "cursor")
MIXED = """
    SELECT g AS id, 'a"b,' || g AS "the name", NULL AS nothing, '' AS empty, E'x\\ny\\r' AS lines,
           mod(g, 2) = 0 AS even,
           ARRAY['a', 'b c', NULL] AS list, '\\x00ff'::bytea AS raw, 1.50::numeric AS money, 'Grüße 🚲' AS text,
           '\\.' AS dot, date '2024-02-29' AS day,
           timestamptz '2024-02-29 12:00+00' AS at, '{"a": 1}'::jsonb AS doc
    FROM generate_series(1, %(n)s) g ORDER BY g"""


@pytest.fixture(params=WAYS)
def via(request: pytest.FixtureRequest) -> StreamOptions:
    return StreamOptions(via=request.param)


def body(response: Response) -> bytes:
    chunks: Any = response.response
    return b"".join(chunks)


@pytest.mark.parametrize("n", [0, 1, 2, 3000])
@pytest.mark.parametrize("stream", [stream_csv, stream_ndjson, stream_json])
def test_copy_and_cursor_give_the_same_bytes(make_pool: MakePool, stream: Callable[..., Response], n: int) -> None:
    pool = make_pool()
    by_copy, by_cursor = (body(stream(MIXED, {"n": n}, pool=pool, options=StreamOptions(via=way))) for way in WAYS)
    assert by_copy == by_cursor
    assert pool.stats()["used"] == 0
    if stream is not stream_csv:
        text = by_copy.decode()
        rows = json.loads(text) if stream is stream_json else [json.loads(line) for line in text.splitlines()]
        assert [row["id"] for row in rows] == list(range(1, n + 1))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(TEXTS, TEXTS), max_size=5),
    dialect=st.builds(CsvDialect, st.sampled_from(",;|\t:"), st.sampled_from(["\n", "\r\n"]), st.booleans()),
)  # fmt: skip
def test_any_text_survives_csv_and_json(
    make_pool: MakePool, rows: list[tuple[str | None, str | None]], dialect: CsvDialect
) -> None:
    pool = make_pool()
    query = "SELECT a, b FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY u (a, b, n) ORDER BY n"
    values = [[row[0] for row in rows], [row[1] for row in rows]]
    answers = [
        [body(stream(query, values, pool=pool, options=StreamOptions(via=way), **more)) for way in WAYS]
        for stream, more in ((stream_csv, {"dialect": dialect}), (stream_json, {}))
    ]
    assert all(by_copy == by_cursor for by_copy, by_cursor in answers)
    text = answers[0][0].decode("utf-8-sig" if dialect.bom else "utf-8")
    assert text.endswith(dialect.newline)
    read = list(csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter, strict=True))
    assert read == [["a", "b"], *([one or "" for one in row] for row in rows)]
    assert json.loads(answers[1][0]) == [{"a": a, "b": b} for a, b in rows]


def test_null_and_empty_text_are_told_apart_and_zero_rows_have_a_header(
    make_pool: MakePool, via: StreamOptions
) -> None:
    pool = make_pool()
    assert body(stream_csv("SELECT NULL AS a, '' AS b", pool=pool, options=via)) == b'a,b\n,""\n'
    assert body(stream_csv("SELECT 1 AS a, 2 AS a WHERE false", pool=pool, options=via)) == b"a,a\n"
    assert body(stream_json("SELECT 1 AS a WHERE false", pool=pool, options=via)) == b"[]"
    assert body(stream_ndjson("SELECT 1 AS a WHERE false", pool=pool, options=via)) == b""
    assert body(stream_json("SELECT 1 AS a UNION SELECT 2 ORDER BY a", pool=pool, options=via)) == (
        b'[{"a":1},\n{"a":2}]'
    )


def test_line_ends_within_values_stay_and_those_of_rows_are_the_dialects(
    make_pool: MakePool, via: StreamOptions
) -> None:
    query = "SELECT E'a\\n\"b' AS x, g FROM generate_series(1, 2) g"
    text = body(stream_csv(query, pool=make_pool(), dialect=CSV_RFC4180, options=via))
    assert text == b'x,g\r\n"a\n""b",1\r\n"a\n""b",2\r\n'


def test_a_spreadsheet_gets_a_mark_and_no_formulas(make_pool: MakePool, via: StreamOptions) -> None:
    query = """SELECT v AS "a ""b", -1 AS n, -1.5::numeric AS m, 'ok' AS n, now()::date - 1 = now()::date AS no
               FROM unnest(ARRAY['=cmd()', '+1', '-1', '@x', E'\\tx', E'\\rx', 'fine', '', NULL]) v"""
    pool = make_pool()
    text = body(stream_csv(query, pool=pool, dialect=CSV_SPREADSHEET, options=via)).decode("utf-8")
    assert text.startswith("\ufeff")
    read = list(csv.reader(io.StringIO(text[1:], newline="")))
    assert read[0] == ['a "b', "n", "m", "n", "no"]
    assert [row[0] for row in read[1:]] == ["'=cmd()", "'+1", "'-1", "'@x", "'\tx", "'\rx", "fine", "", ""]
    assert {tuple(row[1:]) for row in read[1:]} == {("-1", "-1.5", "ok", "f")}
    assert "=cmd()" in body(stream_csv(query, pool=pool, dialect=CSV, options=via)).decode().splitlines()[1]


def test_json_columns_with_line_ends_become_one_line(make_pool: MakePool, via: StreamOptions) -> None:
    query = "SELECT g, E'{\"a\":\\r\\n[1,\\n2]}'::json AS doc FROM generate_series(1, 3) g"
    pool = make_pool()
    lines = body(stream_ndjson(query, pool=pool, options=via)).splitlines()
    assert [json.loads(line) for line in lines] == [{"g": g, "doc": {"a": [1, 2]}} for g in (1, 2, 3)]
    assert len(json.loads(body(stream_json(query, pool=pool, options=via)))) == 3


def test_a_tree_gives_one_document_per_row(make_pool: MakePool, via: StreamOptions) -> None:
    tree = many(
        "SELECT p.id, '100 %' AS share, {children} FROM generate_series(1, %(n)s) p (id) ORDER BY p.id",
        children=many("SELECT c.n, {half} FROM generate_series(2, p.id) c (n)", half=one("SELECT c.n * 2 AS v")),
    )
    lines = body(stream_ndjson(tree, {"n": 3}, pool=make_pool(), options=via)).splitlines()
    documents = [json.loads(line) for line in lines]
    assert [one["id"] for one in documents] == [1, 2, 3]
    assert documents[0] == {"id": 1, "share": "100 %", "children": []}
    assert [child["n"] for child in documents[2]["children"]] == [2, 3]


def test_a_composed_statement_names_its_table_safely(make_pool: MakePool, via: StreamOptions) -> None:
    query = composable.SQL("SELECT n AS {} FROM generate_series(1, %(n)s) n").format(
        composable.Identifier('a"; --')
    )
    assert body(stream_csv(query, {"n": 1}, pool=make_pool(), options=via)) == b'"a""; --"\n1\n'


def test_any_cursor_factory_autocommit_and_client_encoding_give_the_same(
    make_pool: MakePool, via: StreamOptions
) -> None:
    def prepare(conn: Any) -> None:
        conn.set_client_encoding("LATIN1")
        conn.autocommit = True

    factory = {"cursor_factory": psycopg2.extras.RealDictCursor}
    pool = make_pool(connect=factory, configure=prepare)
    assert body(stream_csv("SELECT %s AS ü", ["é"], pool=pool, options=via)) == "ü\né\n".encode()
    assert body(stream_json("SELECT 'é' AS ü", pool=pool, options=via)) == '[{"ü":"é"}]'.encode()
    with pool.connection() as conn, conn.cursor() as cursor:
        assert conn.autocommit
        cursor.execute("SELECT current_setting('transaction_read_only') AS readonly")
        assert dict(cursor.fetchone()) == {"readonly": "off"}


@pytest.mark.parametrize("mode", ["pgbouncer", "rollback"])
def test_it_works_behind_pgbouncer_in_transaction_mode_and_leaves_nothing(
    make_pool: MakePool, bouncer: Bouncer, via: StreamOptions, mode: str
) -> None:
    pool = make_pool(connect={"dsn": bouncer.url("app", "app")}, reset=mode)
    for stream in (stream_csv, stream_ndjson, stream_json):
        assert body(stream(MIXED, {"n": 2000}, pool=pool, options=via)).count(b"Gr") >= 2000
    cut: Any = stream_csv(MIXED, {"n": 10**6}, pool=pool, options=via).response
    next(cut)
    cut.close()
    with pool.connection() as conn, conn.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), current_setting('transaction_read_only')")
        assert cursor.fetchone() == ("0", "off")
    assert (pool.stats()["used"], pool.stats()["opened"]) == (0, 1)


@pytest.fixture
def app(url: str) -> Iterator[Flask]:
    app = Flask(__name__)
    Hardening(app, DATABASE_URL=url, DB_POOL_MAX=4)
    app.add_url_rule("/csv", view_func=lambda: stream_csv("SELECT 1 AS a", filename="revenue.csv"))
    app.add_url_rule("/bad", "bad", lambda: stream_csv("SELECT 1/0"))
    app.add_url_rule("/json", "json", lambda: stream_json("SELECT 1 AS a"))
    yield app


def test_a_view_returns_it_with_the_right_headers(app: Flask) -> None:
    answer = app.test_client().get("/csv")
    assert (answer.status_code, answer.data) == (200, b"a\n1\n")
    assert dict(answer.headers) == {
        "Content-Type": "text/csv; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
        "Content-Disposition": 'attachment; filename="revenue.csv"',
    }
    plain = app.test_client().get("/json")
    assert (plain.content_type, "Content-Disposition" in plain.headers) == ("application/json", False)


def test_head_is_answered_with_the_headers_and_nothing_stays_open(app: Flask) -> None:
    with app.test_client().head("/csv") as answer:
        assert (answer.status_code, answer.data, answer.mimetype) == (200, b"", "text/csv")
    assert backend.get_pool().stats()["used"] == 0


def test_an_error_before_the_first_row_is_a_500_without_its_text(app: Flask) -> None:
    answer = app.test_client().get("/bad")
    assert answer.status_code == 500
    assert b"zero" not in answer.data
    assert backend.get_pool().stats()["used"] == 0


def test_an_after_request_that_would_read_it_all_is_refused(app: Flask) -> None:
    app.after_request(lambda response: response.get_data() and response)  # type: ignore[arg-type]
    assert app.test_client().get("/csv").status_code == 500
    until(lambda: gc.collect() is None or backend.get_pool().stats()["used"] == 0, "the connection is back")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a b.csv", 'attachment; filename="a b.csv"'),
        ("Grüße.csv", "attachment; filename=\"Gruße.csv\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.csv".replace("ß", "")),
        ("报告", "attachment; filename=\"export\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A"),
        ('a"b;c.csv', "attachment; filename=\"a'b;c.csv\"; filename*=UTF-8''a%22b%3Bc.csv"),
    ],
)
def test_filenames_reach_the_browser_whole(make_pool: MakePool, name: str, header: str) -> None:
    response = stream_csv("SELECT 1", filename=name, pool=make_pool())
    body(response)
    assert response.headers["Content-Disposition"] == header


@pytest.mark.parametrize("name", ["", "..", "a\r\nSet-Cookie: x", "a\0", "../a.csv", "a\\b", "a\u2028b", "\ud800"])
def test_filenames_that_are_none_are_refused_before_anything_runs(name: str) -> None:
    with pytest.raises(StreamError, match="is no name for a file"):
        stream_csv("SELECT 1", filename=name, pool=object())


@pytest.mark.parametrize("delimiter", ["", ",,", "\n", '"', "é", "a", "1", "\0", ".", None])
def test_delimiters_that_cannot_be_are_refused(delimiter: Any) -> None:
    with pytest.raises(StreamError, match="delimiter"):
        CsvDialect(delimiter=delimiter)


@pytest.mark.parametrize(
    "wrong", [{"timeout": -1}, {"timeout": float("nan")}, {"stall_timeout": "60"}, {"most": True}, {"via": "psql"}]
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(StreamError, match=next(iter(wrong))):
        StreamOptions(**wrong)
    with pytest.raises(StreamError, match="newline"):
        CsvDialect(newline="\r")


def test_everything_public_is_on_the_page() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "streams.md").read_text(encoding="utf-8")
    names = {"stream_csv", "stream_ndjson", "stream_json", "CSV", "CSV_RFC4180", "CSV_SPREADSHEET", "CsvDialect"}
    names |= {"StreamOptions", "StreamError", "StreamBusy", *signature(stream_csv).parameters}
    names |= {field.name for kind in (CsvDialect, StreamOptions) for field in fields(kind)}
    assert names <= set(re.findall(r"\w+", page))
