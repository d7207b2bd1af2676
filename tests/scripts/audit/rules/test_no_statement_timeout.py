"""H109."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.rules.no_statement_timeout import RULE

from ..looking import findings, places

APP = (
    "import psycopg2\nfrom flask import Flask\n"
    "app = Flask(__name__)\n@app.get('/')\ndef home():\n    conn = psycopg2.connect({})\n"
)
BARE = APP.format("'dbname=app'")


def test_an_app_without_any_is_found_once(tmp_path: Path) -> None:
    (found,) = findings(
        RULE, tmp_path, {"app.py": BARE + "    again = psycopg2.connect('')\n", "schema.sql": "SELECT 1;\n"}
    )
    assert (found.place.line, found.place.col) == (6, 12)
    assert [place.line for place in found.more] == [7]


def test_the_pool_is_named_before_other_connects(tmp_path: Path) -> None:
    code = BARE + "from psycopg2.pool import SimpleConnectionPool\npool = SimpleConnectionPool(1, 8, '')\n"
    assert places(RULE, tmp_path, {"app.py": code}) == ["app.py:8:8"]


@pytest.mark.parametrize("files", [
    {"app.py": APP.format("options='-c statement_timeout=15000'")},
    {"app.py": BARE + "    conn.cursor().execute('SET statement_timeout = 5000')\n"},
    {"app.py": BARE, "schema.sql": "ALTER ROLE app SET statement_timeout = '15s';\n"},
    {"app.py": BARE, "pgbouncer.ini": "query_timeout = 20\n"},
    {"app.py": BARE, ".env": "DATABASE_URL=postgresql://db/app?options=-c%20statement_timeout%3D5000\n"},
    {"app.py": "from flask import Flask\napp = Flask(__name__)\n"},
    {"app.py": "from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef home():\n    return ''\n",
     "load.py": "import psycopg2\npsycopg2.connect('')\n"},
])  # fmt: skip
def test_an_app_that_sets_one_or_needs_none_is_left_alone(tmp_path: Path, files: dict[str, str]) -> None:
    assert places(RULE, tmp_path, files) == []
