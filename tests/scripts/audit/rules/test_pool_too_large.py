"""H106."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.rules.pool_too_large import RULE

from ..looking import findings, places

HEAD = (
    "import os\nfrom flask import Flask\nfrom psycopg2.pool import SimpleConnectionPool\napp = Flask(__name__)\n"
)
VIEW = '@app.get("/")\ndef home():\n    return ""\n'


def app(arguments: str) -> dict[str, str]:
    """Return an app with a pool."""
    return {"app.py": f"{HEAD}pool = SimpleConnectionPool({arguments})\n{VIEW}"}


@pytest.mark.parametrize("arguments", [
    "1, 100, ''", "1, maxconn=50, dsn=''", "minconn=1, maxconn=500, dsn=''",
])  # fmt: skip
def test_a_pool_that_two_workers_overrun_the_server_with_is_found(tmp_path: Path, arguments: str) -> None:
    assert places(RULE, tmp_path, app(arguments)) == ["app.py:5:8"]


@pytest.mark.parametrize(
    "arguments",
    [
        "1, 8, ''",
        "1, 48, ''",
        "1, int(os.environ['MOST']), ''",
        "1, int(os.getenv('MOST', '60')), ''",
        "maxconn=20, minconn=1",
    ],
)
def test_a_pool_that_fits_is_left_alone(tmp_path: Path, arguments: str) -> None:
    assert places(RULE, tmp_path, app(arguments)) == []


def test_workers_are_counted(tmp_path: Path) -> None:
    files = app("1, 20, ''") | {"Procfile": "web: gunicorn -w 8 app:app\n"}
    (found,) = findings(RULE, tmp_path, files)
    assert found.message.startswith("a pool of up to 20 in each process makes 160 connections with 8 workers")
    assert found.evidence[0].place.path == "Procfile"


def test_one_worker_may_have_a_larger_pool(tmp_path: Path) -> None:
    assert places(RULE, tmp_path, app("1, 60, ''") | {"Procfile": "web: gunicorn -w 1 app:app\n"}) == []


def test_the_servers_own_limit_counts(tmp_path: Path) -> None:
    setting = {
        "compose.yml": "services:\n  db:\n    image: postgres\n    command: postgres -c max_connections=500\n"
    }
    assert places(RULE, tmp_path, app("1, 100, ''") | setting) == []
    lower = {"postgresql.conf": "max_connections = 20\n"}
    assert places(RULE, tmp_path / "lower", app("1, 15, ''") | lower) == ["app.py:5:8"]


def test_a_pooler_in_front_holds_the_number(tmp_path: Path) -> None:
    pooler = {"pgbouncer.ini": "[pgbouncer]\npool_mode = transaction\n"}
    assert places(RULE, tmp_path, app("1, 100, ''") | pooler) == []


def test_the_kits_pool_has_a_size_as_well(tmp_path: Path) -> None:
    code = "from flask import Flask\nfrom hardened import ThreadedConnectionPool\napp = Flask(__name__)\n" \
        "pool = ThreadedConnectionPool(1, 500, '')\n@app.get('/')\ndef home():\n    return ''\n"  # fmt: skip
    assert places(RULE, tmp_path, {"app.py": code}) == ["app.py:4:8"]
