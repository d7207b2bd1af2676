"""A plan's numbers on a real PostgreSQL and real PgBouncers: full to the last connection, nobody is refused."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from deploy import pgbouncer_files
from deploy.description import Description
from deploy.plan import Plan, plan
from deploy.render import write_files
from scripts.stack import Stack
from scripts.stack.child import Child, clean_environment, unprivileged_user, user_ids
from scripts.stack.postgres import Cluster
from tests.scripts.stack.running import short_state

from .descriptions import described

MAX_CONNECTIONS, SUPERUSER_RESERVED, DIRECT = 32, 3, 5
NAME = "shop"


@pytest.fixture(scope="module")
def stack_here() -> Iterator[Stack]:
    with short_state() as folder, pytest.MonkeyPatch.context() as environ:
        environ.setenv("HARDEN_STATE", str(folder))
        with Stack() as stack:
            if stack.binaries.pgbouncer is None:
                pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
            yield stack


@pytest.fixture(scope="module")
def small(stack_here: Stack) -> Cluster:
    """A PostgreSQL of its own, with few connections."""
    cluster = stack_here.postgres(
        {"max_connections": str(MAX_CONNECTIONS), "superuser_reserved_connections": str(SUPERUSER_RESERVED)}
    )
    cluster.create_role(NAME)
    cluster.create_database(NAME, NAME)
    return cluster


@contextmanager
def _bouncer(
    stack: Stack, cluster: Cluster, description: Description, host: str, lifetime: int = 3600
) -> Iterator[str]:
    """PgBouncer of one app host, from its rendered files, which lie elsewhere here; gives its socket's folder."""
    folder = stack.run.path / host
    folder.mkdir(mode=0o755)
    owner = user_ids(unprivileged_user())
    os.chown(folder, *owner)
    rendered = pgbouncer_files.files(description, plan(description), {NAME: cluster.verifier(NAME)})
    texts = {Path(file.path).name: _placed(file.text, folder) for file in rendered}
    texts["pgbouncer-1.ini"] = re.sub(r"(server_lifetime) = \d+", rf"\1 = {lifetime}", texts["pgbouncer-1.ini"])
    write_files(folder, texts, owner=owner)
    child = Child(
        host, [str(stack.binaries.pgbouncer), str(folder / "pgbouncer-1.ini")], stack.run,
        clean_environment(stack.run, {}), user=unprivileged_user(), stop_signal=signal.SIGQUIT, cwd=folder,
    )  # fmt: skip
    try:
        child.wait_until(lambda: child.says("process up"), 30)
        yield str(folder)
    finally:
        child.stop()


def _placed(text: str, folder: Path) -> str:
    for path in (f"/etc/{NAME}/pgbouncer", f"/run/{NAME}-pgbouncer/1"):
        text = text.replace(path, str(folder))
    return text


def _description(stack: Stack, cluster: Cluster, names: tuple[str, ...], threads: int = 6) -> Description:
    return described(
        hosts={"app": names},
        server={"threads": threads},
        database={
            "host": str(cluster.socket_folder), "port": cluster.port, "direct": DIRECT, "cores": 4,
            "max_connections": MAX_CONNECTIONS, "superuser_reserved": SUPERUSER_RESERVED,
        },
        pgbouncer={"version": str(stack.binaries.pgbouncer_version)},
    )  # fmt: skip


class _Clients:
    """The clients of one PgBouncer: both releases' pools, and people.

    Args:
        open_all: closes them at the end.
    """

    def __init__(self, folder: str, cluster: Cluster, planned: Plan, open_all: ExitStack) -> None:
        self._where = {
            "host": folder, "port": 6432, "user": NAME, "password": cluster._roles[NAME], "connect_timeout": 20,
        }  # fmt: skip
        self._open_all = open_all
        count = planned.max_client_conn - planned.session_pool
        self.pooled = [self.connect(NAME) for _ in range(count)]
        self.sessions = [self.connect(f"{NAME}_session") for _ in range(planned.session_pool)]

    def connect(self, alias: str) -> Any:
        return self._open_all.enter_context(closing(psycopg2.connect(dbname=alias, **self._where)))


