"""Every way to send a statement is seen, whatever cursor sends it; refused before it is sent, or reported once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from io import StringIO
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_SERIALIZABLE, connection, cursor

from backend import SessionStateError, watched
from backend.pool_options import PoolOptions
from backend.watched import Watch, watch_for, watching
from scripts.stack import Stack
from scripts.stack.bouncer import Bouncer
from scripts.stack.postgres import Cluster
from tests.support.sql import query, run

from .conftest import MakePool

CHANGE = "SET search_path = pg_catalog"


class Loud(cursor):
    """A class of the app's own, with state and a method that calls another."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sent: list[Any] = []

    def execute(self, query: Any, vars: Any = None) -> Any:
        self.sent.append(query)
        return super().execute(query, vars)


class Slotted(cursor):
    """One whose instances have no `__dict__`."""

    __slots__ = ()


class LoudConnection(connection):
    """A connection class that chooses its cursors itself."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("cursor_factory", Loud)
        return super().cursor(*args, **kwargs)


CURSORS: dict[str, Any] = {
    "plain": cursor,
    "DictCursor": psycopg2.extras.DictCursor,
    "RealDictCursor": psycopg2.extras.RealDictCursor,
    "NamedTupleCursor": psycopg2.extras.NamedTupleCursor,
    "own": Loud,
    "slotted": Slotted,
}


def _only(row: Any) -> Any:
    return next(iter(row.values())) if isinstance(row, dict) else row[0]


@pytest.fixture
def conn(make_pool: MakePool) -> Any:
    """A lease whose session's changes are refused."""
    return make_pool(1, 1, reset="pgbouncer").getconn()


@pytest.fixture(autouse=True)
def _nothing_reported() -> Iterator[None]:
    watched._reported.clear()
    yield
    watched._reported.clear()


def refused(conn: Any, send: Callable[[], Any]) -> SessionStateError:
    """Check that the call is refused before anything was sent, and return its error."""
    before, status = conn.info.backend_pid, conn.info.transaction_status
    with pytest.raises(SessionStateError) as caught:
        send()
    assert conn.info.transaction_status == status  # not even a BEGIN
    assert conn.info.backend_pid == before
    with conn.cursor() as made:
        made.execute("SELECT 1 AS x")
        assert _only(made.fetchone() if not isinstance(made, psycopg2.extras.NamedTupleCursor) else (1,)) == 1
    conn.rollback()
    return caught.value


class TestCursorClasses:
    @pytest.mark.parametrize("name", sorted(CURSORS))
    @pytest.mark.parametrize("way", ["call", "position", "connection", "pool"])
    def test_each_class_is_watched_and_stays_what_it_is(self, make_pool: MakePool, name: str, way: str) -> None:
        factory = CURSORS[name]
        pool = make_pool(1, 1, connect={"cursor_factory": factory} if way == "pool" else {}, reset="pgbouncer")
        conn = pool.getconn()
        if way == "connection":
            conn.cursor_factory = factory
        made = {
            "call": lambda: conn.cursor(cursor_factory=factory),
            "position": lambda: conn.cursor(None, factory),
        }.get(way, conn.cursor)()
        assert isinstance(made, factory)
        assert type(made).__name__ == factory.__name__
        refused(conn, lambda: made.execute(CHANGE))
        made.execute("SELECT 7 AS x")
        assert _only(made.fetchone()) == 7
        made.execute("SHOW search_path")
        assert "pg_catalog" not in _only(made.fetchone())

    @pytest.mark.parametrize("name", ["plain", "DictCursor", "RealDictCursor", "NamedTupleCursor", "own"])
    def test_named_cursors_of_each_class_read_in_their_transaction(self, conn: Any, name: str) -> None:
        for made in (
            conn.cursor("by_name", cursor_factory=CURSORS[name]),
            conn.cursor("by_place", CURSORS[name]),
            conn.cursor(name="scrolled", cursor_factory=CURSORS[name], scrollable=True),
        ):
            made.itersize = 2
            made.execute("SELECT generate_series(1, 5) AS x")
            assert sum(_only(row) for row in made) == 15
            assert isinstance(made, CURSORS[name])
            made.close()

    def test_a_named_cursor_with_hold_is_refused(self, conn: Any) -> None:
        error = refused(conn, lambda: conn.cursor("held", withhold=True).execute("SELECT 1"))
        assert error.what == "a cursor WITH HOLD"
        late = conn.cursor("held")
        late.withhold = True
        refused(conn, lambda: late.execute("SELECT 1"))

    @pytest.mark.parametrize(
        "factory",
        [
            psycopg2.extras.DictConnection,
            psycopg2.extras.RealDictConnection,
            psycopg2.extras.NamedTupleConnection,
            LoudConnection,
        ],
    )
    def test_cursors_that_a_connection_class_chooses_are_watched(self, make_pool: MakePool, factory: Any) -> None:
        conn = make_pool(1, 1, connect={"connection_factory": factory}, reset="pgbouncer").getconn()
        refused(conn, lambda: conn.cursor().execute(CHANGE))
        with conn.cursor() as made:
            made.execute("SELECT 7 AS x")
            assert _only(made.fetchone()) == 7

    def test_the_app_s_own_methods_run_around_the_watch(self, conn: Any) -> None:
        made = conn.cursor(cursor_factory=Loud)
        with pytest.raises(SessionStateError):
            made.execute(CHANGE)
        made.execute("SELECT 1")
        assert made.sent == ["SELECT 1"]  # refused before it reached the app's class

    def test_a_watched_class_is_made_once(self) -> None:
        assert watching(Loud) is watching(Loud)
        assert watching(watching(Loud)) is watching(Loud)
        assert watching(Loud).__module__ == Loud.__module__

    def test_other_modes_use_the_cursor_classes_as_they_are(self, make_pool: MakePool) -> None:
        not_watched = {"reset": "pgbouncer", "session_state": "allow"}
        for options in ({"reset": "rollback"}, {"reset": "reset"}, not_watched):
            conn = make_pool(1, 1, **options).getconn()
            assert type(conn.cursor()) is cursor
            assert type(conn.cursor(cursor_factory=Loud)) is Loud
            run(conn, CHANGE)


