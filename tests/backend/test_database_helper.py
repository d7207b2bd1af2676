"""`get_db_connection()`, `transaction()` and `Hardening`: one lease per request, whichever way it is spelt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
from flask import Flask, g

from backend import Hardening, PoolTimeout, SettingsError, close_pool, get_db_connection, get_pool, transaction
from backend.extension import harden_app
from backend.settings import load


@pytest.fixture
def app(url: str) -> Iterator[Flask]:
    """An app whose pool has one connection: whoever needs a second one waits in vain."""
    made = Flask(__name__)
    Hardening(made, DATABASE_URL=url, DB_POOL_MAX=1, DB_POOL_TIMEOUT=0.5)
    yield made


@pytest.fixture
def table(postgresql_table: str) -> str:
    return postgresql_table


@pytest.fixture
def postgresql_table(cluster: Any, database: str) -> Iterator[str]:
    cluster.execute("CREATE TABLE written (word text); GRANT ALL ON written TO app", dbname=database)
    yield "written"
    cluster.execute("DROP TABLE written", dbname=database)


@pytest.fixture
def written(cluster: Any, database: str, table: str) -> Callable[[], list[str]]:
    """The words that were committed."""
    return lambda: sorted(row[0] for row in cluster.execute("SELECT word FROM written", dbname=database))


def write(conn: Any, word: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute("INSERT INTO written VALUES (%s)", (word,))


def ask(app: Flask, view: Callable[[], Any]) -> Any:
    """Serve one request by a view, and return its answer."""
    fresh = Flask("asked")
    harden_app(fresh, load(environ={}))
    fresh.add_url_rule("/", "view", view)
    fresh.config["PROPAGATE_EXCEPTIONS"] = True
    return fresh.test_client().get("/")


def used() -> int:
    return int(get_pool().stats()["used"])


def test_helpers_three_deep_share_the_request_s_one_connection(app: Flask) -> None:
    def deepest() -> int:
        conn = get_db_connection()
        try:
            return int(conn.info.backend_pid)
        finally:
            conn.close()

    def middle() -> int:
        with get_db_connection() as conn:
            return int(deepest() == conn.info.backend_pid)

    def view() -> str:
        conn = get_db_connection()
        answer = [middle(), deepest() == conn.info.backend_pid, conn.closed]
        conn.close()
        return str(answer)

    assert ask(app, view).text == "[1, True, 0]"
    assert used() == 0


def test_close_gives_back_at_once_when_nobody_shares(app: Flask) -> None:
    def view() -> str:
        get_db_connection().close()
        return str(used())

    assert ask(app, view).text == "0"


def test_what_a_request_forgets_goes_back_when_it_ends(app: Flask) -> None:
    def view() -> str:
        g.kept = get_db_connection()
        return str(used())

    assert ask(app, view).text == "1"
    assert used() == 0


def test_what_a_failing_request_forgets_goes_back_rolled_back(app: Flask, written: Any) -> None:
    def view() -> str:
        write(get_db_connection(), "lost")
        raise LookupError("the view failed")

    with pytest.raises(LookupError):
        ask(app, view)
    assert (used(), written()) == (0, [])


def test_with_block_commits_and_rolls_back_on_an_exception(app: Flask, written: Any) -> None:
    with get_db_connection() as conn:
        write(conn, "kept")
    with pytest.raises(LookupError), get_db_connection() as conn:
        write(conn, "lost")
        raise LookupError
    assert (written(), used()) == (["kept"], 0)


def test_nested_with_blocks_are_one_transaction(app: Flask, written: Any) -> None:
    def view() -> str:
        try:
            with get_db_connection() as outer:
                with get_db_connection() as inner:
                    write(inner, "inner")
                write(outer, "outer")
                raise LookupError
        except LookupError:
            return "failed"

    assert ask(app, view).text == "failed"
    assert written() == []


def test_a_transaction_in_a_transaction_is_a_savepoint(app: Flask, written: Any) -> None:
    def view() -> str:
        with transaction() as conn:
            write(conn, "before")
            try:
                with transaction() as inner:
                    write(inner, "undone")
                    with inner.cursor() as cursor:
                        cursor.execute("SELECT 1 / 0")
            except psycopg2.errors.DivisionByZero:
                pass
            with transaction() as inner:
                write(inner, "after")
        return "ok"

    assert ask(app, view).text == "ok"
    assert written() == ["after", "before"]


def test_autocommit_reads_send_no_begin(app: Flask) -> None:
    with get_db_connection(autocommit=True) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert conn.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE


def test_a_writer_inside_an_autocommit_reader_gets_a_transaction(app: Flask, written: Any) -> None:
    def view() -> str:
        try:
            with get_db_connection(autocommit=True):
                with get_db_connection() as inner:
                    write(inner, "lost")
                raise LookupError
        except LookupError:
            return "failed"

    ask(app, view)
    assert written() == []
    with get_db_connection() as conn:
        assert not conn.autocommit


def test_outside_a_request_every_caller_has_a_connection_of_its_own(app: Flask) -> None:
    first = get_db_connection()
    with pytest.raises(PoolTimeout):
        get_db_connection(timeout=0)
    first.close()
    get_db_connection().close()


def test_a_connection_that_the_server_cut_is_replaced_within_the_request(app: Flask, cluster: Any) -> None:
    def view() -> str:
        conn = get_db_connection()
        cluster.execute("SELECT pg_terminate_backend(%s)", (conn.info.backend_pid,))
        with pytest.raises(psycopg2.OperationalError), conn.cursor() as cursor:
            cursor.execute("SELECT 1")
        conn.close()
        with get_db_connection(autocommit=True) as fresh, fresh.cursor() as cursor:
            cursor.execute("SELECT 'alive'")
            return str(cursor.fetchone()[0])

    assert ask(app, view).text == "alive"


def test_one_request_s_late_close_does_not_end_another_s_lease(app: Flask) -> None:
    """The same object serves one lease after another: a stale variable must not close the next one's."""
    stale = []

    def first() -> str:
        conn = get_db_connection()
        stale.append(conn)
        conn.close()
        return "ok"

    ask(app, first)
    mine = get_pool().getconn()
    with app.test_request_context():
        assert mine.lease_number
    get_pool().putconn(mine)
    assert used() == 0


