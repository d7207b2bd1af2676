"""The throw-away cluster: a stolen port, restarts, roles and names that need care, SQL files and dumps."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from scripts.errors import CommandError
from scripts.stack import Stack, postgres
from scripts.stack.child import as_user, clean_environment, unprivileged_user
from scripts.stack.postgres import Cluster

HOSTILE = ("a b/qu'ote", 'dou"ble %41', "semi;colon\\ $x{y}", "grün?#", "n" * 63)


@pytest.fixture
def loaded(cluster: Cluster) -> Iterator[str]:
    """The name of a database to load into."""
    cluster.create_database("loaded", cluster.user)
    yield "loaded"
    cluster.drop_database("loaded")


def test_a_port_taken_between_choosing_and_binding_is_survived(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By somebody who accepts and says nothing, which would hold a client for ever."""
    choose, chosen = postgres.free_port, []
    with socket.create_server(("127.0.0.1", 0)) as thief, Stack() as stack:

        def stolen_once() -> int:
            chosen.append(thief.getsockname()[1] if not chosen else choose())
            return int(chosen[-1])

        monkeypatch.setattr(postgres, "free_port", stolen_once)
        cluster = stack.postgres()
        assert cluster.port == chosen[1] != chosen[0]
        assert cluster.execute("SELECT 1") == [(1,)]
        cluster.execute("CREATE TABLE kept (id int)")
        cluster.restart()
        assert cluster.port == chosen[1]
        assert cluster.execute("SELECT count(*) FROM kept") == [(0,)]
        cluster.kill()
        cluster.start()
        assert cluster.execute("SELECT 1") == [(1,)]


def test_a_setting_that_it_refuses_is_reported_with_its_own_words(state: Path) -> None:
    with pytest.raises(CommandError, match=r"postgres ended with code 1: .*nonsense") as caught, Stack() as stack:
        stack.postgres({"nonsense": "1"})
    assert caught.value.log is not None
    assert "nonsense" in caught.value.log.read_text()


def test_initdb_that_fails_says_why_and_keeps_its_log(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cluster, "user", "pg_reserved")
    with pytest.raises(CommandError, match=r"initdb failed: .*pg_reserved") as caught, Stack() as stack:
        stack.postgres()
    assert caught.value.log is not None
    assert caught.value.log.exists()


def test_statements_are_counted(cluster: Cluster, database: str) -> None:
    cluster.execute("SELECT 41 + 1", dbname=database)
    counted = cluster.execute(
        "SELECT sum(calls) FROM pg_stat_statements WHERE query LIKE 'SELECT $1 + %'", dbname=database
    )
    assert counted[0][0] >= 1


@pytest.mark.parametrize("name", HOSTILE)
def test_names_and_passwords_of_any_characters_get_through_url_and_dsn(cluster: Cluster, name: str) -> None:
    password = name[::-1] + "@:/?#&=%20"
    cluster.create_role(name, password)
    cluster.create_database(name, name)
    try:
        for place in (cluster.url(name, name), cluster.dsn(name, name)):
            with closing(psycopg2.connect(place)) as conn, conn.cursor() as cursor:
                cursor.execute("SELECT current_user, current_database()")
                assert cursor.fetchone() == (name, name)
    finally:
        cluster.drop_database(name)


def test_verifier_is_what_the_server_holds(cluster: Cluster) -> None:
    verifier = cluster.create_role("verified")
    assert verifier.startswith("SCRAM-SHA-256$4096:")
    assert cluster.verifier("verified") == verifier


def test_a_wrong_password_is_refused_on_socket_and_loopback(cluster: Cluster) -> None:
    for host in (str(cluster.socket_folder), "127.0.0.1"):
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(
                host=host, port=cluster.port, user=cluster.user, password="x", dbname="postgres"
            ).close()


def test_an_sql_file_is_loaded_whole(cluster: Cluster, loaded: str, tmp_path: Path) -> None:
    file = tmp_path / "schema with space.sql"
    file.write_text("CREATE ROLE by_hand;\nCREATE TABLE t (name text);\nALTER TABLE t OWNER TO by_hand;\n"
                    "INSERT INTO t VALUES ('grün');\n")  # fmt: skip
    cluster.load(file, loaded)
    assert cluster.execute("SELECT name FROM t", dbname=loaded) == [("grün",)]