SENDS: dict[str, Callable[[Any, Any], Any]] = {
    "execute": lambda conn, made: made.execute(CHANGE),
    "execute by keyword": lambda conn, made: made.execute(query=CHANGE, vars=None),
    "execute bytes": lambda conn, made: made.execute(CHANGE.encode()),
    "execute SQL": lambda conn, made: made.execute(sql.SQL(CHANGE)),
    "execute Composed": lambda conn, made: made.execute(
        sql.SQL("SET {} = {}").format(sql.Identifier("search_path"), sql.Literal("pg_catalog"))
    ),
    "execute what mogrify made": lambda conn, made: made.execute(made.mogrify("SET search_path = %s", ("a",))),
    "execute with parameters": lambda conn, made: made.execute("SET search_path = %s", ("pg_catalog",)),
    "executemany": lambda conn, made: made.executemany("SET search_path = %s", [("a",), ("b",)]),
    "callproc": lambda conn, made: made.callproc("pg_advisory_lock", [1]),
    "callproc set_config": lambda conn, made: made.callproc("set_config", ("search_path", "x", False)),
    "execute_batch": lambda conn, made: psycopg2.extras.execute_batch(made, "SET search_path = %s", [("a",)]),
    "execute_values": lambda conn, made: psycopg2.extras.execute_values(
        made, "WITH a (x) AS (VALUES %s) SELECT pg_advisory_lock(x) FROM a", [(1,), (2,)]
    ),
    "copy_expert": lambda conn, made: made.copy_expert(
        "COPY (SELECT set_config('search_path', 'x', false)) TO STDOUT", StringIO()
    ),
    "copy_expert Composed": lambda conn, made: made.copy_expert(
        sql.SQL("COPY (SELECT pg_advisory_lock({})) TO STDOUT").format(sql.Literal(1)), StringIO()
    ),
}


