"""H110."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.session_state import RULE

from ..looking import findings, places

HEAD = (
    "import psycopg2\nfrom flask import Flask\n"
    "app = Flask(__name__)\n@app.get('/')\ndef home():\n    cur = psycopg2.connect('').cursor()\n"
)


def app(sql: str) -> dict[str, str]:
    """Return an app with one statement, in line 7."""
    return {"app.py": f"{HEAD}    cur.execute({sql!r})\n"}


@pytest.mark.parametrize("sql", [
    "SET search_path TO shop", "set statement_timeout = 5000", "SET SESSION work_mem = '64MB'", "SET TIME ZONE"
    " 'UTC'",
    "SET app.user_id = 7", "SELECT set_config('app.user', 'x', false)", "LISTEN jobs", "UNLISTEN jobs",
    "SELECT pg_advisory_lock(1)", "SELECT pg_try_advisory_lock(1)", "PREPARE q AS SELECT 1", "PREPARE q (int) AS"
    " SELECT $1",
    "CREATE TEMP TABLE t (a int)", "CREATE TEMPORARY TABLE t AS SELECT 1", "DECLARE c CURSOR WITH HOLD FOR"
    " SELECT 1",
])  # fmt: skip
def test_what_stays_in_the_session_is_found(tmp_path: Path, sql: str) -> None:
    assert places(RULE, tmp_path, app(sql)) == ["app.py:7:5"]


@pytest.mark.parametrize("sql", [
    "SET LOCAL search_path TO shop", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET CONSTRAINTS ALL"
    " DEFERRED",
    "UPDATE t SET a = 1", "SELECT set_config('app.user', 'x', true)", "SELECT pg_advisory_xact_lock(1)", "NOTIFY"
    " jobs",
    "CREATE TEMP TABLE t (a int) ON COMMIT DROP", "CREATE TABLE t (a int)", "DECLARE c CURSOR FOR SELECT 1",
    "SELECT listen FROM t", "INSERT INTO t VALUES ('SET a = 1')", "PREPARE TRANSACTION 'x'", "SELECT prepare"
    " FROM t AS u",
])  # fmt: skip
def test_what_ends_with_the_transaction_is_left_alone(tmp_path: Path, sql: str) -> None:
    assert places(RULE, tmp_path, app(sql)) == []


def test_a_cursor_that_is_held_is_found(tmp_path: Path) -> None:
    code = (
        HEAD + "    psycopg2.connect('').cursor('big', withhold=True)\n    psycopg2.connect('').cursor('small')\n"
    )
    assert places(RULE, tmp_path, {"app.py": code}) == ["app.py:7:5"]


@pytest.mark.parametrize("name, text, severity", [
    ("pgbouncer.ini", "[pgbouncer]\npool_mode = transaction\n", Severity.high),
    ("pgbouncer.ini", "[pgbouncer]\npool_mode = session\n", Severity.low),
    ("compose.yml", "services:\n  pgbouncer:\n    image: edoburu/pgbouncer\n", Severity.medium),
    (".env", "DATABASE_URL=postgresql://u@db:6432/app\n", Severity.medium),
    ("notes.txt", "# pgbouncer one day\n", Severity.low),
])  # fmt: skip
def test_a_pooler_grades_it(tmp_path: Path, name: str, text: str, severity: Severity) -> None:
    (found,) = findings(RULE, tmp_path, app("SET search_path TO shop") | {name: text})
    assert found.severity is severity


def test_a_script_is_left_alone(tmp_path: Path) -> None:
    script = "import psycopg2\npsycopg2.connect('').cursor().execute('SET search_path TO shop')\n"
    assert places(RULE, tmp_path, {**app("SELECT 1"), "load.py": script}) == []
