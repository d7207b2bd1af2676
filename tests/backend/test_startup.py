"""One line when the first connection is there, and a refusal where it is wanted: against real servers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import AppLoadError, SettingsError, startup
from backend.settings import Settings, load
from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from tests.backend.conftest import MakePool

ROLE = "few"


@pytest.fixture(autouse=True)
def _silent_afterwards() -> Iterator[None]:
    yield
    startup.stop()


@pytest.fixture(scope="module")
def limited(cluster: Cluster) -> str:
    """The URL of a role that may have five connections."""
    cluster.create_role(ROLE)
    cluster.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT 5")
    return cluster.url("postgres", ROLE)


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == startup.__name__]


def _start(**environ: str) -> Settings:
    settings = load(environ={"WORKERS": "2", "DB_POOL_MAX": "2", **environ})
    startup.start(settings)
    return settings


def test_the_first_connection_writes_one_line_and_later_ones_none(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _start()
    pool = make_pool(0, 2)
    first, second = pool.getconn(), pool.getconn()
    assert first.info.transaction_status == 0  # as a fresh one: nothing of the question is left
    (line,) = _lines(caplog)
    assert line.startswith("pool 1..2 timeout=10s max_lifetime=1800s; 2 workers x 2 = 4 connections; PostgreSQL ")
    assert "max_connections=100 (3 reserved) statement_timeout=" in line
    assert "password" not in line
    for conn in (first, second):
        pool.putconn(conn)


def test_a_connection_in_autocommit_is_asked_as_well(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _start()

    def configure(conn: Any) -> None:
        conn.autocommit = True

    pool = make_pool(0, 1, configure=configure)
    with pool.connection() as conn:
        assert conn.autocommit
    assert len(_lines(caplog)) == 1


def test_of_several_workers_one_writes_it(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):  # two processes of one parent, as far as the folder knows
        _start(HARDEN_RUN_DIR=str(tmp_path))
        with make_pool(0, 1).connection():
            pass
    assert len(_lines(caplog)) == 1


def test_too_many_connections_for_the_role_are_warned_of(
    limited: str, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _start(WORKERS="3")
    with make_pool(0, 1, connect={"dsn": limited}).connection():
        pass
    line, warning = _lines(caplog)
    assert "max_connections=100 (3 reserved, role 5)" in line
    assert warning.startswith("too many connections possible: 3 workers x 2 connections = 6, and 5 are allowed")


def test_the_warning_can_be_switched_off(
    limited: str, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _start(WORKERS="3", HARDEN_CONNECTION_BUDGET="off")
    with make_pool(0, 1, connect={"dsn": limited}).connection():
        pass
    assert len(_lines(caplog)) == 1


def test_a_question_that_fails_is_nobodys_problem(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "_QUESTION", "SELECT 1 / 0")
    _start()
    with make_pool(0, 1).connection() as conn, conn.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_refuse_ends_the_start_before_any_request(limited: str) -> None:
    settings = load(environ={"DATABASE_URL": limited, "WORKERS": "3", "DB_POOL_MAX": "2",
                             "HARDEN_CONNECTION_BUDGET": "refuse"})  # fmt: skip
    with pytest.raises(AppLoadError, match="= 6, and 5 are allowed"):
        startup.refuse_over_budget(settings)


def test_refuse_lets_a_service_start_that_fits(limited: str) -> None:
    startup.refuse_over_budget(load(environ={"DATABASE_URL": limited, "WORKERS": "2", "DB_POOL_MAX": "2",
                                             "HARDEN_CONNECTION_BUDGET": "refuse"}))  # fmt: skip


def test_refuse_needs_to_know_the_server() -> None:
    with pytest.raises(SettingsError, match="needs DATABASE_URL"):
        startup.refuse_over_budget(load(environ={"HARDEN_CONNECTION_BUDGET": "refuse"}))


def test_refuse_says_when_the_server_cannot_be_asked() -> None:
    settings = load(environ={"DATABASE_URL": "postgresql://nobody:s3cret@127.0.0.1:1/x",
                             "HARDEN_CONNECTION_BUDGET": "refuse"})  # fmt: skip
    with pytest.raises(AppLoadError, match="cannot be asked") as caught:
        startup.refuse_over_budget(settings)
    assert "s3cret" not in str(caught.value)


def test_behind_pgbouncer_its_own_limit_counts(
    stack: Stack, cluster: Cluster, limited: str, caplog: pytest.LogCaptureFixture, make_pool: Callable[..., Any]
) -> None:
    bouncer = stack.pgbouncer(cluster, ["postgres"], [ROLE], name="startup-bouncer", stats_users=[ROLE])
    if bouncer is None:
        pytest.skip("PgBouncer is not installed (apt-get install pgbouncer)")
    caplog.set_level(logging.INFO)
    url = cluster.url("postgres", ROLE, bouncer.port)
    console = cluster.url("pgbouncer", ROLE, bouncer.port)
    settings = _start(DB_PGBOUNCER="transaction", HARDEN_PGBOUNCER_DSN=console, WORKERS="1000", DB_POOL_MAX="100")
    with make_pool(0, 1, connect={"dsn": url}).connection():
        pass
    line, warning = _lines(caplog)
    assert "through PgBouncer (transaction)" in line
    assert "PgBouncer's max_client_conn" in warning
    assert startup.problem_of(settings, startup.environment(), None) == ""
    bouncer.stop()