class TestWaysToSend:
    @pytest.mark.parametrize("way", sorted(SENDS))
    def test_a_change_is_refused_before_it_is_sent(self, conn: Any, way: str) -> None:
        made = conn.cursor()
        error = refused(conn, lambda: SENDS[way](conn, made))
        assert "test_watched.py:" in error.where
        assert error.where in str(error)
        assert "\n" not in str(error)

    def test_what_changes_nothing_goes_through(self, conn: Any) -> None:
        with conn.cursor() as made:
            made.execute("CREATE TEMP TABLE gone (x int, hold int) ON COMMIT DROP")
            made.execute("SET LOCAL search_path = pg_temp, public")
            made.executemany("INSERT INTO gone VALUES (%s, 0)", [(1,), (2,)])
            psycopg2.extras.execute_values(made, "INSERT INTO gone (x) VALUES %s", [(3,), (4,)])
            psycopg2.extras.execute_batch(made, "UPDATE gone SET hold = %s", [(1,), (2,)])
            made.copy_from(StringIO("5\t0\n"), "gone")
            made.copy_expert("COPY gone (x) FROM STDIN", StringIO("6\n"))
            made.callproc("pg_advisory_xact_lock", [1])
            made.callproc("set_config", ["search_path", "pg_temp", True])
            made.callproc("now")
            made.execute(sql.SQL("SELECT sum({}) FROM gone").format(sql.Identifier("x")))
            assert made.fetchone() == (21,)
        conn.commit()

    def test_what_is_no_statement_is_psycopg2_s_error(self, conn: Any) -> None:
        for wrong in (None, 3, ["SELECT 1"]):
            with conn.cursor() as made, pytest.raises((TypeError, psycopg2.ProgrammingError)):
                made.execute(wrong)

    def test_a_refusal_inside_a_transaction_leaves_the_transaction_going(self, conn: Any) -> None:
        run(conn, "CREATE TEMP TABLE kept (x int) ON COMMIT DROP")
        with pytest.raises(SessionStateError):
            run(conn, CHANGE)
        assert query(conn, "SELECT count(*) FROM kept") == 0

    @pytest.mark.parametrize("kind", [psycopg2.NotSupportedError, psycopg2.Error])
    def test_existing_clauses_catch_the_refusal(self, conn: Any, kind: type[Exception]) -> None:
        with pytest.raises(kind, match="use SET LOCAL in a transaction"):
            run(conn, CHANGE)


# Calls of the connection that make psycopg2 itself send SET or DISCARD.
CALLS: dict[str, Callable[[Any], Any]] = {
    "set_session readonly": lambda conn: conn.set_session(readonly=True),
    "set_session by position": lambda conn: conn.set_session("SERIALIZABLE"),
    "set_session deferrable": lambda conn: conn.set_session(deferrable=False),
    "set_session both": lambda conn: conn.set_session(readonly=True, autocommit=True),
    "isolation_level": lambda conn: setattr(conn, "isolation_level", ISOLATION_LEVEL_SERIALIZABLE),
    "readonly": lambda conn: setattr(conn, "readonly", True),
    "deferrable": lambda conn: setattr(conn, "deferrable", True),
    "set_client_encoding": lambda conn: conn.set_client_encoding("LATIN1"),
    "reset": lambda conn: conn.reset(),
}


