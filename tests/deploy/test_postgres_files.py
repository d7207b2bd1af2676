"""Roles, settings and login lines by a real PostgreSQL: they take, twice, and the role may do what it must."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import postgres_files
from deploy.description import HOST, Bouncer, Database, Description, Timeouts
from deploy.description import NAME as NAME_PATTERN
from deploy.description import ROLE as ROLE_PATTERN
from deploy.errors import InputError
from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from tests.scripts.stack.running import short_state

from .golden_files import assert_golden
from .unit_samples import SAMPLES, beside_database, one_host, sized, three_hosts

ROLE, NAME = "tried.role-1", "Tried.db-1"
PASSWORD = "pass:'word\\\"%"


def _file(description: Description, end: str) -> str:
    found = postgres_files.files(description, sized(description))
    return next(file.text for file in found if file.path.endswith(end))


@pytest.fixture
def tried(cluster: Cluster) -> Iterator[Description]:
    """A description of the test's cluster, whose role and database do not exist yet and go afterwards."""
    yield one_host(
        database=Database(name=NAME, role=ROLE, max_connections=100),
        timeouts=Timeouts(lock=3, query_wait=8, statement=17, worker=33, proxy=40),
    )
    cluster.drop_database(NAME)
    for role in (f"{ROLE}_monitor", ROLE):
        cluster.execute(f'DROP ROLE IF EXISTS "{role}"')


def _run(stack: Stack, cluster: Cluster, script: Path, *words: str) -> str:
    done = subprocess.run(
        [str(stack.binaries.postgres / "psql"), "-X", "-d", "postgres", *words, "-f", str(script)],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "PGHOST": "127.0.0.1", "PGPORT": str(cluster.port),
             "PGUSER": cluster.user, "PGPASSWORD": cluster.password},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def script(tried: Description, tmp_path: Path) -> Path:
    place = tmp_path / "roles.sql"
    place.write_text(_file(tried, "roles.sql"))
    return place


@pytest.fixture
def verifier_file(cluster: Cluster, tmp_path: Path) -> Path:
    """The verifier of a password, in a file whose name a shell would stumble over."""
    with closing(cluster.connect()) as conn:
        verifier = psycopg2.extensions.encrypt_password(PASSWORD, ROLE, conn, "scram-sha-256")
    place = tmp_path / "its $(verifier); 'file'"
    place.write_text(f"{verifier}\n")
    place.chmod(0o600)
    return place


def _as_role(cluster: Cluster):
    return psycopg2.connect(host="127.0.0.1", port=cluster.port, dbname=NAME, user=ROLE, password=PASSWORD)


def _ask(cluster: Cluster, statement: str) -> object:
    with closing(_as_role(cluster)) as conn, conn.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


@pytest.mark.parametrize("sample", SAMPLES)
def test_files_are_the_golden_ones(sample: str) -> None:
    assert_golden(f"postgres/{sample}", postgres_files.files(SAMPLES[sample], sized(SAMPLES[sample])))


