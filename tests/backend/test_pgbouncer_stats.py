"""PgBouncer's console: its own answers as figures, and what a dead or silent one may cost."""

from __future__ import annotations

import logging
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from backend import pgbouncer_stats
from backend.metric_names import BY_NAME
from backend.pgbouncer_stats import Console, ask
from scripts.stack import Stack
from scripts.stack.bouncer import Bouncer
from scripts.stack.postgres import Cluster


@pytest.fixture(scope="module")
def open_bouncer(own_stack: Stack, own: Cluster) -> Bouncer:
    """A PgBouncer whose console the role `app` may read."""
    running = own_stack.pgbouncer(own, ["app"], ["app"], name="pgbouncer-console")
    if running is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    config = own_stack.run.path / "pgbouncer-console" / "pgbouncer.ini"
    config.write_text(config.read_text().replace("stats_users = \n", "stats_users = app\n"))
    running.restart()
    return running


@pytest.fixture
def silent() -> Iterator[str]:
    """A port where somebody listens and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"postgresql://app@127.0.0.1:{listener.getsockname()[1]}/pgbouncer"


def test_it_says_who_waits_and_how_much_went_through(open_bouncer: Bouncer) -> None:
    with closing(psycopg2.connect(open_bouncer.url("app", "app"))) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT 1")
        found = {(series.metric, series.labels): series.values for series in _console(open_bouncer).series()}
        assert found["harden_pgbouncer_up", ()] == (1.0,)
        assert found["harden_pgbouncer_clients", ("app", "app", "active")] == (1.0,)
        assert found["harden_pgbouncer_servers", ("app", "app", "active")] == (1.0,)
        assert found["harden_pgbouncer_max_wait_seconds", ("app", "app")] == (0.0,)
        assert ("harden_pgbouncer_queries", ("app",)) in found
    for metric, labels in found:
        assert len(labels) == len(BY_NAME[metric].labels)


def test_it_is_asked_once_in_five_seconds(open_bouncer: Bouncer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(pgbouncer_stats, "ask", lambda dsn, what: asked.append(dsn) or ask(dsn, what))
    console = _console(open_bouncer)
    assert console.series() == console.series()
    assert len(asked) == 1
    console._asked -= pgbouncer_stats.KEEP
    console.series()
    assert len(asked) == 2


def test_one_that_never_answers_costs_a_second_and_one_thread(silent: str) -> None:
    console = Console(silent)
    start = time.monotonic()
    others: list[float] = []
    first = threading.Thread(target=console.series)
    first.start()
    while console._asking.acquire(blocking=False):
        console._asking.release()
    console.series()
    others.append(time.monotonic() - start)
    first.join(30)
    assert others[0] < time.monotonic() - start  # whoever comes meanwhile does not wait
    assert [(series.metric, series.values) for series in console.series()] == [("harden_pgbouncer_up", (0.0,))]


def test_its_failure_is_said_once_until_it_is_back(silent: str, caplog: pytest.LogCaptureFixture) -> None:
    console = Console("postgresql://nobody:secret-word@127.0.0.1:1/pgbouncer")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            console.series()
            console._asked = float("-inf")
    (record,) = caplog.records
    assert "HARDEN_PGBOUNCER_DSN" in record.getMessage()
    assert "secret-word" not in record.getMessage()
    assert "\n" not in record.getMessage()


def test_a_postgresql_that_is_no_pgbouncer_is_not_up(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    (series,) = Console(dsn).series()
    assert (series.metric, series.values) == ("harden_pgbouncer_up", (0.0,))


def test_a_connection_of_a_question_does_not_stay(open_bouncer: Bouncer) -> None:
    for _ in range(3):
        ask(_dsn(open_bouncer), ["SHOW POOLS"])
    (clients,) = ask(_dsn(open_bouncer), ["SHOW CLIENTS"])
    assert len([row for row in clients if row["database"] == "pgbouncer"]) == 1


def test_no_answer_in_time_is_a_timeout(silent: str) -> None:
    with pytest.raises(TimeoutError):
        ask(silent, ["SHOW POOLS"], patience=0.05)


def _dsn(bouncer: Bouncer) -> str:
    return bouncer.url("pgbouncer", "app")


def _console(bouncer: Bouncer) -> Console:
    return Console(_dsn(bouncer))


def test_a_process_with_more_than_a_thousand_open_files_asks_as_well(open_bouncer: Bouncer) -> None:
    """select() knows no file descriptor above 1023: the console read as down, and the page of /ops/ failed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("this process may not open 2048 files (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    opened: list[int] = []
    try:
        while not opened or opened[-1] < 1024:
            opened.append(os.open(os.devnull, os.O_RDONLY))
        assert ask(open_bouncer.url("pgbouncer", "app"), ["SHOW POOLS"])[0]
    finally:
        for each in opened:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
