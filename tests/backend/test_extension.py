"""`Hardening(app)`: one pool, every lease back at the end of its request, proxies believed only when told to."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from flask import Flask, Response, abort, g, request, stream_with_context

from backend import Hardening, PoolOptions, SettingsError, get_db_connection, get_pool, install, transaction
from backend.dropin import installed
from backend.extension import KEY, harden_app
from backend.settings import load
from tests.support.sql import backend, query, run


@pytest.fixture
def app(url: str) -> Flask:
    """A hardened app on a pool of one connection; whoever has to wait fails soon."""
    made = Flask(__name__)
    Hardening(made, DATABASE_URL=url, DB_POOL_MAX=1, DB_POOL_TIMEOUT=0.2)
    made.logger.disabled = True  # pytest would keep every error that is logged, and with it its frames
    return made


@pytest.fixture
def legacy(dsn: str) -> Iterator[Flask]:
    """An app that was hardened without an edit: psycopg2.connect leases from a pool of one."""
    install(1, 1, PoolOptions(timeout=0.2, reset="reset"))
    made = Flask(__name__)
    harden_app(made, load(environ={}))
    made.logger.disabled = True
    return made


def used() -> int:
    drop_in = installed()
    pools = [pool for _, pool in drop_in.described()] if drop_in is not None else [get_pool()]
    return sum(pool.stats()["used"] for pool in pools)


class TestSetUp:
    def test_both_ways_set_an_app_up(self, url: str) -> None:
        for harden in (
            lambda app: Hardening(app, DATABASE_URL=url),
            lambda app: Hardening(DATABASE_URL=url).init_app(app),
        ):
            app = Flask(__name__)
            harden(app)
            assert app.extensions[KEY]["DATABASE_URL"] == url
            assert app.test_client().get("/livez").status_code == 200

    def test_nothing_of_the_app_is_stored_on_the_extension(self, url: str) -> None:
        hardening = Hardening(DATABASE_URL=url)
        for app in (Flask("one"), Flask("two")):
            hardening.init_app(app)
            assert app not in vars(hardening).values()

    def test_twice_on_one_app_is_an_error_that_costs_nothing(self, app: Flask, url: str) -> None:
        pool = get_pool()
        with pool.connection() as conn:
            pid = backend(conn)
        with pytest.raises(SettingsError, match="this app is hardened already"):
            Hardening(app, DATABASE_URL=url)
        with pytest.raises(SettingsError, match="this app is hardened already"):
            harden_app(app, load(environ={}))
        assert get_pool() is pool
        with pool.connection() as conn:
            assert backend(conn) == pid

    def test_nothing_connects_until_somebody_asks(self, app: Flask) -> None:
        assert get_pool().stats()["opened"] == 0

    def test_keyword_over_config_over_environment(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://environment@nowhere.invalid/x")
        monkeypatch.setenv("DB_POOL_MAX", "3")
        app = Flask(__name__)
        app.config.update(DATABASE_URL=url, DB_POOL_MAX=4)
        Hardening(app, DB_POOL_MAX=5)
        assert get_pool().maxconn == 5
        assert query(get_pool().getconn(), "SELECT 1") == 1

    @pytest.mark.parametrize(
        ("keywords", "config"), [({"DB_POOL_MIN": "no"}, {}), ({"db_pool_max": 3}, {}), ({}, {"DB_POOL_MXA": 3})]
    )
    def test_wrong_settings_stop_the_start(self, url: str, keywords: Any, config: Any) -> None:
        app = Flask(__name__)
        app.config.update(config)
        with pytest.raises(SettingsError):
            Hardening(app, DATABASE_URL=url, **keywords)
        assert KEY not in app.extensions

    def test_without_a_database_url_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DATABASE_URL", raising=False)
        with pytest.raises(SettingsError, match="DATABASE_URL is not set"):
            Hardening(Flask(__name__))


class TestEndOfRequest:
    def test_a_forgotten_close_goes_back(self, app: Flask) -> None:
        @app.get("/")
        def view() -> str:
            conn = get_db_connection()
            run(conn, "SELECT 1")
            return str(conn.lease_number)

        assert [app.test_client().get("/").text for _ in range(4)] == ["1", "2", "3", "4"]
        assert used() == 0

    def test_a_lease_shared_by_helpers_goes_back(self, app: Flask) -> None:
        @app.get("/")
        def view() -> str:
            for _ in range(3):
                with get_db_connection() as conn:
                    get_db_connection().close()
                    run(conn, "SELECT 1")
            return "ok"

        for _ in range(3):
            assert app.test_client().get("/").text == "ok"
            assert used() == 0

    def test_what_a_forgotten_lease_did_not_commit_is_rolled_back(self, app: Flask) -> None:
        @app.get("/")
        def view() -> str:
            run(get_db_connection(), "CREATE TABLE forgotten (x int)")
            return "ok"

        app.test_client().get("/")
        with get_db_connection() as conn:
            assert query(conn, "SELECT to_regclass('forgotten')") is None

    def test_the_apps_own_teardown_may_still_use_its_connection(self, app: Flask) -> None:
        seen = []

        @app.teardown_appcontext
        def commit(_: BaseException | None) -> None:
            with transaction() as conn:
                seen.append(query(conn, "SELECT 1"))
                seen.append(conn is g.conn)

        @app.get("/")
        def view() -> str:
            g.conn = get_db_connection()
            return "ok"

        assert app.test_client().get("/").text == "ok"
        assert seen == [1, True]
        assert used() == 0

    @pytest.mark.parametrize(
        "hook", ["before_request", "after_request", "teardown_request", "teardown_appcontext"]
    )
    def test_hooks_that_lease_give_back_too(self, app: Flask, hook: str) -> None:
        def lease(*args: Any) -> Any:
            run(get_db_connection(), "SELECT 1")
            return args[0] if hook == "after_request" else None

        getattr(app, hook)(lease)
        app.add_url_rule("/", "view", lambda: "ok")
        for _ in range(3):
            assert app.test_client().get("/").text == "ok"
            assert used() == 0

    def test_an_app_context_without_a_request_gives_back_as_well(self, app: Flask) -> None:
        """`flask` commands, and scripts."""
        for _ in range(3):
            with app.app_context():
                run(get_db_connection(), "SELECT 1")
            assert used() == 0

    def test_leases_of_one_request_are_never_closed_by_a_later_one(self, app: Flask) -> None:
        """A variable that outlives its request refers to an object that meanwhile serves others."""
        stale: list[Any] = []

        @app.get("/")
        def view() -> str:
            conn = get_db_connection()
            if stale:
                stale[0].close() if stale[0] is not conn else None
            stale[:] = [conn]
            return str(query(conn, "SELECT 1"))

        assert [app.test_client().get("/").text for _ in range(3)] == ["1", "1", "1"]
        with get_pool().connection() as conn:
            assert conn is stale[0]
            assert used() == 1


class TestFailures:
    """Twenty requests that fail in a row, and no collector that comes by: nobody may run out of connections."""

    @pytest.fixture(autouse=True)
    def _no_collector(self) -> Iterator[None]:
        gc.collect()
        gc.disable()
        yield
        gc.enable()

    @pytest.mark.parametrize("kind", ["app", "legacy"])
    @pytest.mark.parametrize("failure", ["database", "python", "chained", "abort"])
    def test_a_failed_request_keeps_no_connection(
        self, request: pytest.FixtureRequest, kind: str, failure: str, dsn: str
    ) -> None:
        app = request.getfixturevalue(kind)

        @app.get("/")
        def view() -> str:
            conn = get_db_connection() if kind == "app" else psycopg2.connect(dsn)
            cursor = conn.cursor()
            cursor.execute("SELECT 1")
            if failure == "database":
                cursor.execute("SELECT 1/0")
            if failure == "abort":
                abort(404)
            try:
                raise KeyError
            except KeyError as error:
                if failure == "chained":
                    raise ValueError from error
                raise

        expected = 404 if failure == "abort" else 500
        assert {app.test_client().get("/").status_code for _ in range(20)} == {expected}
        assert used() == 0

    def test_an_error_that_the_app_handles_keeps_no_connection(self, legacy: Flask, dsn: str) -> None:
        @legacy.errorhandler(psycopg2.DataError)
        def handle(error: psycopg2.DataError) -> tuple[str, int]:
            return error.pgcode or "", 422

        @legacy.get("/")
        def view() -> str:
            conn = psycopg2.connect(dsn)
            return str(query(conn, "SELECT 1/0"))

        assert {legacy.test_client().get("/").status_code for _ in range(20)} == {422}
        assert used() == 0

    def test_an_error_that_is_raised_to_the_server_keeps_its_frames(self, legacy: Flask, dsn: str) -> None:
        """The debugger shows them; there the connection goes when the error does."""
        legacy.testing = True

        @legacy.get("/")
        def view() -> str:
            secret = "what the debugger shows"
            raise ValueError(len(secret))

        with pytest.raises(ValueError, match="23") as caught:
            legacy.test_client().get("/")
        assert "secret" in caught.traceback[-1].frame.f_locals


class TestStreams:
    @pytest.fixture(params=["app", "legacy"])
    def streaming(self, request: pytest.FixtureRequest, dsn: str) -> Flask:
        """An app with streams of rows from one connection, in each of the usual ways."""
        app: Flask = request.getfixturevalue(request.param)
        connect = get_db_connection if request.param == "app" else lambda: psycopg2.connect(dsn)

        def rows(name: str | None = None) -> Iterator[str]:
            conn = connect()
            cursor = conn.cursor(name)
            cursor.execute("SELECT n::text FROM generate_series(1, 5000) n")
            return (f"{row[0]}\n" for row in cursor)

        app.add_url_rule("/client", "client", lambda: Response(rows()))
        app.add_url_rule("/server", "server", lambda: Response(rows("named")))
        app.add_url_rule("/context", "context", lambda: Response(stream_with_context(rows("named"))))
        app.add_url_rule("/late", "late", lambda: Response(late()))
        app.add_url_rule("/plain", "plain", lambda: str(query(connect(), "SELECT 1")))

        def late() -> Iterator[str]:
            yield from rows("named")

        return app

    @pytest.mark.parametrize("way", ["client", "server", "context", "late"])
    def test_a_body_sent_bit_by_bit_keeps_its_cursor_until_it_was_sent(self, streaming: Flask, way: str) -> None:
        expected = "".join(f"{number}\n" for number in range(1, 5001))
        for _ in range(3):
            with streaming.test_client().get(f"/{way}", buffered=False) as response:
                assert response.text == expected
            assert used() == 0

    @pytest.mark.parametrize("way", ["client", "server", "context", "late"])
    def test_a_client_that_goes_away_in_the_middle_costs_nothing(self, streaming: Flask, way: str) -> None:
        for _ in range(3):
            response = streaming.test_client().get(f"/{way}", buffered=False)
            next(response.iter_encoded())
            response.close()
            del response
            gc.collect()
            assert used() == 0

    @pytest.mark.parametrize("way", ["client", "server", "context"])
    def test_head_of_a_stream_keeps_nothing(self, streaming: Flask, way: str) -> None:
        for _ in range(3):
            assert streaming.test_client().head(f"/{way}").status_code == 200
            gc.collect()
            assert used() == 0

    def test_other_requests_do_not_wait_for_the_end_of_a_stream_elsewhere(self, streaming: Flask) -> None:
        with streaming.test_client().get("/server", buffered=False):
            assert streaming.test_client().get("/plain").status_code == 503  # the pool has one connection
        assert streaming.test_client().get("/plain").text == "1"


class TestUnavailable:
    def test_the_apps_own_error_pages_shape_the_answer(self, app: Flask) -> None:
        @app.errorhandler(503)
        def page(error: Any) -> tuple[str, int]:
            return "our own page", 503

        @app.get("/")
        def view() -> str:
            get_pool().getconn("kept")
            get_pool().getconn()
            return "never"

        assert app.test_client().get("/").text == "our own page"

    def test_a_server_that_is_down_is_the_apps_own_error(self) -> None:
        app = Flask(__name__)
        Hardening(app, DATABASE_URL="postgresql://x@127.0.0.1:1/x")

        @app.get("/")
        def view() -> str:
            return str(get_db_connection())

        assert app.test_client().get("/").status_code == 500


class TestProxies:
    HEADERS = {
        "X-Forwarded-For": "203.0.113.7, 198.51.100.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.example",
    }

    @pytest.mark.parametrize(
        ("proxies", "address", "scheme", "host"),
        [
            (0, "127.0.0.1", "http", "localhost"),
            (1, "198.51.100.1", "https", "shop.example"),
            (2, "203.0.113.7", "http", "localhost"),
        ],
    )
    def test_forwarded_headers_are_believed_from_that_many(
        self, url: str, proxies: int, address: str, scheme: str, host: str
    ) -> None:
        app = Flask(__name__)
        Hardening(app, DATABASE_URL=url, HARDEN_PROXIES=proxies)
        seen: list[Any] = []

        @app.get("/")
        def view() -> str:
            seen.extend((request.remote_addr, request.scheme, request.host))
            return "ok"

        app.test_client().get("/", headers=self.HEADERS)
        assert seen == [address, scheme, host]
