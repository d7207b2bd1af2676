"""Exports as routes: declared parameters, permission, a file name, HEAD without a query, a limit on how many."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort, g
from psycopg2 import sql as composable

from backend import (
    CSV_SPREADSHEET,
    Hardening,
    Report,
    StreamError,
    StreamOptions,
    get_pool,
    many,
    report_routes,
)
from backend.declared import day, one_of, optional, text, whole

Asks = Callable[..., Any]
NUMBERS = "SELECT n, 'no. ' || n AS name FROM generate_series(1, %(most)s) n"
NESTED = many("SELECT n, {below} FROM generate_series(1, %(most)s) n",
              below=many("SELECT m FROM generate_series(1, n) m"))  # fmt: skip
REPORTS = {
    "numbers": Report(NUMBERS, takes={"most": optional(whole(0, 100000), 2)}, filename="numbers-{most}"),
    "nested": Report(NESTED, takes={"most": whole()}),
    "percent": Report("SELECT '100%' AS share", dialect=CSV_SPREADSHEET, formats=("csv",)),
    "broken": Report("SELECT 1 / 0 AS x"),
}


@pytest.fixture
def ask(url: str) -> Asks:
    def make(reports: dict[str, Report], **options: Any) -> Any:
        app = Flask(__name__)
        Hardening(app, DATABASE_URL=url, DB_POOL_MAX=4, DB_POOL_TIMEOUT=2)
        app.register_blueprint(report_routes("reports", reports, "/api/reports", **options))
        return app.test_client()

    return make


@pytest.fixture
def client(ask: Asks) -> Any:
    return ask(REPORTS)


def test_a_report_comes_in_each_of_its_formats(client: Any) -> None:
    answer = client.get("/api/reports/numbers.csv?most=3")
    assert list(csv.reader(io.StringIO(answer.text))) == [
        ["n", "name"],
        *([str(n), f"no. {n}"] for n in (1, 2, 3)),
    ]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="numbers-3.csv"'
    rows = [{"n": 1, "name": "no. 1"}, {"n": 2, "name": "no. 2"}]
    assert client.get("/api/reports/numbers.json").json == rows
    lines = client.get("/api/reports/numbers.ndjson")
    assert [json.loads(line) for line in lines.text.splitlines()] == rows
    assert (lines.content_type, lines.headers["Cache-Control"]) == ("application/x-ndjson", "no-store")
    nested = client.get("/api/reports/nested.json?most=2").json
    assert nested == [{"n": 1, "below": [{"m": 1}]}, {"n": 2, "below": [{"m": 1}, {"m": 2}]}]
    assert client.get("/api/reports/percent.csv").data == b"\xef\xbb\xbfshare\r\n100%\r\n"


@pytest.mark.parametrize("path", ["nested.csv", "percent.json", "nobody.csv", "numbers", "numbers.xml"])
def test_what_is_no_report_of_that_format_is_a_404(client: Any, path: str) -> None:
    assert client.get(f"/api/reports/{path}").status_code == 404


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("most=x", "parameter most must be a whole number from 0 to 100000"),
        ("most=-1", "parameter most must be"),
        ("more=1", "unknown parameter 'more'; there is most"), ("most=1&most=2", "stands twice"),
    ],
)  # fmt: skip
def test_a_parameter_that_cannot_be_is_a_400(client: Any, query: str, said: str) -> None:
    answer = client.get(f"/api/reports/numbers.csv?{query}")
    assert (answer.status_code, answer.json["code"]) == (400, "H341")
    assert said in answer.json["error"]
    assert client.get("/api/reports/nested.json").status_code == 400


def test_head_has_the_headers_of_get_and_runs_no_query(client: Any) -> None:
    get, head = (ask("/api/reports/numbers.csv?most=3", buffered=True) for ask in (client.get, client.head))
    assert head.data == b""
    assert dict(head.headers) == dict(get.headers)
    assert client.head("/api/reports/broken.csv").status_code == 200
    assert client.get("/api/reports/broken.csv").status_code == 500
    assert client.head("/api/reports/numbers.csv?most=x").status_code == 400


def test_who_may_not_gets_nothing_and_no_query_is_run(ask: Asks) -> None:
    def allowed(asked: Any) -> bool:
        if asked["who"] == "nobody":
            abort(401)
        return bool(asked["most"] < 3)

    report = Report("SELECT 1 / (%(most)s - 4) AS x, %(who)s AS who", takes={"most": whole()},
                    given=lambda: {"who": g.who}, allowed=allowed, filename="of {who}")  # fmt: skip
    client = ask({"mine": report})
    client.application.before_request(lambda: setattr(g, "who", "me"))
    assert client.get("/api/reports/mine.json?most=2").json == [{"x": 0, "who": "me"}]
    assert client.get("/api/reports/mine.json?most=4").status_code == 403
    assert client.head("/api/reports/mine.json?most=4").status_code == 403
    assert client.get("/api/reports/mine.json?most=2&who=you").status_code == 400
    client.application.before_request_funcs[None].append(lambda: setattr(g, "who", "nobody"))
    assert client.get("/api/reports/mine.json?most=2").status_code == 401


def test_more_than_so_many_at_once_are_told_to_come_later(ask: Asks) -> None:
    client = ask(REPORTS, most=1)
    path = "/api/reports/numbers.csv?most=100000"
    first = client.get(path)  # not read yet: its connection is at work
    assert get_pool().stats()["used"] == 1
    second = client.get(path)
    assert (second.status_code, second.headers["Retry-After"]) == (503, "5")
    assert client.head(path).status_code == 200
    first.close()
    assert client.get(path, buffered=True).status_code == 200
    assert get_pool().stats()["used"] == 0


def test_a_value_in_a_file_name_is_a_name_and_no_path(ask: Asks) -> None:
    reports = {"of": Report("SELECT %(who)s AS who", takes={"who": text()}, filename="of-{who}")}
    answer = ask(reports).get("/api/reports/of.csv", query_string={"who": '../a/b\r\nX: "ü'})
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"of-.._a_b__X___u.csv\"; filename*=UTF-8''of-.._a_b__X___%C3%BC.csv"
    )
    assert "X" not in answer.headers


def test_what_cannot_be_a_report_is_refused_when_the_app_starts() -> None:
    for made, said in (
        (lambda: Report(NUMBERS), None),  # without parameters a % is a %: the SQL is not looked into
        (lambda: Report(NUMBERS, takes={"least": whole()}), "the SQL of the report names \\['most'\\]"),
        (lambda: Report(NESTED), "the SQL of the report names"),
        (lambda: Report(NESTED, formats=("csv",)), "this report can be ndjson, json"),
        (lambda: Report("SELECT 1 AS x", formats=("xml",)), "csv, ndjson, json"),
        (lambda: Report("SELECT 1 AS x", filename="a-{day}"), "names what is no parameter"),
        (lambda: report_routes("r", {"a/b": Report("SELECT 1 AS x")}), "names no report"),
        (lambda: Report("SELECT 1 AS x", options=StreamOptions(timeout=-1)), "is not a number"),
    ):  # fmt: skip
        if said is None:
            made()
            continue
        with pytest.raises(StreamError, match=said):
            made()


def test_composed_sql_and_dates_work_as_anywhere(ask: Asks) -> None:
    query = composable.SQL("SELECT %(since)s::date + 1 AS {}, %(way)s AS way").format(
        composable.Identifier("the day")
    )
    report = Report(query, takes={"since": day(), "way": one_of("up", "down")})
    found = ask({"days": report}).get("/api/reports/days.json?since=2024-02-28&way=up")
    assert found.json == [{"the day": "2024-02-29", "way": "up"}]
