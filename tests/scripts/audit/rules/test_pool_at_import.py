"""H105."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.pool_at_import import RULE

from ..looking import findings, places

HEAD = "from flask import Flask\nfrom psycopg2.pool import SimpleConnectionPool\napp = Flask(__name__)\n"
VIEW = '@app.get("/")\ndef home():\n    return ""\n'

FOUND = {
    "in a module": (HEAD + 'pool = SimpleConnectionPool(1, 8, "")\n' + VIEW, "4:8"),
    "by name": (HEAD + 'pool = SimpleConnectionPool(minconn=1, maxconn=8, dsn="")\n' + VIEW, "4:8"),
    "in a function that the import runs": (
        HEAD + 'def setup():\n    return SimpleConnectionPool(1, 8, "")\npool = setup()\n' + VIEW, "5:12"
    ),
    "in a class": (HEAD + 'class Database:\n    pool = SimpleConnectionPool(1, 8, "")\n' + VIEW, "5:12"),
    "in psycopg": (
        "from flask import Flask\nfrom psycopg_pool import ConnectionPool\napp = Flask(__name__)\n"
        "pool = ConnectionPool('')\n"
        + VIEW, "4:8"
    ),
}  # fmt: skip

FINE = {
    "made at first use": HEAD + 'def make():\n    return SimpleConnectionPool(1, 8, "")\n' + VIEW,
    "opens nothing": HEAD + 'pool = SimpleConnectionPool(0, 8, "")\n' + VIEW,
    "under the main"
    " guard": HEAD + VIEW + 'if __name__ == "__main__":\n    pool = SimpleConnectionPool(1, 8, "")\n',
    "psycopg's, closed": "from flask import Flask\nfrom psycopg_pool import ConnectionPool\n"
    "app = Flask(__name__)\n"
    "pool = ConnectionPool('', open=False)\n" + VIEW,
    "the kit's": "from flask import Flask\nfrom backend import ThreadedConnectionPool\napp = Flask(__name__)\n"
    "pool = ThreadedConnectionPool(1, 8, '')\n" + VIEW,
}  # fmt: skip


@pytest.mark.parametrize("code, place", FOUND.values(), ids=FOUND.keys())
def test_a_pool_of_an_import_is_found(tmp_path: Path, code: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": code}) == [f"app.py:{place}"]


@pytest.mark.parametrize("code", FINE.values(), ids=FINE.keys())
def test_other_pools_are_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": code}) == []


def test_a_script_is_left_alone(tmp_path: Path) -> None:
    script = "from psycopg2.pool import SimpleConnectionPool\npool = SimpleConnectionPool(1, 8, '')\n"
    assert places(RULE, tmp_path, {"app.py": HEAD + VIEW, "load.py": script}) == []


def test_preload_makes_it_worse(tmp_path: Path) -> None:
    files = {
        "app.py": HEAD + 'pool = SimpleConnectionPool(1, 8, "")\n' + VIEW,
        "gunicorn.conf.py": "preload_app = True\n",
    }
    (found,) = findings(RULE, tmp_path, files)
    assert found.severity is Severity.high
    assert [each.place.path for each in found.evidence] == ["gunicorn.conf.py"]
    assert found.message.startswith("the pool is made at import and opens 1 connection in every process")