def test_pool_is_made_at_first_use_and_made_again_after_it_was_closed(app: Flask, url: str, monkeypatch: Any) -> None:
    close_pool()
    monkeypatch.setenv("DATABASE_URL", url)
    with get_db_connection() as conn:
        assert conn.info.dbname == "app"
    first = get_pool()
    close_pool()
    assert get_pool() is not first


def test_hardening_an_app_twice_is_refused_with_advice(app: Flask, url: str) -> None:
    with pytest.raises(SettingsError, match="once per app"):
        Hardening(app, DATABASE_URL=url)


def test_init_app_reads_app_config_before_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_POOL_MAX", "3")
    made = Flask(__name__)
    made.config["DB_POOL_MAX"] = 2
    made.config["DATABASE_URL"] = url
    Hardening().init_app(made)
    assert get_pool().maxconn == 2


def test_hardening_without_a_database_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(SettingsError, match="DATABASE_URL is not set"):
        Hardening(Flask(__name__))


@pytest.mark.parametrize(("proxies", "expected"), [(0, "127.0.0.1"), (1, "203.0.113.9")])
def test_forwarded_addresses_are_believed_only_when_proxies_are_configured(
    url: str, proxies: int, expected: str
) -> None:
    from flask import request

    made = Flask(__name__)
    made.add_url_rule("/", "who", lambda: str(request.remote_addr))
    Hardening(made, DATABASE_URL=url, HARDEN_PROXIES=proxies)
    assert made.test_client().get("/", headers={"X-Forwarded-For": "203.0.113.9"}).text == expected
