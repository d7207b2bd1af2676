"""Each tool for real, on a file with one fault of each kind that it knows; one that is missing says so."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import pytest

from scripts.bench.audit import corpus, tools
from scripts.bench.audit.scoring import Row
from scripts.bench.audit.tools import Tool
from scripts.errors import CommandError

APP = """
import psycopg2
from flask import Flask, request

app = Flask(__name__)
password = "hunter2hunter2"


@app.get("/")
def home():
    conn = psycopg2.connect(database="shelf", password=password)
    try:
        cur = conn.cursor()
        cur.execute("SELECT id FROM books WHERE title = '%s' LIMIT 5" % request.args["title"])
        return str(cur.fetchall())
    finally:
        conn.close()


if __name__ == "__main__":
    app.run(debug=True)
"""


def _project(folder: Path) -> Path:
    (folder / "app.py").write_text(dedent(APP).lstrip("\n"), encoding="utf-8")
    (folder / "test_app.py").write_text(dedent(APP).lstrip("\n"), encoding="utf-8")
    return folder


def _places(rows: list[Row]) -> set[tuple[str, str, int]]:
    return {(row.path, row.rule, row.line) for row in rows}


EXPECTED = {("app.py", "hardcoded-credentials", 5), ("app.py", "sql-injection", 13), ("app.py", "debug-on", 20)}


def test_ours_finds_what_the_peers_find_and_leaves_tests_out(tmp_path: Path) -> None:
    tool = tools.ours()
    found = _places(tool.look("a/b", _project(tmp_path)))
    assert found >= EXPECTED
    assert ("app.py", "connect-per-request", 10) in found
    assert {path for path, _, _ in found} == {"app.py"}
    assert tool.seconds["a/b"] > 0
    assert tools.version(tool)[0].isdigit()


@pytest.mark.skipif(find_spec("bandit") is None, reason="bandit is not installed (pip install bandit)")
def test_bandits_rules_become_ours(tmp_path: Path) -> None:
    tool = tools.peers(None)["bandit"]
    assert isinstance(tool, Tool)
    assert _places(tool.look("a/b", _project(tmp_path))) == EXPECTED


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed (pip install ruff)")
def test_ruffs_rules_become_ours(tmp_path: Path) -> None:
    tool = tools.peers(None)["ruff"]
    assert isinstance(tool, Tool)
    assert _places(tool.look("a/b", _project(tmp_path))) == EXPECTED


def test_semgrep_without_rules_of_ones_own_is_left_out_with_the_reason() -> None:
    assert "semgrep" in str(tools.peers(None)["semgrep"])


def test_semgreps_reports_of_one_line_are_one(tmp_path: Path) -> None:
    ids = ("a.formatted-sql-query", "b.sqlalchemy-execute-raw-query", "c.unknown")
    place = {"path": str(tmp_path / "app.py"), "start": {"line": 3}, "end": {"line": 4}}
    results = [{"check_id": each, **place} for each in ids]
    found = list(tools._of_semgrep({"results": results}, "a/b", tmp_path))
    assert found == [Row("a/b", "app.py", 3, 4, "sql-injection")]


def test_a_tool_that_fails_is_one_line(tmp_path: Path) -> None:
    tool = Tool("broken", ("python3", "-c", "raise SystemExit('no rules')"), lambda *_: iter(()), ("true",))
    with pytest.raises(CommandError, match=r"broken failed on .*: no rules"):
        tool.look("a/b", tmp_path)


def test_each_statement_of_a_loop_is_a_row_and_callers_are_none() -> None:
    place = {"path": "app.py", "line": 3, "end_line": 4}
    other = {"path": "app.py", "line": 8, "end_line": 8}
    findings = [{**place, "name": name, "more": [other]} for name in ("n-plus-one", "connect-per-request")]
    rows = list(corpus.rows({"findings": findings}, "a/b"))
    assert [(row.rule, row.line, row.end) for row in rows] == [
        ("n-plus-one", 3, 4), ("n-plus-one", 8, 8), ("connect-per-request", 3, 4),
    ]  # fmt: skip