class TestCallsOfTheConnection:
    @pytest.mark.parametrize("call", sorted(CALLS))
    def test_what_makes_psycopg2_change_the_session_is_refused(self, conn: Any, call: str) -> None:
        """psycopg2 sends SET SESSION for these while autocommit is on: the next client is then read-only."""
        conn.autocommit = True
        refused(conn, lambda: CALLS[call](conn))
        assert (conn.readonly, conn.deferrable, conn.isolation_level) == (None, None, None)
        assert conn.encoding == "UTF8"
        assert query(conn, "SHOW default_transaction_read_only") == "off"

    def test_going_to_autocommit_together_with_it_is_refused_as_well(self, conn: Any) -> None:
        refused(conn, lambda: conn.set_session(isolation_level="SERIALIZABLE", autocommit=True))
        assert conn.autocommit is False

    def test_without_autocommit_they_belong_to_the_transaction(self, conn: Any) -> None:
        conn.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
        assert query(conn, "SHOW transaction_read_only") == "on"
        assert query(conn, "SHOW default_transaction_read_only") == "off"
        conn.rollback()
        conn.readonly, conn.deferrable, conn.isolation_level = None, None, None
        conn.set_isolation_level(ISOLATION_LEVEL_SERIALIZABLE)
        assert query(conn, "SHOW transaction_isolation") == "serializable"

    def test_what_sends_nothing_is_no_change(self, conn: Any) -> None:
        conn.autocommit = True
        conn.set_session(autocommit=True)
        conn.set_session(readonly="default", isolation_level="DEFAULT")
        conn.readonly = conn.deferrable = conn.isolation_level = None
        conn.set_session(readonly=True, autocommit=False)
        conn.set_client_encoding("utf-8")
        with pytest.raises(TypeError):
            conn.set_client_encoding()

    def test_in_report_mode_they_are_done(self, make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
        pool = make_pool(1, 1, reset="pgbouncer", session_state="report")
        conn = pool.getconn()
        conn.autocommit = True
        conn.readonly = True
        assert query(conn, "SHOW default_transaction_read_only") == "on"
        assert "a setting of the session" in caplog.text
        pool.putconn(conn)
        assert query(pool.getconn(), "SHOW default_transaction_read_only") == "off"


class TestReport:
    def test_each_place_is_logged_once(self, make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING, logger="backend.watched")
        conn = make_pool(1, 1, reset="pgbouncer", session_state="report").getconn()
        for _ in range(3):
            run(conn, CHANGE)
        assert query(conn, "SHOW search_path") == "pg_catalog"  # reported, and done
        with conn.cursor() as made:
            made.execute(CHANGE)
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) == 2
        assert "tests/support/sql.py:" in lines[0]
        assert "test_watched.py:" in lines[1]
        assert all("use SET LOCAL in a transaction, or ALTER ROLE" in line for line in lines)

    def test_different_changes_at_one_place_are_told_apart(
        self, make_pool: MakePool, caplog: pytest.LogCaptureFixture
    ) -> None:
        conn = make_pool(1, 1, reset="pgbouncer", session_state="report").getconn()
        for statement in (CHANGE, "LISTEN x", CHANGE, "LISTEN y"):
            run(conn, statement)
        assert len(caplog.records) == 2

    def test_the_memory_for_places_is_bounded(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(watched, "MOST_REPORTED", 3)
        watch = Watch("report")
        for number in range(10):
            watch.note((f"change {number}", "stop"))
        assert len(watched._reported) == len(caplog.records) == 3

    @pytest.mark.parametrize("policy", ["refuse", "report", "allow"])
    def test_what_was_noted_makes_the_lease_dirty(self, policy: str) -> None:
        watch = Watch(policy)
        try:
            watch.note(("a change", "stop"))
        except SessionStateError:
            assert policy == "refuse"
        assert watch.is_dirty


def test_only_the_modes_that_need_it_watch() -> None:
    assert watch_for(PoolOptions(reset="rollback")) is None
    assert watch_for(PoolOptions(reset="reset")) is None
    assert watch_for(PoolOptions(reset="pgbouncer", session_state="allow")) is None
    assert watch_for(PoolOptions(reset="pgbouncer")) is not None
    assert watch_for(PoolOptions(reset="watch")) is not None


@pytest.fixture(scope="module")
def narrow(stack: Stack, cluster: Cluster, database: str) -> Iterator[Bouncer]:
    """PgBouncer in transaction mode with a single server connection: whoever comes next gets this one."""
    running = stack.pgbouncer(cluster, [database], ["app"], pool_size=1, name="narrow")
    if running is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    yield running
    running.stop()


# A refused statement, and what another client of PgBouncer sees after it.
CROSSINGS: dict[str, tuple[str, str]] = {
    "search_path": (CHANGE, "SELECT current_setting('search_path') = 'pg_catalog'"),
    "statement_timeout": (
        "SET statement_timeout = 4321", "SELECT current_setting('statement_timeout') = '4321ms'",
    ),
    "set_config": (
        "SELECT set_config('app.tenant', '7', false)", "SELECT current_setting('app.tenant', true) = '7'",
    ),
    "pg_settings": (
        "UPDATE pg_settings SET setting = '4321' WHERE name = 'statement_timeout'",
        "SELECT current_setting('statement_timeout') = '4321ms'",
    ),
    "role": ("SET ROLE pg_read_all_stats", "SELECT current_user <> session_user"),
    "application_name": (
        "SET application_name = 'crossed'", "SELECT current_setting('application_name') = 'crossed'",
    ),
    "characteristics": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SELECT current_setting('default_transaction_read_only') = 'on'",
    ),
    "temporary table": ("CREATE TEMP TABLE crossed (x int)", "SELECT to_regclass('crossed') IS NOT NULL"),
    "select into": ("SELECT 1 AS x INTO TEMP crossed", "SELECT to_regclass('crossed') IS NOT NULL"),
    "prepared": ("PREPARE crossed AS SELECT 1", "SELECT EXISTS (SELECT FROM pg_prepared_statements)"),
    "with hold": (
        "DECLARE crossed CURSOR WITH HOLD FOR SELECT 1",
        "SELECT EXISTS (SELECT FROM pg_cursors WHERE name = 'crossed')",
    ),
    "listen": ("LISTEN crossed", "SELECT EXISTS (SELECT FROM pg_listening_channels())"),
    "lock": (
        "SELECT pg_advisory_lock(4712)",
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())",
    ),
}  # fmt: skip


