"""H413."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.rules.sqlite_api import _TEXTS, RULE

from ..looking import findings, places

HEAD = "import sqlite3\nfrom flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef index():\n" \
    "    conn = sqlite3.connect('a.db')\n    cur = conn.cursor()\n"  # fmt: skip
PAGE = (Path(__file__).resolve().parents[4] / "docs" / "sqlite-code.md").read_text(encoding="utf-8")


def _app(*lines: str) -> dict[str, str]:
    return {"app.py": HEAD + "".join(f"    {line}\n" for line in lines) + "    return ''\n"}


@pytest.mark.parametrize(("line", "at", "said", "instead"), [
    ("conn.execute('SELECT 1')", "conn", "has no `execute`", "make a cursor"),
    ("row = conn.execute('SELECT 1').fetchone()", "conn", "has no `execute`", "make a cursor"),
    ("conn.executemany('INSERT INTO t VALUES (1)', [])", "conn", "has no `executemany`", "`insert_many`"),
    ("conn.executescript(script)", "conn", "`executescript`", "several statements"),
    ("conn.row_factory = sqlite3.Row", "conn", "`row_factory`", "cursor_factory=DictCursor"),
    ("n = conn.total_changes", "conn", "`total_changes`", "`cur.rowcount`"),
    ("conn = sqlite3.connect('a', detect_types=3)", "detect_types", "`detect_types`", "leave it out"),
    ("conn = sqlite3.connect('a', check_same_thread=False)", "check", "`check_same_thread`", "leave it out"),
    ("sqlite3.register_adapter(set, str)", "sqlite3", "adapters and converters", "`register_adapter`"),
    ("conn.create_function('f', 1, str)", "conn", "functions of Python's", "a function of PostgreSQL's own"),
])  # fmt: skip
def test_each_use_is_told_with_what_stands_for_it(
    tmp_path: Path, line: str, at: str, said: str, instead: str
) -> None:
    [finding] = findings(RULE, tmp_path, _app(line))
    assert (finding.place.line, finding.place.col) == (8, 5 + line.index(at))
    assert said in finding.message and instead in finding.fix


@pytest.mark.parametrize("kinds", ["sqlite3.IntegrityError", "(ValueError, sqlite3.Error)"])
def test_a_caught_exception_is_told_at_its_name(tmp_path: Path, kinds: str) -> None:
    [finding] = findings(RULE, tmp_path, _app("try:", "    pass", f"except {kinds}:", "    pass"))
    column = 12 + kinds.index("sqlite3")
    assert (finding.place.line, finding.place.col) == (10, column)
    assert "rollback()" in finding.fix


def test_another_name_of_the_module_is_known(tmp_path: Path) -> None:
    code = "import sqlite3 as sql\ndef f():\n    try:\n        pass\n    except sql.Error:\n        pass\n"
    assert places(RULE, tmp_path, {"app.py": code}) == ["app.py:5:12"]


def test_a_kind_is_told_once_in_a_file_with_its_other_places(tmp_path: Path) -> None:
    [finding] = findings(RULE, tmp_path, _app("conn.execute('SELECT 1')", "", "conn.execute('SELECT 2')"))
    assert (finding.place.line, finding.place.col) == (8, 5)
    assert [each.line for each in finding.more] == [10] and "in 1 more" in finding.message


@pytest.mark.parametrize("line", [
    "cur.execute('SELECT 1')",
    "conn.commit()",
    "other.execute('SELECT 1')",
    "with conn: pass",
    "rows = cur.fetchall()",
    "n = cur.rowcount",
    "register_adapter(set, str)",
    "other.connect('a', timeout=5)",
    "conn = sqlite3.connect('a.db', timeout=5)",
    "x = {'row_factory': 1}",
])  # fmt: skip
def test_what_both_have_and_what_is_not_sqlite_is_left_alone(tmp_path: Path, line: str) -> None:
    assert places(RULE, tmp_path, _app(line)) == []


def test_files_without_sqlite_and_tests_are_left_alone(tmp_path: Path) -> None:
    text = "def f(conn):\n    conn.row_factory = dict\n    conn.executescript('')\n    return conn.total_changes\n"
    assert places(RULE, tmp_path, {"app.py": text, "tests/test_app.py": f"import sqlite3\n{text}"}) == []


def test_connections_of_psycopg2_are_left_alone(tmp_path: Path) -> None:
    text = HEAD.replace("sqlite3", "psycopg2") + "    conn.execute('SELECT 1')\n    return ''\n"
    assert places(RULE, tmp_path, {"app.py": text}) == []


def test_a_handler_of_another_driver_is_left_alone(tmp_path: Path) -> None:
    code = _app("try:", "    pass", "except psycopg2.Error:", "    pass")
    assert places(RULE, tmp_path, code) == []


def test_each_use_has_its_place_on_the_page() -> None:
    named = {"execute", "executemany", "executescript", "row_factory", "total_changes", "detect_types"}
    assert named < set(_TEXTS)
    assert all(f"`{name}" in PAGE or f".{name}" in PAGE for name in named)
