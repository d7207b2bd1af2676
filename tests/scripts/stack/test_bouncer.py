"""The stack's PgBouncer: a stolen port, both pool modes, its log when it fails."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from deploy.inputs import PgBouncer
from scripts.errors import CommandError
from scripts.stack import Stack, bouncer
from scripts.stack.bouncer import Bouncer
from scripts.stack.postgres import Cluster

ROLE = "app"


@pytest.fixture
def own_stack(state: Path, stack: Stack) -> Iterator[Stack]:
    if stack.binaries.pgbouncer is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    with Stack() as running:
        yield running


def _start(stack: Stack, cluster: Cluster, database: str, **options: str) -> Bouncer:
    running = stack.pgbouncer(cluster, [database], [ROLE], **options)
    assert running is not None
    return running


def _select(url: str, statement: str) -> object:
    with closing(psycopg2.connect(url, connect_timeout=30)) as conn, conn.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


@pytest.mark.parametrize("what", ["a silent listener", "another PgBouncer"])
def test_a_port_taken_between_choosing_and_binding_is_survived(
    own_stack: Stack,
    cluster: Cluster,
    database: str,
    bouncer_port: int,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    """PgBouncer itself goes on then, on its Unix socket alone; and another one may answer in its place."""
    choose, chosen = bouncer.free_port, []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thief = listener.getsockname()[1] if what == "a silent listener" else bouncer_port

        def stolen_once() -> int:
            chosen.append(choose() if chosen else thief)
            return int(chosen[-1])

        monkeypatch.setattr(bouncer, "free_port", stolen_once)
        running = _start(own_stack, cluster, database)
        assert running.port == chosen[1] != chosen[0]
        assert _select(running.url(database, ROLE), "SELECT current_database()") == (database,)


@pytest.fixture
def bouncer_port(bouncer: Bouncer) -> int:
    return bouncer.port


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_both_pool_modes_serve_and_survive_a_restart(
    own_stack: Stack, cluster: Cluster, database: str, mode: str
) -> None:
    running = _start(own_stack, cluster, database, pool_mode=mode)
    assert _select(running.url(database, ROLE), "SELECT current_user") == (ROLE,)
    port = running.port
    running.restart()
    assert running.port == port
    assert _select(running.url(database, ROLE), "SELECT current_user") == (ROLE,)


def test_a_configuration_that_it_refuses_is_reported_with_its_words_and_its_log(
    own_stack: Stack, cluster: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = bouncer.render_pgbouncer

    def with_nonsense(inputs: PgBouncer) -> dict[str, str]:
        files = render(inputs)
        return {**files, "pgbouncer.ini": files["pgbouncer.ini"] + "nonsense = 1\n"}

    monkeypatch.setattr(bouncer, "render_pgbouncer", with_nonsense)
    with pytest.raises(CommandError, match=r"^pgbouncer ended with code 1: .*FATAL cannot load config") as caught:
        _start(own_stack, cluster, database)
    assert caught.value.log is not None
    assert "nonsense" in caught.value.log.read_text()


def test_a_password_that_is_not_the_servers_is_reported_at_once(
    own_stack: Stack, cluster: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = cluster.create_role("with another verifier")
    monkeypatch.setattr(cluster, "verifier", lambda name: other)
    with pytest.raises(CommandError, match=r"^PgBouncer refused its user: .*authentication failed") as caught:
        _start(own_stack, cluster, database)
    assert caught.value.log is not None
    assert caught.value.log.exists()


def test_without_a_pgbouncer_there_is_none(
    state: Path, cluster: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stack() as stack:
        monkeypatch.setattr(stack, "_binaries", None)
        monkeypatch.setattr("scripts.stack.binaries._pgbouncer", lambda: None)
        monkeypatch.setattr("scripts.stack.binaries._can_apt", lambda: False)
        assert stack.pgbouncer(cluster, [database], [ROLE]) is None
