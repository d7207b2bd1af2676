"""`get_db_connection()` and `transaction()`: one lease per request, both spellings, nested as one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
from flask import Flask
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS

from backend import (
    Hardening,
    PoolTimeout,
    SettingsError,
    close_pool,
    get_db_connection,
    get_pool,
    transaction,
)
from backend.database_helper import current_pool, open_pool, options_from
from backend.settings import load
from scripts.stack.postgres import Cluster
from tests.support.sql import backend, query, run
from tests.support.threads import together

Terminate = Callable[..., None]
Committed = Callable[[], list[int]]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("DB_POOL_MAX", "1")
    monkeypatch.setenv("DB_POOL_TIMEOUT", "0.1")


@pytest.fixture
def in_request() -> Iterator[None]:
    """The test runs inside one request; the pool has one connection."""
    app = Flask(__name__)
    Hardening(app)
    with app.test_request_context():
        yield


@pytest.fixture
def table(cluster: Cluster, database: str) -> Iterator[str]:
    """A table with one number, as the server has it."""
    cluster.execute("CREATE TABLE helper (x int)", dbname=database)
    cluster.execute("GRANT ALL ON helper TO app", dbname=database)
    yield "helper"
    cluster.execute("DROP TABLE helper", dbname=database)


@pytest.fixture
def committed(cluster: Cluster, database: str, table: str) -> Callable[[], list[int]]:
    """The numbers that are committed."""
    return lambda: [row[0] for row in cluster.execute(f"SELECT x FROM {table} ORDER BY x", dbname=database)]


def insert(conn: Any, number: int) -> None:
    run(conn, "INSERT INTO helper VALUES (%s)", number)


class TestPool:
    def test_first_use_makes_it_and_nothing_connects_before(self) -> None:
        assert current_pool() is None
        assert get_pool().stats()["opened"] == 0
        assert current_pool() is get_pool()

    def test_first_requests_that_come_at_once_get_one_pool(self) -> None:
        """With two, the second one's making closed the first, and its leases in mid-use."""
        made = together(16, lambda _: get_pool())
        assert len(set(map(id, made))) == 1
        assert not made[0].closed

    def test_without_a_database_url_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DATABASE_URL")
        for _ in range(2):
            with pytest.raises(SettingsError, match="DATABASE_URL is not set"):
                get_pool()

    def test_after_close_pool_the_next_caller_makes_a_new_one(self) -> None:
        first = get_pool()
        close_pool()
        close_pool()
        assert first.closed
        assert get_pool() is not first

    def test_a_pool_its_user_closed_is_replaced(self) -> None:
        first = get_pool()
        first.closeall()
        assert get_pool() is not first

    def test_open_pool_replaces_an_earlier_one(self) -> None:
        first = get_pool()
        second = open_pool(load())
        assert (first.closed, get_pool()) == (True, second)

    @pytest.mark.parametrize(
        ("mode", "reset", "timeout"),
        [("off", "rollback", 7), ("session", "rollback", 0), ("transaction", "pgbouncer", 0)],
    )
    def test_pgbouncer_decides_reset_and_statement_timeout(self, mode: str, reset: str, timeout: int) -> None:
        options = options_from(load(environ={"DB_PGBOUNCER": mode, "DB_STATEMENT_TIMEOUT_MS": "7"}))
        assert (options.reset, options.statement_timeout_ms) == (reset, timeout)

    def test_every_pool_setting_arrives(self) -> None:
        options = options_from(load(environ={
            "DB_POOL_TIMEOUT": "1", "DB_POOL_MAX_WAITING": "2", "DB_POOL_MAX_LIFETIME": "3",
            "DB_POOL_MAX_IDLE": "4", "DB_POOL_PRE_PING_AFTER": "5", "DB_POOL_LEAK_AFTER": "6",
            "DB_POOL_HELD_IDLE_AFTER": "7", "DB_POOL_PEER_TIMEOUT": "8", "DB_POOL_SESSION_STATE": "allow",
        }))  # fmt: skip
        assert (
            options.timeout, options.max_waiting, options.max_lifetime, options.max_idle,
            options.pre_ping_after, options.leak_after, options.held_idle_after, options.peer_timeout,
            options.session_state,
        ) == (1, 2, 3, 4, 5, 6, 7, 8, "allow")  # fmt: skip

    def test_a_change_of_a_shared_session_is_refused_in_own_code_and_reported_in_others(self) -> None:
        settings = load(environ={"DB_PGBOUNCER": "transaction"})
        assert options_from(settings).session_state == "refuse"
        assert options_from(settings, session_state="report").session_state == "report"


