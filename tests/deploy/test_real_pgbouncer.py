"""A real PgBouncer reads the rendered files, and leads each client to the very database and role it asked for."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

from deploy.inputs import Database, PgBouncer, User
from deploy.render import render_pgbouncer, write_files
from scripts.stack import Stack
from scripts.stack.child import Child, as_user, clean_environment, unprivileged_user, user_ids
from scripts.stack.ports import free_port
from scripts.stack.postgres import Cluster
from tests.scripts.stack.running import short_state

from .samples import many, pgbouncer

NAMES = (
    "plain", " edges ", "qu'ote ''", 'dou"ble ""', "semi;colon #comment", "[section] key = value %s",
    "back\\slash $x{y}", "grün 中文 🐘", '"' * 63, "%include x",
)  # fmt: skip


@pytest.fixture(scope="module")
def hostile(cluster: Cluster) -> Iterator[dict[str, str]]:
    """A role and a database of each name on the real server; returns the passwords by role."""
    passwords = {name: f"{name}\n{name}@:/?%20" for name in NAMES}
    for name, password in passwords.items():
        cluster.create_role(name, password)
        cluster.create_database(name, name)
    yield passwords
    for name in NAMES:
        cluster.drop_database(name)


@contextmanager
def _running(stack: Stack, inputs: PgBouncer) -> Iterator[Child]:
    """A PgBouncer with these inputs, but for where its files are."""
    program = stack.binaries.pgbouncer
    if program is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    folder = stack.run.path / "rendered"
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, *user_ids(unprivileged_user()))
    placed = replace(
        inputs, unix_socket_dir=str(folder), auth_file=str(folder / "userlist.txt"),
        logfile=str(folder / "pgbouncer.log"), pidfile=str(folder / "pgbouncer.pid"),
    )  # fmt: skip
    write_files(folder, render_pgbouncer(placed), owner=user_ids(unprivileged_user()))
    child = Child(
        "rendered", [str(program), str(folder / "pgbouncer.ini")], stack.run, clean_environment(stack.run, {}),
        user=unprivileged_user(), stop_signal=signal.SIGQUIT, cwd=folder,
    )  # fmt: skip
    try:
        child.wait_until(lambda: child.says("process up"), 30)
        yield child
    finally:
        child.stop()


@pytest.fixture
def stack_here(state_here: Path) -> Iterator[Stack]:
    with Stack() as stack:
        yield stack


@pytest.fixture
def state_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with short_state() as folder:
        monkeypatch.setenv("HARDEN_STATE", str(folder))
        yield folder


def _who_am_i(port: int, alias: str, user: str, password: str) -> tuple[str, str]:
    conn = psycopg2.connect(host="127.0.0.1", port=port, dbname=alias, user=user, password=password)
    with closing(conn), conn.cursor() as cursor:
        cursor.execute("SELECT current_database(), current_user")
        database, role = cursor.fetchone()
        return str(database), str(role)


def test_each_hostile_name_and_password_reaches_exactly_its_own_database(
    stack_here: Stack, cluster: Cluster, hostile: dict[str, str]
) -> None:
    """Half of the entries by address, half by the folder of the server's socket."""
    hosts = ("127.0.0.1", str(cluster.socket_folder))
    aliases = {name: f"alias-{number}" for number, name in enumerate(NAMES)}
    inputs = pgbouncer(
        databases=tuple(
            Database(alias, hosts[number % 2], cluster.port, name)
            for number, (name, alias) in enumerate(aliases.items())
        ),
        users=tuple(User(name, cluster.verifier(name)) for name in NAMES),
        listen_port=free_port(),
        min_pool_size=0,
        reserve_pool_size=0,
        default_pool_size=1,
        max_db_connections=1,
    )
    with _running(stack_here, inputs) as child:
        for name, alias in aliases.items():
            assert _who_am_i(inputs.listen_port, alias, name, hostile[name]) == (name, name)
        for wrong in ("", "x", hostile["plain"] + " "):
            with pytest.raises(psycopg2.OperationalError, match=r"authentication failed|no password"):
                _who_am_i(inputs.listen_port, aliases["plain"], "plain", wrong)
        with pytest.raises(psycopg2.OperationalError, match="no such database"):
            _who_am_i(inputs.listen_port, "plain", "plain", hostile["plain"])
        assert not child.says("error syntax")
        assert not child.says("broken auth file")


def test_the_golden_sample_with_every_field_is_parsed(stack_here: Stack, cluster: Cluster) -> None:
    inputs = replace(many(), listen_addr="127.0.0.1", listen_port=free_port())
    with _running(stack_here, inputs) as child:
        assert child.is_running()
        for word in ("error", "fatal", "invalid", "unknown parameter"):
            assert not child.says(word), child.last_line()


def test_nobody_from_the_network_reaches_the_console_and_its_own_user_does(
    stack_here: Stack, cluster: Cluster, database: str
) -> None:
    inputs = pgbouncer(
        databases=(Database(database, "127.0.0.1", cluster.port, database),),
        users=(User("app", cluster.verifier("app")),),
        listen_port=free_port(),
        pool_mode="session",
    )
    with _running(stack_here, inputs):
        with pytest.raises(psycopg2.OperationalError, match="not allowed"):
            _who_am_i(inputs.listen_port, "pgbouncer", "app", cluster._roles["app"])
        folder = str(stack_here.run.path / "rendered")
        command = [
            str(stack_here.binaries.postgres / "psql"), "--no-psqlrc", "-At", "-h", folder, "-p",
            str(inputs.listen_port), "-U", "pgbouncer", "pgbouncer", "-c", "SHOW CONFIG",
        ]  # fmt: skip
        done = subprocess.run(
            as_user(command, unprivileged_user()), capture_output=True, text=True, cwd="/",
            env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        shown = dict(line.split("|")[:2] for line in done.stdout.splitlines())
        assert shown["pool_mode"] == "session", done.stderr
        assert shown["max_db_connections"] == str(inputs.max_db_connections)
        assert shown["query_wait_timeout"] == str(inputs.query_wait_timeout)
        assert shown["auth_type"] == "scram-sha-256"
        assert shown["admin_users"] == shown["stats_users"] == ""
