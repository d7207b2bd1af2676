"""Runs while others work: writers, long transactions, kill -9, cancelled builds, poolers, replicas."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from scripts import cli
from scripts.stack import Stack
from scripts.stack.postgres import Cluster

from .conftest import DEADLINE, INDEX, Child, Shop, change, until

Write = Callable[..., Path]
Start = Callable[..., Child]
Capture = pytest.CaptureFixture[str]


class Writers:
    """Threads that insert and update orders; each keeps its longest wait and its errors."""

    def __init__(self, dsn: str, count: int) -> None:
        self._dsn, self._stop = dsn, threading.Event()
        self.longest, self.done, self.errors = 0.0, 0, []  # type: float, int, list[str]
        self._guard = threading.Lock()
        self._threads = [threading.Thread(target=self._work, args=(each,), daemon=True) for each in range(count)]

    def __enter__(self) -> Writers:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join(DEADLINE)

    def _work(self, number: int) -> None:
        with closing(psycopg2.connect(self._dsn)) as conn:
            while not self._stop.wait(0.005):
                start = time.monotonic()
                try:
                    with conn, conn.cursor() as cursor:
                        cursor.execute("INSERT INTO orders (customer_id) VALUES (%s)", (1 + number,))
                        cursor.execute("UPDATE orders SET customer_id = 99 WHERE id = %s", (1 + number,))
                except psycopg2.Error as error:
                    self.errors.append(str(error))
                with self._guard:
                    self.longest = max(self.longest, time.monotonic() - start)
                    self.done += 1


def test_writers_go_on_while_an_index_is_made_and_taken_back(shop: Shop, write: Write) -> None:
    shop.execute("INSERT INTO orders (customer_id) SELECT 1 + n % 100 FROM generate_series(1, 150000) n")
    folder = write()
    with Writers(shop.dsn, 3) as writers:
        for word in ("run", "undo", "run"):
            assert cli.main(["migrate", word, str(folder), "--dsn", shop.dsn]) == 0
        until(lambda: writers.done > 30)
    assert writers.errors == []
    assert writers.longest < 5  # 1 s is what the benchmark asks for; a lock would be as long as the build
    assert shop.indexes() == {"orders_customer_id_idx": True}
    by_index = shop.execute("SET enable_seqscan = off; SELECT count(*) FROM orders WHERE customer_id = 99")
    assert by_index == shop.execute("SET enable_indexscan = off; SET enable_bitmapscan = off; "
                                    "SELECT count(*) FROM orders WHERE customer_id = 99")  # fmt: skip


@contextmanager
def _old_transaction(shop: Shop, name: str = "nightly report") -> Iterator[Any]:
    """A transaction that has written to `orders` and does nothing more."""
    with closing(psycopg2.connect(shop.dsn, application_name=name)) as conn:
        with conn.cursor() as cursor:
            cursor.execute("INSERT INTO orders (customer_id) VALUES (1)")
        yield conn


def test_a_long_transaction_is_named_with_pid_and_age_and_its_end_lets_the_build_go_on(
    shop: Shop, write: Write, child: Start
) -> None:
    folder = write()
    with _old_transaction(shop) as conn:
        run = child("run", str(folder), "--dsn", shop.dsn)
        (line,) = until(lambda: run.saying("waits for pid"))
        assert f"pid {conn.info.backend_pid} (role postgres, nightly report, idle in transaction, " in line
        assert " s old); end it there, or: SELECT pg_terminate_backend(" in line
        conn.commit()
        assert run.end() == 0
    assert shop.indexes() == {"orders_customer_id_idx": True}


def test_a_lock_timeout_is_tried_again_until_the_way_is_free(shop: Shop, write: Write, child: Start) -> None:
    folder = write(more=("--lock-timeout", "0.3"))
    with _old_transaction(shop) as conn:
        run = child("run", str(folder), "--dsn", shop.dsn)
        (line, *_) = until(lambda: run.saying("again in 1 s, 9 tries left"))
        assert f", behind pid {conn.info.backend_pid}" in line
        conn.commit()
        assert run.end() == 0
    assert shop.indexes() == {"orders_customer_id_idx": True}
    assert run.saying("drops the invalid leftover")


def test_after_the_last_try_it_ends_with_who_was_in_the_way(shop: Shop, write: Write, capsys: Capture) -> None:
    folder = write(more=("--lock-timeout", "1.2"))
    with _old_transaction(shop) as conn:
        assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn, "--tries", "1"]) == 2
        said = capsys.readouterr().err
        assert f"in 1 try, behind pid {conn.info.backend_pid} (role postgres, nightly report" in said
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    assert shop.indexes() == {"orders_customer_id_idx": True}


def _building(shop: Shop) -> list[Any]:
    return shop.execute("SELECT pid FROM pg_stat_progress_create_index WHERE datname = %s", (shop.name,))


def test_after_kill_9_a_further_run_waits_for_what_the_server_still_builds(
    shop: Shop, write: Write, child: Start
) -> None:
    folder = write()
    with _old_transaction(shop) as conn:
        run = child("run", str(folder), "--dsn", shop.dsn)
        ((pid,),) = until(lambda: _building(shop))
        run.process.kill()
        run.end()
        again = child("run", str(folder), "--dsn", shop.dsn)
        until(lambda: again.saying(f"another run is under way (pid {pid})"))
        conn.commit()
        assert again.end() == 0
    assert shop.indexes() == {"orders_customer_id_idx": True}
    assert cli.main(["migrate", "undo", str(folder), "--dsn", shop.dsn]) == 0
    assert shop.indexes() == {}  # the journal knew that the index was ours


def test_after_kill_9_and_the_backends_end_a_further_run_begins_anew(
    shop: Shop, write: Write, child: Start, capsys: Capture
) -> None:
    folder = write()
    with _old_transaction(shop):
        run = child("run", str(folder), "--dsn", shop.dsn)
        ((pid,),) = until(lambda: _building(shop))
        run.process.kill()
        run.end()
        shop.execute("SELECT pg_terminate_backend(%s)", (pid,))
        until(lambda: not _building(shop))
    assert shop.indexes() == {"orders_customer_id_idx": False}
    assert cli.main(["migrate", "status", str(folder), "--dsn", shop.dsn]) == 1
    assert "started" in capsys.readouterr().out
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    assert shop.indexes() == {"orders_customer_id_idx": True}
    assert cli.main(["migrate", "undo", str(folder), "--dsn", shop.dsn]) == 0
    assert shop.indexes() == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_person_it_cancels_the_build_and_drops_the_leftover(
    number: signal.Signals, shop: Shop, write: Write, child: Start
) -> None:
    folder = write()
    with _old_transaction(shop):
        run = child("run", str(folder), "--dsn", shop.dsn)
        until(lambda: _building(shop))
        run.process.send_signal(number)
        # Dropping it waits for the same transaction, 5 s at most; the cancelled build is over by then.
        assert run.end() == (130 if number == signal.SIGINT else 128 + signal.SIGTERM)
        assert not _building(shop)
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    assert shop.indexes() == {"orders_customer_id_idx": True}


def test_a_build_that_somebody_cancels_leaves_nothing(shop: Shop, write: Write, child: Start) -> None:
    folder = write()
    with _old_transaction(shop) as conn:
        run = child("run", str(folder), "--dsn", shop.dsn)
        ((pid,),) = until(lambda: _building(shop))
        shop.execute("SELECT pg_cancel_backend(%s)", (pid,))
        until(lambda: not _building(shop))
        conn.commit()
        assert run.end() == 2
    assert run.saying("canceling statement due to user request")
    assert shop.indexes() == {}


def test_a_lost_connection_says_what_to_do(shop: Shop, write: Write, child: Start) -> None:
    folder = write()
    with _old_transaction(shop):
        run = child("run", str(folder), "--dsn", shop.dsn)
        ((pid,),) = until(lambda: _building(shop))
        shop.execute("SELECT pg_terminate_backend(%s)", (pid,))
        assert run.end() == 2
    assert run.saying("the connection was lost")
    assert run.saying("run it again")


def test_a_pooler_in_transaction_mode_is_refused(stack: Stack, cluster: Cluster, shop: Shop, write: Write,
                                                 capsys: Capture) -> None:  # fmt: skip
    bouncer = stack.pgbouncer(cluster, [shop.name], ["app"], name="pgbouncer-migrate")
    if bouncer is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    try:
        assert cli.main(["migrate", "run", str(write()), "--dsn", bouncer.url(shop.name, "app")]) == 2
        said = capsys.readouterr().err
        assert "is a pooler in transaction mode" in said
        assert "give PostgreSQL's own host and port" in said
    finally:
        bouncer.stop()


def test_a_pooler_in_session_mode_is_used(stack: Stack, cluster: Cluster, shop: Shop, write: Write) -> None:
    shop.execute("ALTER TABLE orders OWNER TO app; GRANT CREATE ON SCHEMA public TO app")
    shop.execute("GRANT SELECT ON customers TO app")
    bouncer = stack.pgbouncer(cluster, [shop.name], ["app"], pool_mode="session", name="pgbouncer-session")
    if bouncer is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    try:
        assert cli.main(["migrate", "run", str(write()), "--dsn", bouncer.url(shop.name, "app")]) == 0
    finally:
        bouncer.stop()
    assert shop.indexes() == {"orders_customer_id_idx": True}


def test_a_role_that_only_reads_is_refused(shop: Shop, write: Write, capsys: Capture) -> None:
    dsn = f"{shop.dsn} options='-c default_transaction_read_only=on'"
    assert cli.main(["migrate", "run", str(write()), "--dsn", dsn]) == 2
    assert "is read-only for this role" in capsys.readouterr().err


def test_a_deadlock_of_two_builds_does_not_happen_for_there_is_one_runner(
    shop: Shop, write: Write, child: Start
) -> None:
    """Two at once on one folder: one does it, the other sees that it is done."""
    folder = write(change(), change(up=INDEX.replace("customer_id", "status"), down="DROP INDEX "
                                                                                    "public.orders_status_idx",
                                    name="public.orders_status_idx"))  # fmt: skip
    runs = [child("run", str(folder), "--dsn", shop.dsn) for _ in range(2)]
    assert [each.end() for each in runs] == [0, 0], [each.lines for each in runs]
    assert sorted(each.results[-1] for each in runs) == ["0 run, 2 done before", "2 run, 0 done before"]
    assert shop.indexes() == {"orders_customer_id_idx": True, "orders_status_idx": True}


def test_a_replica_is_refused(write: Write, capsys: Capture) -> None:
    """A server of its own, started anew as a standby."""
    with Stack() as own:
        standby = own.postgres()
        standby.stop()
        (standby._folder / "data" / "standby.signal").touch()
        standby.start()
        assert cli.main(["migrate", "run", str(write()), "--dsn", standby.dsn()]) == 2
        assert "is a replica, which takes no changes; give the primary's DSN" in capsys.readouterr().err
        assert cli.main(["migrate", "status", str(write()), "--dsn", standby.dsn()]) == 1