class TestOutsideARequest:
    def test_each_caller_gets_a_lease_of_its_own(self) -> None:
        conn = get_db_connection()
        with pytest.raises(PoolTimeout):
            get_db_connection()
        conn.close()
        with get_db_connection() as again:
            assert again is conn

    def test_with_block_commits_and_gives_back(self, committed: Committed) -> None:
        with get_db_connection() as conn:
            insert(conn, 1)
        assert committed() == [1]
        assert get_pool().stats()["used"] == 0

    def test_with_block_rolls_back_on_an_exception_and_gives_back(self, committed: Committed) -> None:
        with pytest.raises(KeyError), get_db_connection() as conn:
            insert(conn, 1)
            raise KeyError
        assert committed() == []
        assert get_pool().stats()["used"] == 0

    def test_close_gives_back_without_a_commit(self, committed: Committed) -> None:
        conn = get_db_connection()
        insert(conn, 1)
        conn.close()
        assert committed() == []
        assert get_pool().stats()["used"] == 0

    def test_close_inside_a_with_block_waits_for_its_end(self, committed: Committed) -> None:
        with get_db_connection() as conn:
            insert(conn, 1)
            conn.close()
            insert(conn, 2)
        assert committed() == [1, 2]

    def test_timeout_is_the_callers(self) -> None:
        held = get_db_connection()
        with pytest.raises(PoolTimeout, match=r"no connection after 0\.00 s"):
            get_db_connection(timeout=0)
        held.close()


@pytest.mark.usefixtures("in_request")
class TestInARequest:
    def test_three_nested_helpers_share_one_lease_of_a_pool_of_one(self, committed: Committed) -> None:
        """A request that is three helpers deep would wait for itself, in every other pool."""

        def helper(level: int) -> None:
            with get_db_connection() as conn:
                insert(conn, level)
                if level:
                    helper(level - 1)
                assert conn.info.transaction_status == TRANSACTION_STATUS_INTRANS

        helper(3)
        assert committed() == [0, 1, 2, 3]
        assert get_pool().stats()["leased"] == 1

    def test_both_spellings_nest_in_each_other(self, committed: Committed) -> None:
        with get_db_connection() as outer:
            inner = get_db_connection()
            assert inner is outer
            insert(inner, 1)
            inner.close()
            insert(outer, 2)
        assert committed() == [1, 2]

    def test_a_nested_close_does_not_close_the_outer_ones_connection(self) -> None:
        outer = get_db_connection()
        inner = get_db_connection()
        inner.close()
        assert query(outer, "SELECT 1") == 1

    def test_nested_with_blocks_are_one_transaction(self, committed: Committed) -> None:
        with pytest.raises(KeyError), get_db_connection() as outer:
            with get_db_connection() as inner:
                insert(inner, 1)
            assert committed() == []
            insert(outer, 2)
            raise KeyError
        assert committed() == []

    def test_helpers_one_after_the_other_take_turns(self) -> None:
        numbers = []
        for _ in range(3):
            conn = get_db_connection()
            numbers.append(conn.lease_number)
            conn.close()
        assert numbers == [1, 2, 3]

    def test_a_stale_variable_of_an_earlier_lease_is_not_the_requests(self) -> None:
        first = get_db_connection()
        first.close()
        assert first.closed
        with get_db_connection() as second:
            assert second.shared is False
            assert second.lease_number == 2

    def test_the_server_cut_the_connection_and_the_next_helper_gets_another(self, terminate: Terminate) -> None:
        conn = get_db_connection()
        pid = backend(conn)
        again = get_db_connection()  # a second caller: from now on it is shared, and close() is no end
        terminate(pid)
        with pytest.raises(psycopg2.OperationalError):
            query(again, "SELECT 1")
        again.close()
        del conn, again
        retry = get_db_connection(timeout=5)
        assert backend(retry) != pid

    def test_leases_of_two_requests_are_two(self) -> None:
        app = Flask("other")
        conn = get_db_connection()
        with app.test_request_context(), pytest.raises(PoolTimeout):
            get_db_connection()
        conn.close()


