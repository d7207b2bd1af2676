"""What one lease leaves behind and the next one must not see: exactly as much as the mode promises."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import StringIO
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from psycopg2.extensions import (
    ISOLATION_LEVEL_SERIALIZABLE,
    STATUS_PREPARED,
    TRANSACTION_STATUS_ACTIVE,
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INERROR,
    new_type,
    register_type,
)

from backend import PoolOptions, SettingsError
from backend.dropin import ReturningPool
from scripts.stack.postgres import Cluster
from tests.support.sql import backend, query, run
from tests.support.threads import Running, until

from .conftest import MakePool

MODES = ("reset", "rollback", "pgbouncer")
ALL_MODES = (*MODES, "watch")


def _autocommit(conn: Any) -> None:
    conn.autocommit = True


def _autocommit_and_begin(conn: Any) -> None:
    conn.autocommit = True
    run(conn, "BEGIN")


def _cursor_factory(conn: Any) -> None:
    conn.cursor_factory = psycopg2.extras.RealDictCursor


def _committed(statement: str) -> Callable[[Any], None]:
    def do(conn: Any) -> None:
        run(conn, statement)
        conn.commit()

    return do


# The ten dirty states of the comparison of pools: how one gets there, and what the next user then sees.
DIRT: dict[str, tuple[Callable[[Any], None], Callable[[Any], Any]]] = {
    "open transaction": (
        lambda conn: run(conn, "SELECT 1"),
        lambda conn: conn.info.transaction_status != TRANSACTION_STATUS_IDLE,
    ),
    "autocommit and BEGIN": (
        _autocommit_and_begin,
        lambda conn: conn.autocommit or conn.info.transaction_status != TRANSACTION_STATUS_IDLE,
    ),
    "autocommit": (_autocommit, lambda conn: conn.autocommit),
    "isolation level": (
        lambda conn: conn.set_isolation_level(ISOLATION_LEVEL_SERIALIZABLE),
        lambda conn: query(conn, "SHOW transaction_isolation") != "read committed",
    ),
    "cursor factory": (_cursor_factory, lambda conn: conn.cursor_factory is not None),
    "search_path": (
        _committed("SET search_path = pg_catalog"),
        lambda conn: query(conn, "SHOW search_path") == "pg_catalog",
    ),
    "role": (
        _committed("SET ROLE pg_read_all_stats"),
        lambda conn: query(conn, "SELECT current_user <> session_user"),
    ),
    "temporary table": (
        _committed("CREATE TEMP TABLE left_behind (x int)"),
        lambda conn: query(conn, "SELECT to_regclass('left_behind') IS NOT NULL"),
    ),
    "advisory lock": (
        _committed("SELECT pg_advisory_lock(4711)"),
        lambda conn: query(
            conn, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"
        ),
    ),
    "LISTEN": (
        _committed("LISTEN harden"),
        lambda conn: query(conn, "SELECT EXISTS (SELECT FROM pg_listening_channels())"),
    ),
}
# Session state on the server: `rollback` and `pgbouncer` say that they leave it; it costs a round trip to clear.
SESSION_STATE = {"search_path", "role", "temporary table", "advisory lock", "LISTEN"}


@pytest.fixture
def role(cluster: Any) -> None:
    """The tests' role may become another one."""
    cluster.execute("GRANT pg_read_all_stats TO app")


@pytest.mark.usefixtures("role")
class TestDirtyStates:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("state", sorted(DIRT))
    def test_next_lease_sees_what_the_mode_documents_and_nothing_else(
        self, make_pool: MakePool, state: str, mode: str
    ) -> None:
        """Bar for a drop-in: 0 of 10. psycopg2's own pool lets 9 through, SQLAlchemy 9, psycopg_pool 8."""
        make_dirty, is_dirty = DIRT[state]
        pool = make_pool(1, 1, reset=mode, session_state="allow")
        conn = pool.getconn()
        pid = backend(conn)
        conn.rollback()
        make_dirty(conn)
        pool.putconn(conn)
        again = pool.getconn(timeout=0)
        assert again.info.backend_pid == pid  # it was cleaned, not replaced
        assert bool(is_dirty(again)) == (mode != "reset" and state in SESSION_STATE)

    @pytest.mark.parametrize("state", sorted(DIRT))
    def test_close_in_a_drop_in_pool_cleans_as_well(self, make_pool: MakePool, state: str) -> None:
        make_dirty, is_dirty = DIRT[state]
        pool = make_pool(1, 1, kind=ReturningPool, reset="reset")
        conn = pool.getconn()
        make_dirty(conn)
        conn.close()
        assert not is_dirty(pool.getconn(timeout=0))


