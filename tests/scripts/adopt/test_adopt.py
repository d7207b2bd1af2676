"""`harden adopt`: a branch that is fixed and proved, and a checkout that nobody touched."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from scripts import cli
from scripts.adopt import steps
from scripts.fix.fixer import Change, Context, Edit, Fixer, Left

SCHEMA = """\
CREATE TABLE authors (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE books (id int PRIMARY KEY, author_id int REFERENCES authors (id), title text NOT NULL);
INSERT INTO authors SELECT n, 'author ' || n FROM generate_series(1, 6) n;
INSERT INTO books SELECT n, 1 + n % 6, 'book ' || n FROM generate_series(1, 30) n;
"""
APP = """\
import os

import psycopg2
from flask import Flask, jsonify

app = Flask(__name__)


def get_db_connection():
    return psycopg2.connect(os.environ["DATABASE_URL"])


def books_of(author_id):
    conn = get_db_connection()
    cur = conn.cursor()
    cur.execute("SELECT id, title FROM books WHERE author_id = %s ORDER BY id", (author_id,))
    rows = cur.fetchall()
    conn.close()
    return rows


@app.route("/authors")
def authors():
    conn = get_db_connection()
    cur = conn.cursor()
    cur.execute("SELECT id, name FROM authors ORDER BY id LIMIT 50")
    found = []
    for row in cur.fetchall():
        found.append({"name": row[1], "books": books_of(row[0])})
    conn.close()
    return jsonify(found)


if __name__ == "__main__":
    app.run(debug=True)
"""


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "somebody@example.org")
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    (folder / "schema.sql").write_text(SCHEMA)
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "start")
    return folder


def _run(*words: str | Path) -> int:
    try:
        return cli.main(["adopt", *map(str, words)])
    except SystemExit as left:
        return int(left.code or 0)


def test_a_branch_with_the_same_answers_and_fewer_statements(shop: Path, capsys: Any) -> None:
    assert _run(shop, "--verify", "--repeats 2") == 0, capsys.readouterr()
    said = capsys.readouterr().out
    assert "verified" in said
    assert _git(shop, "status", "--porcelain") == ""
    assert _git(shop, "rev-parse", "--abbrev-ref", "HEAD") == "main"
    subjects = _git(shop, "log", "--format=%s", "main..harden/adopt").splitlines()
    assert [each.partition(":")[0] for each in reversed(subjects)] == [
        "vendor", "debug-on", "connect-per-request", "n-plus-one",
    ]  # fmt: skip
    fixed = _git(shop, "show", "harden/adopt:app.py")
    assert "adopt(app)" in fixed and "prefetched(" in fixed and "debug=True" not in fixed
    page = (shop / ".git" / "harden-adopt.md").read_text()
    assert "Same answers." in page
    assert "7 -> 2" in page  # statements of the one route
    assert "| n-plus-one | 1 | 0 |" in page
    assert _git(shop, "worktree", "list").count("\n") == 0


def test_a_fix_that_changes_answers_is_left_out(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    others = tuple(each for each in steps.FIXERS if "debug-on" not in each.rules)
    monkeypatch.setattr(steps, "FIXERS", (Fixer(("debug-on",), "lost", 5, (), _lose), *others))
    assert _run(shop, "--verify", "--repeats 1") == 0, capsys.readouterr()
    page = (shop / ".git" / "harden-adopt.md").read_text()
    assert "left out, for answers differed: debug-on: a name is lost" in page
    fixed = _git(shop, "show", "harden/adopt:app.py")
    assert '"name": row[1]' in fixed and "prefetched(" in fixed


def _lose(context: Context) -> Iterable[Change | Left]:
    for finding in context.of("debug-on"):
        text = context.source("app.py").text
        name, debug = text.index('"name": row[1]'), text.index("debug=True")
        edits = (Edit("app.py", name, name + 6, '"nam"'), Edit("app.py", debug, debug + 10, ""))
        yield Change((finding,), finding.place, "a name is lost", edits)


def test_what_cannot_be_verified_is_said_and_the_branch_is_there(shop: Path, capsys: Any) -> None:
    assert _run(shop, "--verify", "--app nothing:here") == 1
    assert "not verified" in capsys.readouterr().out
    assert "**Not verified**" in (shop / ".git" / "harden-adopt.md").read_text()
    assert _git(shop, "branch", "--list", "harden/adopt")


def test_it_refuses_what_it_could_lose(shop: Path, tmp_path: Path, capsys: Any) -> None:
    (shop / "app.py").write_text(APP + "\n")
    assert _run(shop) == 2
    assert "not committed" in capsys.readouterr().err
    _git(shop, "checkout", "-q", "app.py")
    _git(shop, "branch", "harden/adopt")
    assert _run(shop) == 2
    assert "there is a branch harden/adopt already" in capsys.readouterr().err
    (tmp_path / "plain").mkdir()
    assert _run(tmp_path / "plain") == 2
    assert "in no git repository" in capsys.readouterr().err
    assert _run(tmp_path / "none") == 2
    assert _git(shop, "status", "--porcelain") == ""


def test_a_repository_without_an_app_leaves_no_branch(shop: Path, capsys: Any) -> None:
    (shop / "app.py").write_text("print('hello')\n")
    _git(shop, "commit", "-qam", "nothing")
    assert _run(shop) == 2
    assert "imports flask or psycopg2" in capsys.readouterr().err
    assert not _git(shop, "branch", "--list", "harden/adopt")
    assert _git(shop, "worktree", "list").count("\n") == 0
