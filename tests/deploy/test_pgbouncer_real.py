"""Real PgBouncers start from what is rendered, and lead the app's role, by SCRAM, to a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql

from deploy.pgbouncer_files import files
from deploy.pgbouncer_verifiers import same_verifiers
from deploy.plan_sizes import sizes
from deploy.render import write_files
from deploy.scram import make_verifier
from scripts.stack import Stack
from scripts.stack.child import unprivileged_user, user_ids
from scripts.stack.postgres import Cluster
from tests.scripts.stack.running import short_state

from .pgbouncer_running import LOOKUP, Running, described, running, server

PASSWORD = "gehe; im'm\"er \\ grün \U0001f418 %s#"
LOOKUP_PASSWORD = 'look"up \\ \';#%'
Server = tuple[Stack, Cluster, Path]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    """PostgreSQL with the role `app`, whose verifier was made by us, and the function that looks it up."""
    with pytest.MonkeyPatch.context() as patched, short_state() as state:
        patched.setenv("HARDEN_STATE", str(state))
        with server() as (stack, cluster, tls):
            cluster.create_role("app", PASSWORD)
            _set_verifier(cluster, "app", make_verifier(PASSWORD))
            cluster.create_database("app", "app")
            _install_lookup(cluster, stack)
            yield stack, cluster, tls


def _set_verifier(cluster: Cluster, role: str, verifier: str) -> None:
    cluster.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier)))


def _install_lookup(cluster: Cluster, stack: Stack) -> None:
    """Run auth_query.sql twice: it may be run at each release."""
    description = described(cluster, stack, "socket", auth="query")
    text = {file.path: file.text for file in files(description, sizes(description), {})}
    for _ in range(2):
        cluster.execute(text["/etc/shop/pgbouncer/auth_query.sql"], dbname="app")
    _set_verifier(cluster, LOOKUP, make_verifier(LOOKUP_PASSWORD))


def _connect(bouncers: Running, dbname: str = "app", number: int = 1, **values: Any) -> Any:
    login = {"user": "app", "password": PASSWORD, "dbname": dbname, "connect_timeout": 10, **values}
    conn = psycopg2.connect(**{**bouncers.where(number), **login})
    conn.autocommit = True
    return conn


def _ask(conn: Any, statement: str) -> Any:
    with conn.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def _verifiers(cluster: Cluster) -> dict[str, str]:
    return {"app": cluster.verifier("app")}


VARIATIONS = [
    ("socket", {}),
    ("socket", {"auth": "query"}),
    ("socket", {"processes": 3}),
    ("socket", {"mode": "session", "session_pool": 0}),
    ("tls", {}),  # beside the app, TLS to the server
    ("tls", {"auth": "query"}),
    ("tcp", {"auth": "query", "processes": 2}),
    ("tcp", {"place": "database"}),
    ("tls", {"place": "database"}),
    ("tls", {"place": "database", "auth": "query"}),
    ("tls", {"place": "database", "processes": 3}),
    ("tcp", {"place": "database", "auth": "query", "processes": 2}),
]


@pytest.mark.parametrize(("over", "bouncer"), VARIATIONS, ids=str)
def test_each_variation_starts_and_serves_the_apps_role_and_nobody_else(
    postgres: Server, over: str, bouncer: dict[str, Any]
) -> None:
    stack, cluster, tls = postgres
    description = described(cluster, stack, over, **bouncer)
    with running(stack, tls, description, _verifiers(cluster), LOOKUP_PASSWORD) as bouncers:
        _serves(bouncers, description.pgbouncer.processes)
        _shares_server_connections(bouncers)
        _refuses(bouncers)
        _has_a_console(bouncers, stack)
        for child in bouncers.children:
            for word in ("unknown parameter", "invalid value", "syntax error", "hba line", "WARNING could not"):
                assert not child.says(word), child.last_line()


def _serves(bouncers: Running, processes: int) -> None:
    for number in range(1, processes + 1):
        with closing(_connect(bouncers, number=number)) as conn:
            assert _ask(conn, "SELECT current_user || '@' || current_database()") == "app@app"
            uses_tls = bool(conn.info.ssl_in_use)
            assert uses_tls == ("client_tls_sslmode = require" in bouncers.texts["pgbouncer-1.ini"])
            to_server = _ask(conn, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            assert to_server == ("server_tls_sslmode = verify-full" in bouncers.texts["pgbouncer-1.ini"])
    if bouncers.description.pgbouncer.session_pool:
        with closing(_connect(bouncers, "app_session")) as conn:
            _ask(conn, "SELECT pg_advisory_lock(1)::text")
            assert _ask(conn, "SELECT pg_advisory_unlock(1)") is True


def _shares_server_connections(bouncers: Running) -> None:
    """More clients than server connections, each in transactions, one after the other."""
    if bouncers.description.pgbouncer.mode == "session":
        return
    size = sizes(bouncers.description).max_db_connections
    clients = [_connect(bouncers, number=1) for _ in range(size + 2)]
    try:
        for conn in clients:
            conn.autocommit = False
            assert _ask(conn, "SELECT txid_current() > 0") is True
            conn.commit()
    finally:
        for conn in clients:
            conn.close()


def _refuses(bouncers: Running) -> None:
    strangers = [
        {"password": PASSWORD + "x"}, {"user": "postgres"}, {"user": LOOKUP, "password": LOOKUP_PASSWORD},
        {"dbname": "postgres"}, {"dbname": "app_lookup"},
    ]  # fmt: skip
    if unprivileged_user() is not None:  # else we are the account that it runs as, whose the console is
        strangers.append({"user": "pgbouncer", "dbname": "pgbouncer"})
    for values in strangers:
        with pytest.raises(psycopg2.OperationalError):
            _connect(bouncers, **values).close()


def _has_a_console(bouncers: Running, stack: Stack) -> None:
    psql = stack.binaries.postgres / "psql"
    done = bouncers.console(psql, "SHOW CONFIG")
    shown = dict(line.split("|")[:2] for line in done.stdout.splitlines())
    assert shown["max_client_conn"] == str(sizes(bouncers.description).max_client_conn), done.stderr
    assert shown["tcp_user_timeout"] == "3000"
    assert bouncers.console(psql, "RELOAD").returncode == 0
    if "\nstats_users = app\n" not in bouncers.texts["pgbouncer-1.ini"]:
        return
    with closing(_connect(bouncers, "pgbouncer")) as conn, conn.cursor() as cursor:
        cursor.execute("SHOW DATABASES")  # the app's role: figures, and nothing else
        assert "app" in {row[0] for row in cursor.fetchall()}
        for command in ("RELOAD", "PAUSE", "SHUTDOWN", "KILL app", "SET max_client_conn = 1"):
            with pytest.raises(psycopg2.Error):
                cursor.execute(command)


def test_a_query_is_cancelled_whichever_process_hears_of_it(postgres: Server) -> None:
    """Without peers a request to cancel reaches the right one of three by chance."""
    stack, cluster, tls = postgres
    if tuple(map(int, str(stack.binaries.pgbouncer_version).split("."))) < (1, 19):
        pytest.skip("PgBouncer before 1.19 has no peers")
    description = described(cluster, stack, "tcp", place="database", processes=3)
    with running(stack, tls, description, _verifiers(cluster)) as bouncers:
        for _ in range(6):
            refused = pytest.raises(psycopg2.errors.QueryCanceled)
            with closing(_connect(bouncers)) as conn, _cancelled_soon(conn), refused:
                _ask(conn, "SELECT pg_sleep(60)::text")


@contextmanager
def _cancelled_soon(conn: Any) -> Iterator[None]:
    """Cancel what runs on a connection again and again: the first request may come before its query."""
    over = threading.Event()

    def cancel() -> None:
        while not over.wait(0.2):
            conn.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_app_hosts_that_have_names_are_let_in_with_tls(postgres: Server) -> None:
    stack, cluster, tls = postgres
    description = described(cluster, stack, "tls", place="database")
    description = replace(description, hosts=replace(description.hosts, app=("web1.example.com",)))
    with running(stack, tls, description, _verifiers(cluster)) as bouncers:
        for host in ("localhost", "127.0.0.1"):
            with closing(_connect(bouncers, host=host)) as conn:
                assert _ask(conn, "SELECT 1") == 1


def test_one_url_spreads_clients_over_the_sockets_of_several_processes(postgres: Server) -> None:
    """As README.md says: libpq 16 chooses among the hosts of a list by chance."""
    if psycopg2.extensions.libpq_version() < 160000:
        pytest.skip("libpq is older than 16 and knows no load_balance_hosts")
    stack, cluster, tls = postgres
    description = described(cluster, stack, "socket", processes=2)
    with running(stack, tls, description, _verifiers(cluster)) as bouncers:
        folders = ",".join(str(bouncers.where(number)["host"]) for number in (1, 2))
        clients = [_connect(bouncers, host=folders, load_balance_hosts="random") for _ in range(24)]
        try:
            assert len({conn.info.host for conn in clients}) == 2
        finally:
            for conn in clients:
                conn.close()


def test_clients_without_tls_are_turned_away_where_it_is_wanted(postgres: Server) -> None:
    stack, cluster, tls = postgres
    description = described(cluster, stack, "tls", place="database")
    with running(stack, tls, description, _verifiers(cluster)) as bouncers:
        with pytest.raises(psycopg2.OperationalError, match=r"SSL required|TLS required"):
            _connect(bouncers, sslmode="disable")
        with closing(_connect(bouncers, sslmode="verify-full")) as conn:
            assert _ask(conn, "SELECT 1") == 1


def test_a_server_with_another_certificate_is_not_spoken_to(postgres: Server) -> None:
    """verify-full against /etc/ssl's authorities, which know nothing of a self-made one."""
    stack, cluster, tls = postgres
    description = described(cluster, stack, "tls")
    wrong = replace(description.database, ca="/etc/ssl/certs/ca-certificates.crt")
    if not Path(wrong.ca).exists():
        pytest.skip("ca-certificates is not installed (apt-get install ca-certificates)")
    description = replace(description, database=wrong, timeouts=replace(description.timeouts, query_wait=2))
    with running(stack, tls, description, _verifiers(cluster)) as bouncers:
        with pytest.raises(psycopg2.OperationalError), closing(_connect(bouncers)) as conn:
            _ask(conn, "SELECT 1")
        assert bouncers.children[0].says("certificate verif"), bouncers.children[0].last_line()


