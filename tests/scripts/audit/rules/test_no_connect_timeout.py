"""H108."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Confidence
from scripts.audit.rules.no_connect_timeout import RULE

from ..looking import findings, places

HEAD = (
    "import os\nimport psycopg2\nfrom psycopg2.pool import SimpleConnectionPool\nfrom flask import Flask\n"
    "app = Flask(__name__)\n"
)
VIEW = '@app.get("/")\ndef home():\n'


@pytest.mark.parametrize("code", [
    "psycopg2.connect('dbname=app')", "psycopg2.connect(host='db', dbname='app')",
    "SimpleConnectionPool(1, 8, 'dbname=app')", "SimpleConnectionPool(1, 8, host='db')",
    "psycopg2.connect(os.environ['DATABASE_URL'])", "psycopg2.connect(**app.config['DB'])",
])  # fmt: skip
def test_a_connect_without_a_timeout_is_found(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": f"{HEAD}{VIEW}    {code}\n"}) == ["app.py:8:5"]


@pytest.mark.parametrize("code", [
    "psycopg2.connect('dbname=app connect_timeout=5')", "psycopg2.connect(host='db', connect_timeout=5)",
    "psycopg2.connect('postgresql://db/app?connect_timeout=5')", "SimpleConnectionPool(1, 8, 'connect_timeout=5')",
    "SimpleConnectionPool(1, 8, host='db', connect_timeout=3)", "str()",
])  # fmt: skip
def test_a_connect_with_one_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": f"{HEAD}{VIEW}    {code}\n"}) == []


def test_what_the_environment_may_hold_is_less_sure(tmp_path: Path) -> None:
    code = f"{HEAD}{VIEW}    psycopg2.connect(os.environ['DATABASE_URL'])\n"
    (found,) = findings(RULE, tmp_path, {"app.py": code})
    assert found.confidence is Confidence.low
    assert places(RULE, tmp_path / "set", {"app.py": code, ".env": "PGCONNECT_TIMEOUT=5\n"}) == []


def test_a_files_connects_are_one_finding(tmp_path: Path) -> None:
    (found,) = findings(
        RULE, tmp_path, {"app.py": HEAD + VIEW + "    psycopg2.connect('')\n    psycopg2.connect('')\n"}
    )
    assert [place.line for place in found.more] == [9]


def test_a_script_is_left_alone(tmp_path: Path) -> None:
    files = {"app.py": HEAD + VIEW + "    return ''\n", "load.py": "import psycopg2\npsycopg2.connect('')\n"}
    assert places(RULE, tmp_path, files) == []
