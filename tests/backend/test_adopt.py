"""`adopt(app)`: an app that connects by itself, pooled by one line."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest
from flask import Flask

from backend import SettingsError, adopt, prefetched
from backend import connection as connections
from backend.dropin import installed
from backend.extension import KEY
from backend.serving import harden
from backend.settings import load


def _app(dsn: str) -> Flask:
    app = Flask("adopted")
    adopt(app)

    @app.get("/leaks")
    def leaks() -> Any:
        conn = psycopg2.connect(dsn)
        app.config["LEFT"] = conn.info.backend_pid
        raise RuntimeError("and never closes it")

    @app.get("/keeps")
    def keeps() -> Any:
        app.config["CONN"] = psycopg2.connect(dsn)
        cursor = app.config["CONN"].cursor()
        cursor.execute("SELECT 1")
        return [cursor.fetchone()[0]]

    @app.get("/rows")
    def rows() -> Any:
        def helper(number: int) -> Any:
            conn = psycopg2.connect(dsn)
            cursor = conn.cursor()
            cursor.execute("SELECT %s + 1", (number,))
            (found,) = cursor.fetchone()
            conn.close()
            return found

        return [helper(number) for number in prefetched(range(20), ("SELECT %s + 1", lambda number: (number,)))]

    return app


def test_what_a_view_leaves_open_goes_back_when_the_request_ends(dsn: str) -> None:
    app = _app(dsn)
    app.logger.disabled = True  # pytest keeps what is logged, the traceback with its frames and their connections
    for _ in range(20):
        assert app.test_client().get("/leaks").status_code == 500
    drop_in = installed()
    assert drop_in is not None
    (figures,) = drop_in.stats()
    assert figures["used"] == 0
    assert figures["opened"] == 1


def test_what_a_global_keeps_goes_back_once_it_keeps_another(dsn: str) -> None:
    app = _app(dsn)
    for _ in range(10):
        assert app.test_client().get("/keeps").json == [1]
    drop_in = installed()
    assert drop_in is not None
    (figures,) = drop_in.stats()
    assert figures["used"] == 1
    assert figures["opened"] <= 2
    assert not app.config["CONN"].closed  # it is still whose it was
    del app.config["CONN"]


def test_helpers_that_connect_20_times_take_one_connection(dsn: str) -> None:
    app = _app(dsn)
    assert app.test_client().get("/rows").json == list(range(1, 21))
    drop_in = installed()
    assert drop_in is not None
    assert drop_in.stats()[0]["opened"] == 1


def test_doing_it_again_changes_nothing(dsn: str) -> None:
    app = _app(dsn)
    served = app.wsgi_app
    adopt(app)
    assert app.wsgi_app is served


def test_a_second_app_shares_the_pools(dsn: str) -> None:
    _app(dsn)
    first = installed()
    _app(dsn)
    assert installed() is first


def test_it_needs_no_database_url_and_answers_health(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    app = _app(dsn)
    assert app.test_client().get("/livez").status_code == 200


def test_a_wrong_setting_is_refused() -> None:
    app = Flask("wrong")
    with pytest.raises(SettingsError, match="DB_POOL_MAX"):
        adopt(app, DB_POOL_MAX=0)
    assert KEY not in app.extensions


def test_served_by_the_kits_entry_point_it_is_hardened_once(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, dsn: str
) -> None:
    (tmp_path / "adopted_app.py").write_text(
        "from flask import Flask\nfrom backend import adopt\napp = Flask(__name__)\nadopt(app)\n"
        "@app.get('/')\ndef home():\n    return 'home'\n"
    )
    monkeypatch.chdir(tmp_path)
    app = harden("adopted_app.py:app", load())
    assert app.test_client().get("/").text == "home"
    assert KEY in app.extensions


@pytest.fixture(autouse=True)
def _undressed() -> Any:
    yield
    connections.dress = connections.overheard = None
