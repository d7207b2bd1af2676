"""A lease is psycopg2's own connection, wherever C code asks; and it is nobody's once it was given back."""

from __future__ import annotations

import gc
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from psycopg2 import sql
from psycopg2.extensions import adapt, connection, cursor, encrypt_password, quote_ident

from backend.connection import Leased, Returning, Shared, leased_class
from backend.database_helper import SharedPool
from backend.dropin import ReturningPool
from backend.record import Record
from backend.site import current_site, site_text
from tests.support.sql import query, run
from tests.support.threads import DEADLINE, Running, until, waiting

from .conftest import MakePool


@pytest.fixture
def conn(make_pool: MakePool) -> Iterator[Any]:
    """A lease, given back at the end."""
    pool = make_pool(1, 1)
    leased = pool.getconn()
    yield leased
    pool.putconn(leased)


class TestRealConnection:
    """Seven tracing vendors broke these with a proxy: psycopg2 checks the type in C."""

    def test_it_is_one(self, conn: Any) -> None:
        assert isinstance(conn, connection)
        assert isinstance(conn, Leased)

    def test_register_type_and_what_builds_on_it(
        self, conn: Any, cluster: Any, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for kind in (dict, uuid.UUID):  # what is registered for a connection is registered for all as well
            monkeypatch.setitem(psycopg2.extensions.adapters, (kind, psycopg2.extensions.ISQLQuote), None)
        cluster.execute("CREATE EXTENSION IF NOT EXISTS hstore", dbname=database)
        psycopg2.extras.register_hstore(conn)
        assert query(conn, "SELECT 'a=>1'::hstore") == {"a": "1"}
        psycopg2.extras.register_uuid(conn_or_curs=conn)
        psycopg2.extras.register_default_jsonb(conn, loads=lambda text: text)
        assert query(conn, "SELECT '{}'::jsonb") == "{}"
        run(conn, "CREATE TYPE pair AS (x int, y int)")
        psycopg2.extras.register_composite("pair", conn)
        assert query(conn, "SELECT (1, 2)::pair") == (1, 2)
        conn.rollback()

    def test_quoting_and_adaptation(self, conn: Any) -> None:
        assert quote_ident('a"b', conn) == '"a""b"'
        assert sql.SQL("{}").format(sql.Identifier("a b")).as_string(conn) == '"a b"'
        quoted = adapt("it's")
        quoted.prepare(conn)
        assert quoted.getquoted() == b"'it''s'"
        assert encrypt_password("p", "u", conn, "md5").startswith("md5")

    def test_extras(self, conn: Any) -> None:
        with conn.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE extra (x int, y jsonb)")
            psycopg2.extras.execute_values(cursor, "INSERT INTO extra (x) VALUES %s", [(1,), (2,), (3,)])
            psycopg2.extras.execute_batch(cursor, "UPDATE extra SET x = x + %s", [(1,), (1,)])
            cursor.execute("INSERT INTO extra VALUES (0, %s)", (psycopg2.extras.Json({"a": [1]}),))
            cursor.execute("SELECT array_agg(x ORDER BY x), max(y::text) FROM extra")
            assert cursor.fetchone() == ([0, 3, 4, 5], '{"a": [1]}')
        conn.rollback()

    def test_copy_both_ways(self, conn: Any) -> None:
        with conn.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE copied (x int, t text)")
            cursor.copy_from(StringIO("1\ta\n2\tb\n"), "copied")
            out = StringIO()
            cursor.copy_expert("COPY copied TO STDOUT WITH CSV", out)
            assert out.getvalue() == "1,a\n2,b\n"
        conn.rollback()

    def test_named_cursor(self, conn: Any) -> None:
        with conn.cursor("by_name") as named:
            named.itersize = 10
            named.execute("SELECT generate_series(1, 25)")
            assert sum(row[0] for row in named) == 325

    def test_classes_built_by_hand(self, conn: Any) -> None:
        with cursor(conn) as made:
            made.execute("SELECT 1")
            assert made.fetchone() == (1,)
        large = conn.lobject(0, "w")
        assert large.write("text") == 4
        large.unlink()
        conn.rollback()
        assert psycopg2.extensions.ConnectionInfo(conn).dbname == conn.info.dbname

    @pytest.mark.parametrize(
        ("factory", "read"),
        [
            (psycopg2.extras.DictConnection, lambda row: row["x"]),
            (psycopg2.extras.RealDictConnection, lambda row: row["x"]),
            (psycopg2.extras.NamedTupleConnection, lambda row: row.x),
        ],
    )
    @pytest.mark.parametrize("way", ["connection_factory", "cursor_factory"])
    def test_factories_of_extras(
        self, make_pool: MakePool, factory: Any, read: Callable[[Any], int], way: str
    ) -> None:
        asked = factory
        if way == "cursor_factory":
            asked = getattr(psycopg2.extras, factory.__name__.replace("Connection", "Cursor"))
        pool = make_pool(1, 1, connect={way: asked}, reset="reset")
        for _ in range(2):
            with pool.connection() as conn, conn.cursor() as cursor:
                cursor.execute("SELECT 7 AS x")
                assert read(cursor.fetchone()) == 7
                assert way == "cursor_factory" or isinstance(conn, factory)

    def test_a_callers_own_connection_class_keeps_its_methods_and_state(self, make_pool: MakePool) -> None:
        class Audited(connection):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.commits = 0

            def commit(self) -> None:
                self.commits += 1
                super().commit()

        pool = make_pool(1, 1, connect={"connection_factory": Audited})
        with pool.connection() as conn:
            assert isinstance(conn, Audited)
        assert conn.commits == 1
        assert type(pool.getconn()).__name__ == "LeasedAudited"


class TestClasses:
    def test_nothing_is_composed_without_need(self) -> None:
        assert leased_class(Leased, None) is leased_class(Leased, connection) is Leased
        assert leased_class(Leased, Shared) is Shared

    def test_each_composition_is_made_once(self) -> None:
        factory = psycopg2.extras.DictConnection
        composed = leased_class(Returning, factory)
        assert composed is leased_class(Returning, factory)
        assert composed is not leased_class(Leased, factory)
        assert (composed.__name__, composed.__module__) == ("ReturningDictConnection", "psycopg2.extras")

    @pytest.mark.parametrize("factory", [int, lambda dsn, **_: None, "connection"])
    def test_what_is_no_connection_class_is_refused(self, factory: Any) -> None:
        with pytest.raises(TypeError, match="connection_factory must be a subclass of psycopg2's connection"):
            leased_class(Leased, factory)

    def test_sites_are_one_line_of_at_most_eight_frames(self) -> None:
        def deep(level: int) -> Any:
            return deep(level - 1) if level else current_site()

        text = site_text(deep(12))
        assert text.count(" < ") == 7
        assert text.count(" in deep") == 8
        assert "\n" not in text

    def test_a_record_says_who_holds_it(self) -> None:
        record = Record(lambda _: None, 0.0, 0.0)
        assert not record.is_held()
        record.leased, record.thread = True, threading.get_ident()
        record.givers.add(record.thread)
        assert record.is_held()

        def in_another_thread() -> tuple[bool, bool]:
            before = record.is_held()
            record.givers.add(threading.get_ident())
            return before, record.is_held()

        assert Running(in_another_thread).result() == (True, False)


USES: dict[str, Callable[[Any], Any]] = {
    "cursor": lambda conn: conn.cursor(),
    "commit": lambda conn: conn.commit(),
    "rollback": lambda conn: conn.rollback(),
    "with": lambda conn: conn.__enter__(),
    "cancel": lambda conn: conn.cancel(),
    "reset": lambda conn: conn.reset(),
    "set_session": lambda conn: conn.set_session(readonly=True),
    "set_isolation_level": lambda conn: conn.set_isolation_level(3),
    "set_client_encoding": lambda conn: conn.set_client_encoding("UTF8"),
    "lobject": lambda conn: conn.lobject(),
    "xid": lambda conn: conn.xid(1, "a", "b"),
    "tpc_begin": lambda conn: conn.tpc_begin("x"),
    "tpc_recover": lambda conn: conn.tpc_recover(),
    "autocommit": lambda conn: setattr(conn, "autocommit", True),
    "isolation_level": lambda conn: setattr(conn, "isolation_level", 3),
    "readonly": lambda conn: setattr(conn, "readonly", True),
    "deferrable": lambda conn: setattr(conn, "deferrable", True),
}
KINDS = {"getconn": None, "drop-in": ReturningPool, "helper": SharedPool}


@pytest.mark.parametrize("kind", sorted(KINDS))
class TestUseAfterReturn:
    """pals#28: a connection used after its return works, until the pool is busy and it is somebody else's."""

    @pytest.fixture
    def give_back(self, make_pool: MakePool, kind: str) -> Callable[..., Any]:
        """A pool, and how its leases are given back."""
        pool = make_pool(1, 1, **({"kind": KINDS[kind]} if KINDS[kind] else {}))

        def lease() -> Any:
            return pool.getconn(timeout=5)

        lease.pool = pool  # type: ignore[attr-defined]
        lease.back = pool.putconn if kind == "getconn" else lambda conn: conn.close()  # type: ignore[attr-defined]
        return lease

    @pytest.mark.parametrize("use", sorted(USES))
    def test_answers_connection_already_closed(self, give_back: Any, use: str) -> None:
        conn = give_back()
        give_back.back(conn)
        with pytest.raises(psycopg2.InterfaceError, match=r"^connection already closed$"):
            USES[use](conn)
        again = give_back()
        assert (again.readonly, again.isolation_level, again.deferrable) == (None, None, None)
        assert again.autocommit is False

    def test_closed_says_so(self, give_back: Any) -> None:
        conn = give_back()
        assert conn.closed == 0
        assert conn.lease_number == 1
        give_back.back(conn)
        assert conn.closed == 1
        assert conn.lease_number == 0

    def test_close_again_is_nothing(self, give_back: Any) -> None:
        conn = give_back()
        give_back.back(conn)
        conn.close()
        conn.close()
        stats = give_back.pool.stats()
        assert (stats["size"], stats["idle"]) == (1, 1)
        assert query(give_back(), "SELECT 1") == 1

    def test_cursors_of_the_lease_are_closed(self, give_back: Any) -> None:
        conn = give_back()
        left_open = conn.cursor()
        left_open.execute("SELECT 1")
        give_back.back(conn)
        for use in (left_open.fetchone, lambda: left_open.execute("SELECT 2")):
            with pytest.raises(psycopg2.InterfaceError, match="cursor already closed"):
                use()
        again = give_back()
        with pytest.raises(psycopg2.InterfaceError, match="cursor already closed"):
            left_open.execute("SELECT 'in somebody else''s transaction'")
        assert again.info.transaction_status == 0

    def test_a_named_cursor_reads_nothing_of_the_next_lease(self, give_back: Any) -> None:
        conn = give_back()
        named = conn.cursor("left_open")
        named.execute("SELECT generate_series(1, 10)")
        assert named.fetchone() == (1,)
        give_back.back(conn)
        again = give_back()
        run(again, "SELECT 1")
        with pytest.raises(psycopg2.Error):
            named.fetchone()
        assert query(again, "SELECT 2") == 2

    def test_cursors_cost_no_memory_in_a_long_lease(self, give_back: Any) -> None:
        conn = give_back()
        kept = [conn.cursor() for _ in range(100)]
        for _ in range(1000):
            conn.cursor().close()
        assert len(conn._record.cursors) < 300
        give_back.back(conn)
        assert all(one.closed for one in kept)

    def test_cursors_are_held_weakly(self, give_back: Any) -> None:
        conn = give_back()
        cursor = conn.cursor()
        gone = weakref.ref(cursor)
        del cursor
        assert gone() is None
        give_back.back(conn)


class TestDoubleClose:
    """The dangerous one: `close()`, and once more in `finally`, gives back somebody else's lease in mid-use."""

    def test_a_second_close_after_the_object_was_leased_to_another_thread_is_nothing(
        self, make_pool: MakePool
    ) -> None:
        pool = make_pool(1, 1, kind=ReturningPool)
        conn = pool.getconn()
        closed, used = threading.Event(), threading.Event()

        def other() -> int:
            mine = pool.getconn()
            assert mine is conn
            run(mine, "CREATE TEMP TABLE mine (x int) ON COMMIT DROP")
            closed.set()
            assert used.wait(DEADLINE)
            count = query(mine, "SELECT count(*) FROM mine")
            mine.close()
            return int(count)

        waiter = Running(other)
        waiting(pool)
        conn.close()
        assert closed.wait(DEADLINE)
        conn.close()
        assert conn.closed == 1
        for use in (conn.cursor, conn.commit, conn.rollback, conn.__enter__):
            with pytest.raises(psycopg2.InterfaceError, match="connection already closed"):
                use()
        with pytest.raises(psycopg2.InterfaceError, match="connection already closed"):
            conn.autocommit = True
        used.set()
        assert waiter.result() == 0
        assert pool.stats()["idle"] == 1

    def test_the_thread_that_gave_back_may_lease_the_same_object_again(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, kind=ReturningPool)
        first = pool.getconn()
        first.close()
        again = pool.getconn()
        assert again is first
        assert query(again, "SELECT 1") == 1
        again.close()
        assert pool.stats()["idle"] == 1

    def test_a_lease_may_be_closed_by_another_thread_than_took_it(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, kind=ReturningPool)
        conn = pool.getconn()
        Running(conn.close).join()
        assert pool.stats()["idle"] == 1
        assert conn.closed == 1

    def test_once_no_stale_variable_is_left_every_thread_may_use_it(self, make_pool: MakePool) -> None:
        """Leases that travel between threads work: a thread that gave the object back once may be handed it."""
        pool = make_pool(1, 1, kind=ReturningPool)
        Running(lambda: pool.getconn().close()).join()
        worker_gave, results = threading.Event(), []

        def worker() -> None:
            pool.getconn().close()
            worker_gave.set()
            assert handed.wait(DEADLINE)
            results.append(query(box[0], "SELECT 1"))
            box[0].close()

        handed, box = threading.Event(), []
        thread = Running(worker)
        assert worker_gave.wait(DEADLINE)
        gc.collect()
        box.append(pool.getconn())
        handed.set()
        thread.join()
        assert results == [1]
        assert pool.stats()["idle"] == 1

    def test_putconn_twice_is_psycopg2s_error(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        conn = pool.getconn()
        pool.putconn(conn)
        with pytest.raises(psycopg2.pool.PoolError, match="unkeyed"):
            pool.putconn(conn)


class TestSeveralThreads:
    """One connection in several threads: psycopg2 lets it be, and its statements then share one transaction."""

    def test_a_lease_that_several_other_threads_use_is_reported_once(
        self, make_pool: MakePool, caplog: pytest.LogCaptureFixture
    ) -> None:
        pool = make_pool(1, 1)
        conn = pool.getconn()
        go_on = threading.Event()

        def use(times: int) -> None:
            for _ in range(times):
                query(conn, "SELECT 1")
            go_on.wait(DEADLINE)  # a thread that has ended may lend its number to the next

        users = [Running(use, 5) for _ in range(3)]
        until(lambda: len(conn._record.users or ()) == 3, "three threads used it")
        go_on.set()
        for user in users:
            user.join()
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) == 1
        taker = threading.current_thread().name
        assert lines[0].startswith(f"one connection, taken by {taker}, is used by several threads, now at ")
        assert "tests/support/sql.py:" in lines[0]
        assert lines[0].endswith("take a connection in each thread instead")

    def test_a_lease_handed_over_to_one_thread_is_nothing_to_report(
        self, make_pool: MakePool, caplog: pytest.LogCaptureFixture
    ) -> None:
        pool = make_pool(1, 1)
        conn = pool.getconn()
        for _ in range(3):
            query(conn, "SELECT 1")

        def use() -> None:
            for _ in range(5):
                query(conn, "SELECT 1")
            pool.putconn(conn)

        Running(use).join()
        assert not caplog.records

    def test_each_lease_is_counted_anew(self, make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
        pool = make_pool(1, 1)
        for _ in range(3):
            conn = pool.getconn()
            Running(query, conn, "SELECT 1").join()
            pool.putconn(conn)
        assert not caplog.records
        assert conn._record.users is None


class TestAttributes:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("autocommit", True), ("isolation_level", 3), ("readonly", True), ("deferrable", True)],
    )
    def test_they_read_and_write_as_psycopg2_s(self, conn: Any, name: str, value: Any) -> None:
        before = getattr(conn, name)
        setattr(conn, name, value)
        assert getattr(conn, name) == value
        assert getattr(type(conn), name).__doc__ == getattr(connection, name).__doc__
        setattr(conn, name, before)

    def test_a_wrong_value_is_psycopg2_s_error(self, conn: Any) -> None:
        with pytest.raises(ValueError, match="isolation_level"):
            conn.isolation_level = "nonsense"

    def test_lists_are_the_objects_that_were_set(self, conn: Any) -> None:
        mine: list[str] = []
        conn.notices = mine
        assert conn.notices is mine

    @pytest.mark.parametrize("name", ["set_session", "reset", "cancel", "tpc_begin"])
    def test_guarded_methods_keep_their_names_and_docs(self, name: str) -> None:
        assert getattr(Leased, name).__name__ == name
        assert getattr(Leased, name).__doc__ == getattr(connection, name).__doc__
