"""H407: which tables are made by each worker, and which only by a release."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.schema_at_import import RULE

from ..looking import findings, places

HEAD = (
    "import psycopg2\nfrom flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef index():\n    return ''\n"
)
RUN = "def run(sql):\n    with psycopg2.connect('') as conn, conn.cursor() as cur:\n        cur.execute(sql)\n"
MAKE = "CREATE TABLE IF NOT EXISTS users (id serial)"


@pytest.mark.parametrize("code, place", [
    (f"cur = psycopg2.connect('').cursor()\ncur.execute('{MAKE}')\n", "8:1"),
    (f"{RUN}run('{MAKE}')\n", "10:1"),
    (f"{RUN}def init():\n    run('ALTER TABLE users ADD COLUMN age int')\ninit()\n", "12:1"),
    (f"{RUN}@app.before_first_request\ndef init():\n    run('{MAKE}')\n", "12:5"),
    (f"{RUN}@app.before_request\ndef init():\n    run('{MAKE}')\n", "12:5"),
    (f"class Users:\n    def __init__(self):\n        psycopg2.connect('').cursor().execute('{MAKE}')\n"
     f"users = Users()\n", "10:9"),
    ("from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy(app)\ndb.create_all()\n", "9:1"),
])  # fmt: skip
def test_a_change_in_each_worker_is_found(tmp_path: Path, code: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == [f"app.py:{place}"]


@pytest.mark.parametrize("code", [
    f"{RUN}run('SELECT 1')\n",
    f"{RUN}run('CREATE TEMP TABLE t (id int)')\n",
    f"{RUN}@app.cli.command()\ndef init():\n    run('{MAKE}')\n",
    f"{RUN}if __name__ == '__main__':\n    run('{MAKE}')\n",
    f"{RUN}@app.post('/setup')\ndef setup():\n    run('{MAKE}')\n    return ''\n",
    f"{RUN}def init():\n    run('{MAKE}')\nrun('SELECT 1')\n",
    f"import os\n{RUN}if os.environ.get('INIT_DB'):\n    run('{MAKE}')\n",
])  # fmt: skip
def test_a_change_that_somebody_asks_for_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []


def test_a_script_that_the_app_does_not_import_is_left_alone(tmp_path: Path) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD, "dbinit.py": f"import psycopg2\n{RUN}run('{MAKE}')\n"}) == []


def test_throwing_tables_away_is_critical(tmp_path: Path) -> None:
    [finding] = findings(RULE, tmp_path, {"app.py": f"{HEAD}{RUN}run('DROP TABLE users')\n"})
    assert finding.severity == Severity.critical


def test_several_tables_are_one_finding(tmp_path: Path) -> None:
    code = f"{HEAD}{RUN}run('{MAKE}')\nrun('CREATE TABLE posts (id serial)')\n"
    [finding] = findings(RULE, tmp_path, {"app.py": code})
    assert "and 1 more" in finding.message
    assert [place.line for place in finding.more] == [11]