@pytest.mark.parametrize("mode", MODES)
class TestAnyMode:
    def test_a_failed_transaction_is_ended(self, make_pool: MakePool, mode: str) -> None:
        pool = make_pool(1, 1, reset=mode, session_state="allow")
        conn = pool.getconn()
        with pytest.raises(psycopg2.DataError):
            run(conn, "SELECT 1/0")
        assert conn.info.transaction_status == TRANSACTION_STATUS_INERROR
        pool.putconn(conn)
        assert query(pool.getconn(timeout=0), "SELECT 1") == 1

    def test_a_transaction_failed_after_a_begin_by_hand_is_ended(self, make_pool: MakePool, mode: str) -> None:
        """psycopg/psycopg2#941: in autocommit, `conn.rollback()` does nothing, whatever the server's state."""
        pool = make_pool(1, 1, reset=mode, session_state="allow")
        conn = pool.getconn()
        pid = backend(conn)
        conn.rollback()
        conn.autocommit = True
        run(conn, "BEGIN")
        with pytest.raises(psycopg2.DataError):
            run(conn, "SELECT 1/0")
        pool.putconn(conn)
        assert backend(pool.getconn(timeout=0)) == pid

    def test_readonly_and_autocommit_leave_nothing_on_the_server(self, make_pool: MakePool, mode: str) -> None:
        """psycopg/psycopg2#503: with autocommit, set_session writes default_transaction_read_only."""
        pool = make_pool(1, 1, reset=mode, session_state="allow")
        conn = pool.getconn()
        conn.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True, autocommit=True)
        assert query(conn, "SHOW default_transaction_read_only") == "on"
        pool.putconn(conn)
        again = pool.getconn(timeout=0)
        assert (again.readonly, again.deferrable, again.isolation_level) == (None, None, None)
        assert again.autocommit is False
        for name, value in (("read_only", "off"), ("deferrable", "off"), ("isolation", "read committed")):
            assert query(again, f"SHOW default_transaction_{name}") == value
            assert query(again, f"SHOW transaction_{name}") == value

    def test_readonly_set_before_autocommit_was_taken_back_leaves_nothing(
        self, make_pool: MakePool, mode: str
    ) -> None:
        pool = make_pool(1, 1, reset=mode, session_state="allow")
        conn = pool.getconn()
        conn.set_session(readonly=True, autocommit=True)
        conn.autocommit = False
        pool.putconn(conn)
        assert query(pool.getconn(timeout=0), "SHOW transaction_read_only") == "off"

    def test_types_registered_on_the_connection_are_undone(self, make_pool: MakePool, mode: str) -> None:
        pool = make_pool(1, 1, reset=mode, session_state="allow")
        conn = pool.getconn()
        register_type(new_type((23,), "LOUD", lambda value, cursor: f"{value}!"), conn)
        assert query(conn, "SELECT 1::int4") == "1!"
        psycopg2.extras.register_default_json(conn, loads=lambda text: "not parsed")
        pool.putconn(conn)
        again = pool.getconn(timeout=0)
        assert query(again, "SELECT 1::int4") == 1
        assert query(again, "SELECT '{}'::json") == {}

    def test_notices_and_notifications_are_the_leases_own(self, make_pool: MakePool, mode: str) -> None:
        pool = make_pool(1, 1, reset=mode, session_state="allow")
        conn = pool.getconn()
        run(conn, "DO $$ BEGIN RAISE NOTICE 'secret of user 1'; END $$")
        assert "secret of user 1" in conn.notices[-1]
        conn.notifies.append("mine")
        pool.putconn(conn)
        again = pool.getconn(timeout=0)
        assert (again.notices, again.notifies) == ([], [])

    def test_what_the_pool_was_made_with_is_no_dirt(self, make_pool: MakePool, mode: str) -> None:
        pool = make_pool(1, 1, connect={"cursor_factory": psycopg2.extras.RealDictCursor}, reset=mode)
        conn = pool.getconn()
        conn.cursor_factory = None
        pool.putconn(conn)
        assert pool.getconn(timeout=0).cursor_factory is psycopg2.extras.RealDictCursor

    def test_a_prepared_transaction_is_not_kept(self, make_pool: MakePool, mode: str, own: Cluster) -> None:
        pool = make_pool(1, 1, connect={"dsn": own.dsn("app", "app")}, reset=mode)
        conn = pool.getconn()
        transaction = conn.xid(1, "global", mode)
        conn.tpc_begin(transaction)
        run(conn, "SELECT 1")
        conn.tpc_prepare()
        assert conn.status == STATUS_PREPARED
        pool.putconn(conn)
        assert pool.stats()["closed"] == 1
        again = pool.getconn(timeout=0)
        again.tpc_rollback(transaction)  # it is not the pool's to end
        assert query(again, "SELECT 1") == 1

    def test_a_copy_under_way_is_discarded(self, make_pool: MakePool, mode: str) -> None:
        """A lease that another thread gives back while its COPY waits for data.

        psycopg2 holds no lock over a COPY: closing freed what the other thread still read, and now and then the
        process was aborted, or an unrelated call of Python's raised SystemError.
        """
        pool = make_pool(1, 1, reset=mode, session_state="allow")
        conn = pool.getconn()
        pid = backend(conn)
        run(conn, "CREATE TEMP TABLE copied (x int)")
        reading, go_on = threading.Event(), threading.Event()

        class Slow(StringIO):
            def read(self, size: int | None = -1, /) -> str:
                reading.set()
                assert go_on.wait(10)
                return ""

        def copy() -> None:
            with conn.cursor() as cursor:
                cursor.copy_expert("COPY copied FROM STDIN", Slow())

        copier = Running(copy)
        assert reading.wait(10)
        Running(pool.putconn, conn).join()
        go_on.set()
        assert isinstance(copier.error(), psycopg2.OperationalError)
        assert conn.closed
        assert backend(pool.getconn(timeout=5)) != pid

    def test_a_query_under_way_is_discarded(self, make_pool: MakePool, mode: str) -> None:
        pool = make_pool(1, 1, reset=mode, session_state="allow")
        conn = pool.getconn()
        pid = backend(conn)
        running = Running(run, conn, "SELECT pg_sleep(0.3)")
        until(lambda: conn.info.transaction_status == TRANSACTION_STATUS_ACTIVE, "the query is under way")
        pool.putconn(conn)
        running.error()
        assert backend(pool.getconn(timeout=5)) != pid

    def test_close_of_a_drop_in_lease_never_raises(
        self, make_pool: MakePool, mode: str, terminate: Callable[..., None]
    ) -> None:
        """An exception out of a reset left close() raising: 298 of psycopg2's 738 tests failed from it."""
        pool = make_pool(1, 1, kind=ReturningPool, reset=mode, session_state="allow")

        def dead(conn: Any) -> None:
            run(conn, "SELECT 1")
            terminate(conn)

        def dead_in_autocommit(conn: Any) -> None:
            conn.autocommit = True
            run(conn, "BEGIN")
            terminate(conn)

        def closed_below(conn: Any) -> None:
            psycopg2.extensions.connection.close(conn)

        def in_two_phases(conn: Any) -> None:
            conn.tpc_begin("two-phase")

        for spoil in (dead, dead_in_autocommit, closed_below, in_two_phases):
            conn = pool.getconn(timeout=0)
            spoil(conn)
            conn.close()
            conn.close()
            assert pool.stats()["used"] == 0
        assert query(pool.getconn(timeout=0), "SELECT 1") == 1

    def test_a_clean_connection_costs_no_round_trip_except_in_mode_reset(
        self, make_pool: MakePool, mode: str, cluster: Any, database: str
    ) -> None:
        pool = make_pool(1, 1, reset=mode, session_state="allow")
        conn = pool.getconn()
        pid = conn.info.backend_pid
        conn.autocommit = True
        run(conn, "SELECT 'last by hand'")
        conn.autocommit = False
        pool.putconn(conn)
        pool.putconn(pool.getconn())
        last = cluster.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", (pid,))[0][0]
        assert ("last by hand" in last) == (mode != "reset")