def test_the_role_has_its_timeouts_after_the_first_run_and_after_the_second(
    stack: Stack, cluster: Cluster, script: Path, verifier_file: Path
) -> None:
    for _ in range(2):
        assert _run(stack, cluster, script, "-v", f"verifier_file={verifier_file}") == ""
        shown = {name: _ask(cluster, f"SHOW {name}") for name in
                 ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")}  # fmt: skip
        assert list(shown.values()) == ["17s", "3s", "33s"]
    assert _run(stack, cluster, script) == ""  # without the verifier the password stays
    assert _ask(cluster, "SELECT current_user") == ROLE
    assert cluster.verifier(ROLE) == verifier_file.read_text().strip()


def test_the_role_may_do_what_an_app_does_and_no_more(
    stack: Stack, cluster: Cluster, tried: Description, script: Path, verifier_file: Path
) -> None:
    _run(stack, cluster, script, "-v", f"verifier_file={verifier_file}")
    ((superuser, makes_dbs, makes_roles, replicates, bypasses, limit),) = cluster.execute(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolconnlimit "
        "FROM pg_roles WHERE rolname = %s", (ROLE,),
    )  # fmt: skip
    assert not (superuser or makes_dbs or makes_roles or replicates or bypasses)
    assert limit == sized(tried).server_connections + tried.database.direct
    with closing(_as_role(cluster)) as conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE things (id serial); INSERT INTO things DEFAULT VALUES")
        conn.commit()
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("SELECT * FROM pg_authid")
    cluster.create_role("stranger", "stranger")
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        psycopg2.connect(cluster.dsn(NAME, "stranger"))
    cluster.execute("DROP ROLE stranger")
    cluster.execute(f"""ALTER ROLE "{ROLE}_monitor" PASSWORD 'watch'""")
    watching = psycopg2.connect(
        host="127.0.0.1", port=cluster.port, dbname=NAME, user=f"{ROLE}_monitor", password="watch"
    )
    with closing(watching), watching.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_statements")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("SELECT * FROM things")


def test_a_run_that_was_interrupted_is_finished_by_the_next_one(
    stack: Stack, cluster: Cluster, script: Path
) -> None:
    """It ends between the making of the database and its rights."""
    head = script.with_name("head.sql")
    head.write_text(script.read_text().partition("SELECT NOT datallowconn")[0])
    _run(stack, cluster, head)
    _run(stack, cluster, script)
    ((allowed, everybody),) = cluster.execute(
        "SELECT datallowconn, has_database_privilege('public', oid, 'CONNECT') "
        "FROM pg_database WHERE datname = %s",
        (NAME,),
    )
    assert (allowed, everybody) == (True, False)


def test_a_database_that_was_there_keeps_the_rights_of_others(
    stack: Stack, cluster: Cluster, script: Path
) -> None:
    cluster.create_role(ROLE, PASSWORD)
    cluster.create_database(NAME, ROLE)
    _run(stack, cluster, script)
    ((everybody,),) = cluster.execute("SELECT has_database_privilege('public', %s, 'CONNECT')", (NAME,))
    assert everybody


def test_no_password_and_no_verifier_is_in_the_log(
    stack: Stack, cluster: Cluster, script: Path, verifier_file: Path
) -> None:
    cluster.execute("ALTER SYSTEM SET log_statement = 'all'")
    cluster.execute("SELECT pg_reload_conf()")
    try:
        _run(stack, cluster, script, "-v", f"verifier_file={verifier_file}")
    finally:
        cluster.execute("ALTER SYSTEM RESET log_statement")
        cluster.execute("SELECT pg_reload_conf()")
    log = (stack.run.logs / "postgres.log").read_text(errors="replace")
    assert "SET log_statement" in log
    assert verifier_file.read_text().strip()[-20:] not in log


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    """A PostgreSQL for settings that need a restart."""
    with pytest.MonkeyPatch.context() as patch, short_state() as folder:
        patch.setenv("HARDEN_STATE", str(folder))
        with Stack() as stack:
            yield stack.postgres()


def test_a_server_starts_with_the_settings_and_shows_them(own_cluster: Cluster) -> None:
    version = int(own_cluster.execute("SHOW server_version_num")[0][0]) // 10_000
    description = three_hosts(database=replace(three_hosts().database, version=version, max_connections=173))
    text = _file(description, "50-web-shop.conf")
    data = own_cluster._folder / "data" / "postgresql.conf"
    with data.open("a") as stream:
        stream.write(text.replace("listen_addresses = '*'", ""))
    for name in ("max_connections", "shared_preload_libraries", "pg_stat_statements.track",
                 "pg_stat_statements.track_utility", "password_encryption"):  # fmt: skip
        own_cluster._settings.pop(name)  # those of the command line would win
    own_cluster.restart()
    wanted = dict(re.findall(r"^([a-z_.]+) = '?(.*?)'?$", text, re.MULTILINE))
    del wanted["listen_addresses"]
    shown = {name: own_cluster.execute(f"SHOW {name}")[0][0] for name in wanted}
    # Of a connection over TCP the system tells what holds, without units.
    same = {"2000ms": "2s", "15s": "15", "30s": "30000"}
    wanted["tcp_keepalives_interval"] = wanted["tcp_keepalives_interval"].rstrip("s")
    assert {name: same.get(value, value) for name, value in wanted.items()} == shown


@pytest.mark.parametrize("description", [
    *SAMPLES.values(), one_host(pgbouncer=Bouncer(auth="query")),
    three_hosts(database=Database(name="shop", role="shop", host="db", max_connections=200)),
])  # fmt: skip
def test_postgresql_reads_each_login_line(own_cluster: Cluster, description: Description) -> None:
    hba = own_cluster._folder / "data" / "pg_hba.conf"
    before = hba.read_text()
    text = _file(description, "pg_hba.conf")
    try:
        hba.write_text(text + before)
        rows = own_cluster.execute("SELECT type, database, error FROM pg_hba_file_rules")
    finally:
        hba.write_text(before)
    ours = [line for line in text.splitlines() if line.startswith(("local", "host"))]
    problems = {row[2] for row in rows} - {None}
    assert problems <= {"hostssl record cannot match because SSL is disabled"}  # of this server
    assert [row[0] for row in rows[: len(ours)]] == [line.split()[0] for line in ours]
    assert all(row[1] == [description.database.name] for row in rows[: len(ours)])


def test_reserved_connections_are_named_where_the_server_has_them() -> None:
    older, newer = (one_host(database=Database(name="a", role="a", version=version)) for version in (15, 16))
    assert "\nreserved_connections" not in _file(older, "50-shop.conf")
    assert "\nreserved_connections = 0" in _file(newer, "50-shop.conf")
    assert "client_connection_check" not in _file(
        one_host(database=Database(name="a", role="a", version=13)), "50-shop.conf"
    )


def test_the_server_listens_only_where_others_need_it() -> None:
    assert "listen_addresses" not in _file(one_host(), "50-shop.conf")
    assert "listen_addresses" not in _file(beside_database(), "50-shop.conf")
    assert "listen_addresses" in _file(three_hosts(), "50-web-shop.conf")


def test_a_role_without_room_for_its_monitor_is_refused() -> None:
    with pytest.raises(InputError, match="give it 55 at most"):
        postgres_files.monitor_role(one_host(database=Database(name="a", role="r" * 56)))


names = st.text(max_size=20) | st.sampled_from(
    [f"shop{end}" for end in ("\n", "'", '"', "\\", ";", "; DROP x", " all", "\n\\! id", ":x", "%", "$$", "#")]
)


@settings(deadline=None, max_examples=100)
@given(role=names, name=names, host=names, app=names)
def test_no_name_becomes_sql_a_command_of_psql_or_a_login_line(role: str, name: str, host: str, app: str) -> None:
    base = three_hosts()
    plan = sized(base)
    expected = [len(file.text.splitlines()) for file in postgres_files.files(base, plan)]
    tried = (
        (replace(base, database=replace(base.database, role=role)), role, ROLE_PATTERN),
        (replace(base, database=replace(base.database, name=name)), name, ROLE_PATTERN),
        (replace(base, hosts=replace(base.hosts, app=(host, *base.hosts.app[1:]))), host, HOST),
        (replace(base, app=replace(base.app, name=app)), app, NAME_PATTERN),
    )
    for description, value, pattern in tried:
        try:
            files = postgres_files.files(description, plan)
        except InputError:
            continue
        assert [len(file.text.splitlines()) for file in files] == expected
        assert pattern.fullmatch(value) or ipaddress.ip_network(value)


def test_lookups_are_let_in_as_they_come() -> None:
    """By a socket as the account that it is, over a network with a password and from the app's hosts alone."""
    query = Bouncer(version="1.24.1", auth="query")
    lookup = ("web-shop-pgbouncer", "shop-pgbouncer")

    def lines(description: Description) -> list[str]:
        text = _file(description, "/pg_hba.conf")
        return [line for line in text.splitlines() if any(f'"{role}"' in line for role in lookup)]

    beside = beside_database(pgbouncer=replace(query, place="database"))
    for near in (one_host(pgbouncer=query), beside):
        assert lines(near) == ['local "shop" "shop-pgbouncer" peer']
    assert lines(three_hosts(pgbouncer=query)) == [
        f'hostssl "shop" "web-shop-pgbouncer" 10.0.0.{number}/32 scram-sha-256' for number in (11, 12, 13)
    ]
    assert "host" not in _file(beside, "/pg_hba.conf").partition("METHOD")[2]
    assert "\nlisten_addresses" not in _file(beside, "50-shop.conf")