class TestPgBouncer:
    """PgBouncer in transaction mode: each refused statement is one that reaches another client."""

    @pytest.fixture
    def other(self, narrow: Bouncer, cluster: Cluster, database: str) -> Iterator[Any]:
        """Another client, before whom nothing has happened in the one server session."""
        cluster.execute("GRANT pg_read_all_stats TO app")
        with closing(psycopg2.connect(narrow.url(database, "app"))) as conn:
            conn.autocommit = True
            run(conn, "DISCARD ALL")
            yield conn
            run(conn, "DISCARD ALL")

    @pytest.mark.parametrize("state", sorted(CROSSINGS))
    def test_what_is_refused_would_have_reached_another_client(
        self, make_pool: MakePool, narrow: Bouncer, database: str, other: Any, state: str
    ) -> None:
        statement, crossed = CROSSINGS[state]
        where = {"dsn": narrow.url(database, "app")}
        careful = make_pool(1, 1, connect=where, reset="pgbouncer").getconn()
        with pytest.raises(SessionStateError):
            run(careful, statement)
        careful.rollback()
        assert not query(other, crossed)
        careless = make_pool(1, 1, connect=where, reset="pgbouncer", session_state="allow").getconn()
        run(careless, statement)
        careless.commit()
        assert query(other, crossed)

    @pytest.mark.parametrize("call", ["readonly", "set_session both", "isolation_level", "deferrable"])
    def test_psycopg2_s_own_set_session_would_have_reached_another_client(
        self, make_pool: MakePool, narrow: Bouncer, database: str, other: Any, call: str
    ) -> None:
        name = {"isolation_level": "isolation", "deferrable": "deferrable"}.get(call, "read_only")
        before = query(other, f"SHOW default_transaction_{name}")
        where = {"dsn": narrow.url(database, "app")}
        careful = make_pool(1, 1, connect=where, reset="pgbouncer").getconn()
        careful.autocommit = True
        with pytest.raises(SessionStateError):
            CALLS[call](careful)
        assert query(other, f"SHOW default_transaction_{name}") == before
        careless = make_pool(1, 1, connect=where, reset="pgbouncer", session_state="allow").getconn()
        careless.autocommit = True
        CALLS[call](careless)
        assert query(other, f"SHOW default_transaction_{name}") != before

    @pytest.mark.parametrize("setting", ["TimeZone", "DateStyle"])
    def test_settings_that_pgbouncer_follows_would_have_reached_the_next_lease(
        self, make_pool: MakePool, narrow: Bouncer, database: str, other: Any, setting: str
    ) -> None:
        """PgBouncer keeps these few apart per client; but all leases of one connection are one client to it."""
        value = {"TimeZone": "Asia/Tokyo", "DateStyle": "German"}[setting]
        pool = make_pool(
            1, 1, connect={"dsn": narrow.url(database, "app")}, reset="pgbouncer", session_state="allow"
        )
        with pool.connection() as conn:
            run(conn, f"SET {setting} = '{value}'")
        assert value not in query(other, f"SHOW {setting}")
        with pool.connection() as conn:
            assert value in query(conn, f"SHOW {setting}")

    def test_what_docs_offer_instead_works(
        self, make_pool: MakePool, narrow: Bouncer, database: str, other: Any
    ) -> None:
        pool = make_pool(1, 1, connect={"dsn": narrow.url(database, "app")}, reset="pgbouncer")
        with pool.connection() as conn:
            run(conn, "SET LOCAL search_path = pg_catalog")
            run(conn, "CREATE TEMP TABLE crossed (x int) ON COMMIT DROP")
            run(conn, "SELECT pg_advisory_xact_lock(4712)")
            run(conn, "SELECT set_config('app.tenant', '7', true)")
            with conn.cursor("in_here") as named:
                named.execute("SELECT generate_series(1, 3)")
                assert len(named.fetchall()) == 3
        assert not any(query(other, crossed) for _, crossed in CROSSINGS.values())
