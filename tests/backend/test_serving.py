"""What wsgi.py serves: an app unedited with pooled connections, or one clear line on why it cannot be."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from flask import Flask
from psycopg2.extensions import connection
from werkzeug.test import Client

from backend import AppLoadError, serving
from backend.connection import Returning
from backend.dropin import installed
from backend.settings import load
from tests.support.threads import DEADLINE, Running, together

Serve = Callable[..., Any]


@pytest.fixture
def serve(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Writes an app's file and hardens it: `serve(source, name, **settings)`."""
    modules, path = set(sys.modules), list(sys.path)

    def write_and_harden(source: str, name: str = "app", **environ: str) -> Any:
        file = tmp_path / "served.py"
        file.write_text(f"from flask import Flask\nimport psycopg2\nDSN = {dsn!r}\n{source}")
        return serving.harden(f"{file}:{name}", load(environ=environ))

    yield write_and_harden
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


PLAIN = """
app = Flask(__name__)
@app.get("/")
def view():
    conn = psycopg2.connect(DSN)
    return f"{type(conn).__name__} {conn.autocommit}"
"""


def test_an_apps_connections_are_leases_of_a_pool_sized_by_the_settings(serve: Serve) -> None:
    app = serve(PLAIN, DB_POOL_MIN="2", DB_POOL_MAX="5", DB_POOL_TIMEOUT="3")
    assert app.test_client().get("/").text == "Returning False"
    drop_in = installed()
    assert drop_in is not None
    (pool,) = drop_in.pools.values()
    assert (pool.minconn, pool.maxconn, pool.options.timeout, pool.options.reset) == (2, 5, 3.0, "reset")
    assert pool.options.nested_overflow == 5
    assert pool.stats()["used"] == 0


def test_health_endpoints_answer_beside_the_apps_own_routes(serve: Serve) -> None:
    client = serve(PLAIN).test_client()
    assert client.get("/livez").status_code == client.get("/readyz").status_code == 200


def test_pgbouncer_in_transaction_mode_is_not_reset(serve: Serve) -> None:
    serve(PLAIN, DB_PGBOUNCER="transaction").test_client().get("/")
    assert [pool.options.reset for pool in installed().pools.values()] == ["pgbouncer"]  # type: ignore[union-attr]


def test_redirect_sends_every_connection_there(serve: Serve, dsn: str) -> None:
    source = PLAIN.replace("connect(DSN)", "connect('host=nowhere.invalid user=x')")
    assert serve(source, HARDEN_REDIRECT_DSN=dsn).test_client().get("/").text == "Returning False"


def test_an_app_that_has_adopted_the_kit_is_not_hardened_twice(serve: Serve, url: str) -> None:
    app = serve(f"from backend import Hardening\napp = Flask(__name__)\nHardening(app, DATABASE_URL={url!r})")
    assert app.test_client().get("/livez").status_code == 200


def test_a_plain_wsgi_function_has_health_endpoints_too(serve: Serve) -> None:
    source = (
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [type(psycopg2.connect(DSN)).__name__.encode()]\n"
    )
    client = Client(serve(source, "application"))
    assert client.get("/").text == "Returning"
    assert client.get("/livez").json == {"status": "ok"}


KEEPS = """
app = Flask(__name__)
conn = psycopg2.connect(DSN)
inside = []
@app.get("/")
def view():
    inside.append(1)
    most = len(inside)
    with conn, conn.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.01)")
    inside.pop()
    return str(most)
"""


class TestConnectionsKeptSinceTheImport:
    def test_requests_that_share_one_are_let_in_one_at_a_time(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = serve(KEEPS)
        assert "keeps 1 connection(s) that it opened while it was imported" in caplog.text
        assert re.search(r"opened at \S*served.py:\d+ in <module>; kept as \S*served.py: conn\)", caplog.text)
        assert set(together(6, lambda _: app.test_client().get("/").text)) == {"1"}

    def test_health_does_not_wait_for_a_turn(self, serve: Serve) -> None:
        app = serve(KEEPS)
        entered, go_on = threading.Event(), threading.Event()

        @app.get("/stuck")
        def stuck() -> str:
            entered.set()
            assert go_on.wait(DEADLINE)
            return "ok"

        slow = Running(lambda: app.test_client().get("/stuck").text)
        assert entered.wait(DEADLINE)
        assert Running(lambda: app.test_client().get("/livez").status_code).result(2) == 200
        go_on.set()
        assert slow.result() == "ok"

    def test_a_view_that_fails_gives_its_turn_up(self, serve: Serve) -> None:
        app = serve(KEEPS)
        app.add_url_rule("/fail", "fail", lambda: str(1 // 0))
        for _ in range(2):
            assert Running(lambda: app.test_client().get("/fail").status_code).result() == 500
        assert Running(lambda: app.test_client().get("/").text).result() == "1"

    def test_workers_forked_from_a_preloaded_app_must_not_share_it(self, serve: Serve) -> None:
        with pytest.raises(AppLoadError, match=r"opens 1 connection\(s\) when .* unset HARDEN_PRELOAD"):
            serve(KEEPS, HARDEN_PRELOAD="1")

    def test_one_that_the_import_closed_again_is_none(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        serve(KEEPS.replace("conn = psycopg2.connect(DSN)", "psycopg2.connect(DSN).close(); conn = None"))
        assert "while it was imported" not in caplog.text


class TestOneLine:
    @pytest.mark.parametrize(
        ("environ", "said"),
        [
            ({"HARDEN_APP": "/nowhere/app.py:app"}, "/nowhere/app.py does not exist"),
            ({"HARDEN_APP": "no_such_module"}, "no module 'no_such_module'"),
            ({"DB_POOL_MAX": "many"}, "DB_POOL_MAX='many' (environment) is not a whole number"),
            ({}, "DATABASE_URL is not set"),
        ],
    )
    def test_every_failure_is_one_line_and_gunicorns_own_exit_code(
        self,
        environ: dict[str, str],
        said: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        for name in ("HARDEN_APP", "DATABASE_URL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as caught:
            serving.create_application()
        assert caught.value.code == 4
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("harden: error: ")
        assert said in line

    def test_without_harden_app_it_is_the_shop(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        monkeypatch.delenv("HARDEN_APP", raising=False)
        monkeypatch.setenv("DATABASE_URL", url)
        assert isinstance(serving.create_application(), Flask)


def test_a_lease_of_the_app_is_psycopg2s_connection(serve: Serve, dsn: str) -> None:
    serve(PLAIN)
    conn = psycopg2.connect(dsn)
    assert isinstance(conn, connection) and isinstance(conn, Returning)
    conn.close()