def test_a_file_that_fails_is_reported_with_its_line(cluster: Cluster, loaded: str, tmp_path: Path) -> None:
    file = tmp_path / "schema.sql"
    file.write_text("CREATE TABLE t (id int);\n\nCREATE TABLE u (id itn);\nCREATE TABLE v (id int);\n")
    with pytest.raises(CommandError, match=r'schema.sql:3: ERROR:  type "itn" does not exist$'):
        cluster.load(file, loaded)
    assert cluster.execute("SELECT to_regclass('v')", dbname=loaded) == [(None,)]


def test_a_file_in_another_encoding_is_one_line(cluster: Cluster, loaded: str, tmp_path: Path) -> None:
    file = tmp_path / "schema.sql"
    file.write_bytes("CREATE TABLE t (name text); INSERT INTO t VALUES ('grün');\n".encode("latin-1"))
    with pytest.raises(CommandError, match="invalid byte sequence") as caught:
        cluster.load(file, loaded)
    assert "\n" not in caught.value.line()


def test_a_plain_dump_of_somebody_elses_database_is_loaded(
    cluster: Cluster, loaded: str, tmp_path: Path
) -> None:
    """pg_dump names owners and never makes them: ALTER TABLE ... OWNER TO a role that is not there."""
    for role in ("dump owner", "dump_reader"):
        cluster.create_role(role)
    cluster.create_database("origin", "dump owner")
    cluster.execute("CREATE TABLE t (id int PRIMARY KEY, name text)", dbname="origin")
    cluster.execute('ALTER TABLE t OWNER TO "dump owner"', dbname="origin")
    cluster.execute("GRANT SELECT ON t TO dump_reader", dbname="origin")
    cluster.execute("INSERT INTO t VALUES (1, 'one\ttwo\nthree')", dbname="origin")
    dump = tmp_path / "dump.sql"
    dump.write_text(_pg_dump(cluster, "origin"))
    cluster.drop_database("origin")
    for role in ("dump owner", "dump_reader"):
        cluster.execute(f'DROP ROLE "{role}"')
    cluster.load(dump, loaded)
    assert cluster.execute("SELECT * FROM t", dbname=loaded) == [(1, "one\ttwo\nthree")]
    assert cluster.execute("SELECT tableowner FROM pg_tables WHERE tablename = 't'", dbname=loaded) == [
        ("dump owner",)
    ]


def test_a_dump_in_another_format_is_refused_with_psqls_own_advice(
    cluster: Cluster, loaded: str, tmp_path: Path
) -> None:
    dump = tmp_path / "dump.custom"
    dump.write_bytes(_pg_dump(cluster, loaded, "--format=custom").encode("latin-1"))
    with pytest.raises(CommandError, match=r"dump.custom could not be loaded: .*custom-format"):
        cluster.load(dump, loaded)


def test_a_dump_of_a_newer_server_says_so(cluster: Cluster, loaded: str, tmp_path: Path) -> None:
    """PostgreSQL 17's begins with SET transaction_timeout; this stands for any such name."""
    dump = tmp_path / "dump.sql"
    dump.write_text("--\n-- PostgreSQL database dump\n--\n\nSET timeout_of_tomorrow = 0;\n")
    with pytest.raises(CommandError, match=r"dump.sql:5: ERROR: .*; was it dumped from a newer PostgreSQL"):
        cluster.load(dump, loaded)


def _pg_dump(cluster: Cluster, dbname: str, *options: str) -> str:
    program = cluster._bin / "pg_dump"
    if not program.exists():
        pytest.skip(f"there is no {program}")
    done = subprocess.run(
        [str(program), *options, "--dbname", cluster.dsn(dbname)], capture_output=True, check=True,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    return done.stdout.decode("latin-1" if options else "utf-8")


def test_servers_get_little_of_our_environment(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    for name in ("PGPASSWORD", "GUNICORN_CMD_ARGS", "WERKZEUG_RUN_MAIN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret")
    with Stack() as stack:
        environ = clean_environment(stack.run, {"A": "b"})
    assert "secret" not in environ.values()
    assert environ["A"] == "b"


def test_a_command_for_another_user_drops_root_and_dies_with_us() -> None:
    command = as_user(["true"], unprivileged_user())
    assert command[-1] == "true"
    assert "--pdeathsig" in command
    assert ("--reuid" in command) == (os.geteuid() == 0)