def _asks(conn: Any) -> None:
    """Run a query and stay in its transaction."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_in_a_deploy_at_full_load_nobody_is_refused_and_direct_connections_get_in(
    stack_here: Stack, small: Cluster
) -> None:
    description = _description(stack_here, small, ("app1", "app2"))
    planned = plan(description)
    assert planned.server_connections + DIRECT == planned.server_limit  # else this would prove less
    with ExitStack() as open_all:
        folders = [
            open_all.enter_context(_bouncer(stack_here, small, description, host))
            for host in (*description.hosts.app, *["spare"] * planned.spares)
        ]
        places = [_Clients(folder, small, planned, open_all) for folder in folders]
        for clients in places:
            with pytest.raises(psycopg2.OperationalError, match="no more connections allowed"):
                clients.connect(NAME)
            busy = clients.pooled[: planned.pool_size + planned.reserve_pool_size]
            for conn in (*busy, *clients.sessions):
                _asks(conn)
        direct = [open_all.enter_context(closing(psycopg2.connect(small.dsn(NAME, NAME)))) for _ in range(DIRECT)]
        for conn in direct:
            _asks(conn)
        assert _of_role(small) == planned.server_limit - len(places)  # one of each is kept for replacing others
        direct += [open_all.enter_context(closing(psycopg2.connect(small.dsn(NAME, NAME)))) for _ in places]
        assert _of_role(small) == MAX_CONNECTIONS - SUPERUSER_RESERVED
        with pytest.raises(psycopg2.OperationalError, match=r"remaining connection slots are reserved"):
            psycopg2.connect(small.dsn(NAME, NAME))  # it is as full as can be
        for clients in places:
            _every_client_has_its_turn(clients, planned)


def test_replacing_connections_that_are_old_costs_no_client_anything_at_full_load(
    stack_here: Stack, small: Cluster
) -> None:
    """The backend of a closed connection ends a moment after the login of the one that replaces it."""
    description = _description(stack_here, small, ("app3", "app4"), threads=2)
    planned = plan(description)
    assert not planned.reserve_pool_size  # it would come and go with the load
    direct = planned.server_limit - planned.bouncers * (planned.max_db_connections + 1)  # the spare does not run
    refused = _refusals(stack_here)
    with ExitStack() as open_all:
        running = [_bouncer(stack_here, small, description, host, lifetime=1) for host in description.hosts.app]
        folders = [open_all.enter_context(one) for one in running]
        others = [psycopg2.connect(small.dsn(NAME, NAME)) for _ in range(direct)]
        others += [_session(folder, small) for folder in folders for _ in range(planned.session_pool)]
        for conn in others:
            _asks(open_all.enter_context(closing(conn)))
        with ThreadPoolExecutor(2 * CALLERS) as callers:
            ended = threading.Event()
            calls = [callers.submit(_calls, folder, small, ended) for folder in folders for _ in range(CALLERS)]
            try:
                _wait_for(lambda: _of_role(small) == planned.server_limit - len(folders))
                for _ in range(3):
                    before = _oldest(small)
                    _wait_for(partial(_is_newer, small, before))
            finally:
                ended.set()
            assert all(call.result() > 0 for call in calls)
    assert _refusals(stack_here) == refused


CALLERS = 24  # of each PgBouncer: far more than it has connections


def _session(folder: str, cluster: Cluster) -> Any:
    return psycopg2.connect(
        host=folder, port=6432, user=NAME, dbname=f"{NAME}_session", password=cluster._roles[NAME]
    )


def _calls(folder: str, cluster: Cluster, ended: threading.Event) -> int:
    """Run transactions until the end; returns how many."""
    done = 0
    conn = psycopg2.connect(host=folder, port=6432, user=NAME, dbname=NAME, password=cluster._roles[NAME])
    with closing(conn), conn.cursor() as cursor:
        while not ended.is_set():
            cursor.execute("SELECT pg_sleep(0.02)")
            conn.commit()
            done += 1
    return done


def _oldest(cluster: Cluster) -> Any:
    """Return when the oldest of the connections that callers share was made."""
    query = (
        "SELECT min(backend_start) FROM pg_stat_activity "
        "WHERE usename = %s AND query IN ('COMMIT', 'BEGIN', 'SELECT pg_sleep(0.02)')"
    )
    return cluster.execute(query, (NAME,))[0][0]


def _refusals(stack: Stack) -> int:
    """Count the logins that PostgreSQL refused because it was full, in its log."""
    return sum(log.read_text().count("remaining connection slots") for log in stack.run.logs.glob("postgres*"))


def _is_newer(cluster: Cluster, before: Any) -> bool:
    return bool(_oldest(cluster) > before)


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _of_role(cluster: Cluster) -> int:
    """Count the role's connections as an administrator, who still gets in."""
    return int(cluster.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", (NAME,))[0][0])


def _every_client_has_its_turn(clients: _Clients, planned: Plan) -> None:
    busy = planned.pool_size + planned.reserve_pool_size
    for holds, waits in zip(clients.pooled, clients.pooled[busy:], strict=False):
        holds.commit()
        _asks(waits)