class TestAutocommit:
    def test_reads_send_neither_begin_nor_commit(self, cluster: Cluster) -> None:
        cluster.execute("ALTER SYSTEM SET log_statement = 'all'")
        cluster.execute("SELECT pg_reload_conf()")
        assert cluster.child is not None
        try:
            before = cluster.child.log.stat().st_size
            with get_db_connection(autocommit=True) as conn:
                assert query(conn, "SELECT 'read of the helper'") == "read of the helper"
            with get_db_connection() as conn:
                assert query(conn, "SELECT 'write of the helper'") == "write of the helper"
            with cluster.child.log.open() as log:
                log.seek(before)
                lines = [line.partition("statement: ")[2].strip() for line in log if "statement: " in line]
        finally:
            cluster.execute("ALTER SYSTEM RESET log_statement")
            cluster.execute("SELECT pg_reload_conf()")
        read, write = lines.index("SELECT 'read of the helper'"), lines.index("SELECT 'write of the helper'")
        assert not {"BEGIN", "COMMIT"} & set(lines[:write][:-1][read:])
        assert (lines[write - 1], lines[write + 1]) == ("BEGIN", "COMMIT")

    def test_each_statement_is_committed_by_itself(self, committed: Committed) -> None:
        with pytest.raises(KeyError), get_db_connection(autocommit=True) as conn:
            insert(conn, 1)
            raise KeyError
        assert committed() == [1]

    def test_the_next_lease_is_not_in_autocommit(self) -> None:
        with get_db_connection(autocommit=True):
            pass
        with get_db_connection() as conn:
            assert conn.autocommit is False

    @pytest.mark.usefixtures("in_request")
    def test_a_nested_call_without_it_puts_the_connection_into_transactions(
        self, committed: Committed
    ) -> None:
        with get_db_connection(autocommit=True) as outer:
            assert outer.autocommit
            with get_db_connection() as inner:
                insert(inner, 1)
            assert outer.autocommit is False
        assert committed() == [1]

    @pytest.mark.usefixtures("in_request")
    def test_a_nested_call_with_it_stays_in_the_outer_transaction(self, committed: Committed) -> None:
        with pytest.raises(KeyError), get_db_connection() as outer:
            insert(outer, 1)
            with get_db_connection(autocommit=True) as inner:
                assert inner.autocommit is False
                assert query(inner, "SELECT count(*) FROM helper") == 1
            raise KeyError
        assert committed() == []

    @pytest.mark.parametrize("before", [False, True])
    def test_switching_it_inside_a_with_block_leaves_no_trace(self, before: bool) -> None:
        """psycopg2 counts a `with` it was told to enter: left without exit, no later one can enter again."""
        with get_db_connection(autocommit=before) as conn:
            conn.autocommit = not before
        for _ in range(2):
            with get_db_connection() as conn:
                assert query(conn, "SELECT 1") == 1


class TestTransaction:
    def test_commits_at_its_end_and_gives_back(self, committed: Committed) -> None:
        with transaction() as conn:
            insert(conn, 1)
            assert committed() == []
        assert committed() == [1]
        assert get_pool().stats()["used"] == 0

    def test_rolls_back_on_an_exception(self, committed: Committed) -> None:
        with pytest.raises(KeyError), transaction() as conn:
            insert(conn, 1)
            raise KeyError
        assert committed() == []

    @pytest.mark.usefixtures("in_request")
    def test_inside_another_its_failure_undoes_its_own_work_alone(self, committed: Committed) -> None:
        with transaction() as conn:
            insert(conn, 1)
            with pytest.raises(psycopg2.DataError), transaction() as inner:
                assert inner is conn
                insert(inner, 2)
                run(inner, "SELECT 1/0")
            with pytest.raises(KeyError), transaction() as inner, transaction() as innermost:
                insert(innermost, 3)
                raise KeyError
            with transaction() as inner:
                insert(inner, 4)
        assert committed() == [1, 4]

    @pytest.mark.usefixtures("in_request")
    def test_inside_another_it_commits_only_with_it(self, committed: Committed) -> None:
        with pytest.raises(KeyError), transaction():
            with transaction() as inner:
                insert(inner, 1)
            raise KeyError
        assert committed() == []

    @pytest.mark.usefixtures("in_request")
    def test_inside_a_with_block_it_is_a_savepoint_as_well(self, committed: Committed) -> None:
        with get_db_connection() as conn:
            insert(conn, 1)
            with pytest.raises(KeyError), transaction() as inner:
                insert(inner, 2)
                raise KeyError
        assert committed() == [1]

    @pytest.mark.usefixtures("in_request")
    def test_the_error_inside_a_savepoint_matters_more_than_a_connection_that_died(
        self, terminate: Terminate
    ) -> None:
        with pytest.raises(KeyError), transaction(), transaction() as inner:
            terminate(inner)
            raise KeyError

    @pytest.mark.usefixtures("in_request")
    def test_inside_a_block_of_autocommit_reads_it_is_a_transaction_of_its_own(self, committed: Committed) -> None:
        """What it committed must not depend on how the reads around it go on."""
        with pytest.raises(KeyError), get_db_connection(autocommit=True) as reader:
            with transaction() as conn:
                insert(conn, 1)
                with pytest.raises(ValueError, match="undone"), transaction() as inner:
                    insert(inner, 2)
                    raise ValueError("undone")
            assert committed() == [1]
            assert reader.autocommit
            with pytest.raises(ZeroDivisionError), transaction() as conn:
                insert(conn, 3)
                raise ZeroDivisionError
            raise KeyError
        assert committed() == [1]

    def test_after_autocommit_reads_of_the_same_request_it_is_a_transaction(
        self, committed: Committed, in_request: None
    ) -> None:
        reader = get_db_connection(autocommit=True)
        query(reader, "SELECT 1")
        with pytest.raises(KeyError), transaction() as conn:
            assert conn is reader
            insert(conn, 1)
            raise KeyError
        assert committed() == []
        assert reader.info.transaction_status == TRANSACTION_STATUS_IDLE

    def test_timeout_is_the_callers(self) -> None:
        held = get_db_connection()
        with pytest.raises(PoolTimeout), transaction(timeout=0):
            raise AssertionError("unreachable")
        held.close()