def test_a_lookup_tells_of_the_apps_role_alone_and_not_after_its_time(postgres: Server) -> None:
    _, cluster, _ = postgres
    ask = "SELECT role, verifier FROM \"shop-pgbouncer\".verifier_of(%s)"
    assert cluster.execute(ask, ("app",), dbname="app") == [("app", cluster.verifier("app"))]
    for role in ("postgres", LOOKUP, "", "nobody"):
        assert cluster.execute(ask, (role,), dbname="app") == []
    cluster.execute("ALTER ROLE app VALID UNTIL 'yesterday'")
    try:
        assert cluster.execute(ask, ("app",), dbname="app") == [("app", None)]
    finally:
        cluster.execute("ALTER ROLE app VALID UNTIL 'infinity'")
    with closing(psycopg2.connect(cluster.dsn("app", "app"))) as conn:
        cursor = conn.cursor()
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(ask, ("app",))


def test_a_changed_password_is_found_by_the_check_and_taken_over_by_a_reload(postgres: Server) -> None:
    """With auth = "file": the server's new verifier goes into the file, and RELOAD reads it."""
    stack, cluster, tls = postgres
    old = cluster.verifier("app")
    description = described(cluster, stack, "socket")
    with running(stack, tls, description, _verifiers(cluster)) as bouncers:
        userlist = bouncers.texts["userlist.txt"]
        assert same_verifiers(cluster.dsn(), userlist) == []
        another = "ü" * 512  # as long as one may be
        _set_verifier(cluster, "app", make_verifier(another))
        try:
            (difference,) = same_verifiers(cluster.dsn(), userlist)
            assert "another salt" in difference
            new = userlist.replace(old, cluster.verifier("app"))
            # In a file of its own: one of the same size, second and inode is not read again.
            write_files(bouncers.folder, {"userlist.txt": new}, owner=user_ids(unprivileged_user()))
            assert bouncers.console(stack.binaries.postgres / "psql", "RELOAD").returncode == 0
            with closing(_connect(bouncers, password=another)) as conn:
                assert _ask(conn, "SELECT 1") == 1
            assert same_verifiers(cluster.dsn(), new) == []
        finally:
            _set_verifier(cluster, "app", old)