def test_mode_reset_keeps_the_servers_dates_readable(make_pool: MakePool, cluster: Any, database: str) -> None:
    """A raw DISCARD ALL on a server whose DateStyle is not ISO breaks psycopg2's date parsing."""
    cluster.execute("ALTER ROLE app SET datestyle = 'German'")
    try:
        pool = make_pool(1, 1, reset="reset")
        for _ in range(2):
            with pool.connection() as conn:
                assert query(conn, "SELECT DATE '2024-02-29'").year == 2024
    finally:
        cluster.execute("ALTER ROLE app RESET datestyle")


def test_statement_timeout_survives_the_reset(make_pool: MakePool) -> None:
    pool = make_pool(1, 1, reset="reset", statement_timeout_ms=1234)
    for _ in range(2):
        with pool.connection() as conn:
            assert query(conn, "SHOW statement_timeout") == "1234ms"


def test_an_interrupt_during_the_reset_frees_the_slot(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend import reset

    pool = make_pool(0, 1)
    conn = pool.getconn()
    run(conn, "SELECT 1")

    def interrupted(*_: Any) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(reset, "clean", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pool.putconn(conn)
    monkeypatch.undo()
    assert (pool.stats()["size"], pool.stats()["used"]) == (0, 0)


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"PoolOptions\.reset='discard' is not one of rollback, reset, wat"):
        PoolOptions(reset="discard")


class TestWatch:
    """Mode `watch`: the round trip is left out where, by the text of the statements, it is not needed."""

    @pytest.mark.usefixtures("role")
    @pytest.mark.parametrize("state", sorted(DIRT))
    @pytest.mark.parametrize("before", [None, "SELECT 1"])
    def test_no_dirty_state_reaches_the_next_lease(
        self, make_pool: MakePool, state: str, before: str | None
    ) -> None:
        make_dirty, is_dirty = DIRT[state]
        pool = make_pool(1, 1, reset="watch")
        conn = pool.getconn()
        pid = conn.info.backend_pid
        if before:
            run(conn, before)
            conn.rollback()
        make_dirty(conn)
        pool.putconn(conn)
        again = pool.getconn(timeout=0)
        assert again.info.backend_pid == pid
        assert not is_dirty(again)

    @pytest.mark.parametrize(
        ("statement", "is_reset"),
        [
            ("SELECT 'last by hand'", False),
            ("BEGIN; SELECT 'last by hand'; COMMIT", False),
            ("SET LOCAL app.tenant = 'last by hand'", False),
            ("SELECT set_config('app.tenant', 'last by hand', true)", False),
            ("EXPLAIN SELECT 'last by hand'", False),
            ("SET app.tenant = 'last by hand'", True),
            ("SELECT set_config('app.tenant', 'last by hand', false)", True),
            ("LISTEN channel; SELECT 'last by hand'", True),
            ("DO $$ BEGIN PERFORM 'last by hand'; END $$", True),
            ("CREATE TABLE x (x text DEFAULT 'last by hand'); DROP TABLE x", True),
            ("SELECT 1; VACUUM (FREEZE) nothing", True),
        ],
    )
    def test_the_reset_is_left_out_only_after_what_is_known_to_be_harmless(
        self, make_pool: MakePool, cluster: Any, statement: str, is_reset: bool
    ) -> None:
        pool = make_pool(1, 1, reset="watch")
        conn = pool.getconn()
        conn.autocommit = True
        try:
            run(conn, statement)
        except psycopg2.Error:
            assert "nothing" in statement  # what fails may have changed something before
        pool.putconn(conn)
        assert _was_reset(cluster, pool) == is_reset

    def test_a_call_and_a_procedure_are_reset(self, make_pool: MakePool, cluster: Any) -> None:
        pool = make_pool(1, 1, reset="watch")
        for send in (
            lambda cursor: cursor.execute("CALL remember()"),
            lambda cursor: cursor.callproc("remembered"),
        ):
            with pool.connection() as conn, conn.cursor() as cursor:
                cursor.execute(
                    "CREATE OR REPLACE PROCEDURE remember() LANGUAGE sql AS"
                    " $$ SELECT set_config('app.tenant', 'left behind', false) $$;"
                    "CREATE OR REPLACE FUNCTION remembered() RETURNS text LANGUAGE sql AS"
                    " $$ SELECT set_config('app.tenant', 'left behind', false) $$"
                )
            with pool.connection() as conn, conn.cursor() as cursor:
                send(cursor)
            with pool.connection() as conn:
                assert query(conn, "SELECT current_setting('app.tenant', true)") in (None, "")
        with pool.connection() as conn:
            run(conn, "DROP PROCEDURE remember; DROP FUNCTION remembered")

    def test_a_lease_after_a_dirty_one_starts_clean(self, make_pool: MakePool, cluster: Any) -> None:
        pool = make_pool(1, 1, reset="watch")
        with pool.connection() as conn:
            run(conn, "SET app.tenant = 'one'")
        assert _was_reset(cluster, pool)
        conn = pool.getconn()
        conn.autocommit = True  # else the last statement would be a COMMIT
        run(conn, "SELECT 'last by hand'")
        pool.putconn(conn)
        assert not _was_reset(cluster, pool)

    def test_a_cursor_made_by_hand_is_not_seen_and_so_the_lease_is_reset(
        self, make_pool: MakePool, cluster: Any
    ) -> None:
        pool = make_pool(1, 1, reset="watch")
        with pool.connection() as conn, psycopg2.extensions.cursor(conn) as by_hand:
            by_hand.execute("SET app.tenant = 'left behind'")
        with pool.connection() as conn:
            assert query(conn, "SELECT current_setting('app.tenant', true)") in (None, "")

    @pytest.mark.parametrize(
        "call",
        [
            lambda conn: conn.set_session(readonly=True, autocommit=True),
            lambda conn: conn.set_client_encoding("LATIN1"),
        ],
    )
    def test_what_psycopg2_sends_by_itself_counts_as_sent(
        self, make_pool: MakePool, call: Callable[[Any], None]
    ) -> None:
        pool = make_pool(1, 1, reset="watch")
        conn = pool.getconn()
        call(conn)
        pool.putconn(conn)
        again = pool.getconn()
        assert (again.encoding, query(again, "SHOW client_encoding")) == ("UTF8", "UTF8")
        assert query(again, "SHOW default_transaction_read_only") == "off"


def _was_reset(cluster: Any, pool: Any) -> bool:
    """Tell whether something was sent on the only idle connection after a statement that says 'last by hand'."""
    conn = pool._pool[0]
    statement = "SELECT query FROM pg_stat_activity WHERE pid = %s"
    return "last by hand" not in cluster.execute(statement, (conn.info.backend_pid,))[0][0]


@pytest.mark.parametrize("mode", ALL_MODES)
class TestRoundTrips:
    def test_a_lease_that_sent_nothing_costs_none(self, make_pool: MakePool, cluster: Any, mode: str) -> None:
        """The server's `state_change` is the moment it last heard of anything."""
        pool = make_pool(1, 1, reset=mode)
        with pool.connection() as conn:
            run(conn, "SELECT 1")
            pid = conn.info.backend_pid
        heard = "SELECT state_change FROM pg_stat_activity WHERE pid = %s"
        before = cluster.execute(heard, (pid,))
        for _ in range(3):
            conn = pool.getconn()
            conn.readonly, conn.tag = None, "mine"
            conn.info.dsn_parameters  # noqa: B018
            pool.putconn(conn)
            with pool.connection():
                pass
        if mode not in ("reset", "watch"):  # an attribute that was set may have told the server something
            assert cluster.execute(heard, (pid,)) == before
        before = cluster.execute(heard, (pid,))
        for _ in range(3):
            conn = pool.getconn()
            conn.tag = "mine"
            pool.putconn(conn)
        assert cluster.execute(heard, (pid,)) == before
        assert pool.getconn().info.backend_pid == pid


@pytest.mark.parametrize("mode", ALL_MODES)
class TestWhatIsOnTheObject:
    def test_the_client_encoding_is_restored(self, make_pool: MakePool, mode: str) -> None:
        pool = make_pool(1, 1, reset=mode, session_state="allow")
        conn = pool.getconn()
        conn.set_client_encoding("LATIN1")
        pool.putconn(conn)
        again = pool.getconn()
        assert again.encoding == "UTF8"
        assert query(again, "SELECT 'ä€'") == "ä€"

    def test_lists_that_the_user_put_in_place_of_ours_stay_the_users(self, make_pool: MakePool, mode: str) -> None:
        pool = make_pool(1, 1, reset=mode)
        conn = pool.getconn()
        mine: list[str] = []
        conn.notices = conn.notifies = mine
        run(conn, "DO $$ BEGIN RAISE NOTICE 'for me'; END $$")
        assert "for me" in mine[0]
        pool.putconn(conn)
        again = pool.getconn()
        run(again, "DO $$ BEGIN RAISE NOTICE 'for the next one'; END $$")
        assert len(mine) == 1
        assert again.notices is not mine
        assert [notice.split(":")[1].strip() for notice in again.notices] == ["for the next one"]

    def test_attributes_of_the_instance_end_with_the_lease(self, make_pool: MakePool, mode: str) -> None:
        pool = make_pool(1, 1, reset=mode)
        conn = pool.getconn()
        conn.tenant = 7
        pool.putconn(conn)
        again = pool.getconn()
        assert again is conn
        assert not hasattr(again, "tenant")

    def test_types_registered_without_a_statement_are_undone(self, make_pool: MakePool, mode: str) -> None:
        pool = make_pool(1, 1, reset=mode)
        conn = pool.getconn()
        register_type(new_type((25,), "LOUD", lambda value, cursor: f"{value}!"), conn)
        pool.putconn(conn)
        assert query(pool.getconn(), "SELECT 'x'::text") == "x"

    def test_a_large_object_ends_with_its_transaction(self, make_pool: MakePool, mode: str) -> None:
        pool = make_pool(1, 1, reset=mode)
        conn = pool.getconn()
        large = conn.lobject(0, "wb")
        large.write(b"never committed")
        oid = large.oid
        pool.putconn(conn)
        again = pool.getconn()
        with pytest.raises(psycopg2.Error):
            large.read()
        again.rollback()
        assert query(again, "SELECT count(*) FROM pg_largeobject_metadata WHERE oid = %s", oid) == 0

    def test_a_cursor_made_by_hand_leaves_no_transaction(self, make_pool: MakePool, mode: str) -> None:
        pool = make_pool(1, 1, reset=mode)
        conn = pool.getconn()
        by_hand = psycopg2.extensions.cursor(conn)
        by_hand.execute("CREATE TABLE by_hand (x int)")
        pool.putconn(conn)
        again = pool.getconn()
        assert again.info.transaction_status == TRANSACTION_STATUS_IDLE
        assert query(again, "SELECT to_regclass('by_hand')") is None

    def test_a_transaction_in_two_phases_that_was_not_prepared_is_ended(
        self, make_pool: MakePool, mode: str, own: Cluster
    ) -> None:
        pool = make_pool(1, 1, connect={"dsn": own.dsn("app", "app")}, reset=mode)
        conn = pool.getconn()
        conn.tpc_begin(conn.xid(1, "begun", mode))
        run(conn, "SELECT 1")
        pool.putconn(conn)
        again = pool.getconn()
        assert query(again, "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE '%%begun%%'") == 0
        again.rollback()
        with again:
            assert query(again, "SELECT 1") == 1


@pytest.mark.parametrize("mode", ALL_MODES)
class TestHooks:
    def test_what_configure_sets_on_the_object_outlives_every_return(self, make_pool: MakePool, mode: str) -> None:
        def configure(conn: Any) -> None:
            conn.autocommit = True
            conn.cursor_factory = psycopg2.extras.RealDictCursor
            conn.team = "blue"
            register_type(new_type((23,), "LOUD", lambda value, cursor: f"{value}!"), conn)

        pool = make_pool(1, 1, reset=mode, configure=configure)
        for _ in range(2):  # psycopg2 calls any two types of the same OID equal
            conn = pool.getconn()
            with conn.cursor() as cursor:
                cursor.execute("SELECT 1 AS x")
                assert cursor.fetchone() == {"x": "1!"}
            assert (conn.autocommit, conn.team) == (True, "blue")
            conn.autocommit, conn.cursor_factory = False, None
            register_type(new_type((23,), "QUIET", lambda value, cursor: None), conn)
            pool.putconn(conn)
        assert pool.stats()["opened"] == 1

    def test_a_configure_that_leaves_a_transaction_open_is_told(
        self, make_pool: MakePool, mode: str, backends: Callable[[], int]
    ) -> None:
        before = backends()
        pool = make_pool(1, 1, reset=mode, configure=lambda conn: run(conn, "SELECT 1"))
        with pytest.raises(psycopg2.ProgrammingError, match="configure left a transaction open"):
            pool.getconn()
        assert pool.stats()["size"] == 0
        until(lambda: backends() <= before, "the connection was closed")

    def test_an_error_in_configure_reaches_the_caller_and_costs_no_slot(
        self, make_pool: MakePool, mode: str, backends: Callable[[], int]
    ) -> None:
        before, errors = backends(), [KeyError("first")]

        def configure(_: Any) -> None:
            if errors:
                raise errors.pop()

        pool = make_pool(1, 1, reset=mode, configure=configure)
        with pytest.raises(KeyError, match="first"):
            pool.getconn()
        assert pool.stats()["size"] == 0
        until(lambda: backends() <= before, "the connection was closed")
        assert query(pool.getconn(timeout=1), "SELECT 1") == 1

    def test_on_return_comes_after_the_reset_and_what_it_sets_stays(self, make_pool: MakePool, mode: str) -> None:
        seen = []

        def on_return(conn: Any) -> None:
            seen.append((conn.info.transaction_status, conn.autocommit))
            with conn.cursor() as cursor:
                cursor.execute("SET app.tenant = 'from the hook'")
            conn.commit()

        pool = make_pool(1, 1, reset=mode, session_state="allow", on_return=on_return)
        conn = pool.getconn()
        conn.autocommit = True
        run(conn, "BEGIN")
        pool.putconn(conn)
        assert seen == [(TRANSACTION_STATUS_IDLE, False)]
        assert query(pool.getconn(), "SELECT current_setting('app.tenant')") == "from the hook"

    @pytest.mark.parametrize("kind", [None, ReturningPool])
    def test_an_on_return_that_fails_costs_the_connection_and_nothing_else(
        self, make_pool: MakePool, mode: str, kind: Any
    ) -> None:
        def on_return(conn: Any) -> None:
            raise KeyError("from the hook")

        pool = make_pool(1, 1, reset=mode, on_return=on_return, **({"kind": kind} if kind else {}))
        conn = pool.getconn()
        run(conn, "SELECT 1")
        conn.close() if kind else pool.putconn(conn)
        assert (pool.stats()["size"], pool.stats()["closed_for"]) == (0, {"not reset": 1})
        assert query(pool.getconn(timeout=1), "SELECT 1") == 1

    def test_an_on_return_that_leaves_a_transaction_open_costs_the_connection(
        self, make_pool: MakePool, mode: str
    ) -> None:
        pool = make_pool(1, 1, reset=mode, on_return=lambda conn: run(conn, "SELECT 1"))
        conn = pool.getconn()
        run(conn, "SELECT 1")
        pool.putconn(conn)
        assert pool.stats()["closed_for"] == {"left in a transaction by a hook": 1}
