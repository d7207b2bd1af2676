"""Migrations: what they are given, and the lock that real sessions of PostgreSQL hold."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

from deploy.description import Bouncer, Database
from deploy.host import env_file, migrating
from deploy.host.errors import HostError
from deploy.host.migration_lock import lock_key
from deploy.host.places import Places

from ..unit_samples import beside_database
from .fake_host import DESCRIPTION

PROGRAM = Path(migrating.__file__).with_name("migration_lock.py")
SECRETS = {"DATABASE_URL": "postgresql://shop:p%25w%40rd@/shop?host=/run/shop-pgbouncer/1&port=6432"}
RELEASE = "20260101T000000Z-00000001"


def locked(url: str, command: str, wait: float = 20) -> subprocess.Popen[str]:
    """Start the program that a release starts."""
    given = {"HARDEN_MIGRATE": command, "HARDEN_MIGRATE_LOCK": "a lock of this test",
             "HARDEN_MIGRATE_WAIT": str(wait), "DATABASE_URL": url}  # fmt: skip
    return subprocess.Popen(
        [sys.executable, str(PROGRAM)], env={**os.environ, **given}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_the_command_runs_in_a_shell_and_its_exit_code_is_ours(url: str) -> None:
    with locked(url, 'echo "$PATH" | grep -c / && exit 7') as child:
        said, _ = child.communicate(timeout=30)
    assert (child.returncode, said) == (7, "1\n")


def test_of_two_hosts_one_migrates_at_a_time(url: str, tmp_path: Path) -> None:
    """Each writes when it begins and ends; no beginning lies within another's."""
    log = tmp_path / "log"
    command = f"echo begin >>{log}; sleep 0.5; echo end >>{log}"
    children = [locked(url, command) for _ in range(3)]
    for child in children:
        with child:
            assert child.communicate(timeout=60)[0] in ("", "another host migrates; waiting\n")
        assert child.returncode == 0
    assert log.read_text().split() == ["begin", "end"] * 3


def test_who_waits_too_long_runs_nothing(url: str, tmp_path: Path) -> None:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", (lock_key("a lock of this test"),))
        with locked(url, f"touch {tmp_path}/ran", wait=0.6) as child:
            said, _ = child.communicate(timeout=30)
    connection.close()
    assert child.returncode == 75
    assert said.splitlines() == [
        "another host migrates; waiting", "another host still migrates; try again when it is done"
    ]  # fmt: skip
    assert not (tmp_path / "ran").exists()


def test_a_killed_one_leaves_no_lock(url: str) -> None:
    with locked(url, "echo go; exec sleep 600") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "go\n"
        child.kill()
        child.stdout.close()
    deadline = time.monotonic() + 20
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        while True:
            cursor.execute("select pg_try_advisory_lock(%s)", (lock_key("a lock of this test"),))
            if cursor.fetchone() == (True,):
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
    connection.close()


def test_without_a_server_it_says_so_in_a_line() -> None:
    with locked("postgresql://a:b@127.0.0.1:1/x?connect_timeout=2", "true") as child:
        said, _ = child.communicate(timeout=30)
    assert child.returncode == 75
    assert said.startswith("no connection to PostgreSQL: ")
    assert said.count("\n") == 1


def test_it_goes_past_pgbouncer_with_the_same_password() -> None:
    assert migrating.direct_url(DESCRIPTION, SECRETS) == (
        "postgresql://shop:p%25w%40rd@/shop?host=/run/postgresql&port=5432&connect_timeout=2"
    )
    elsewhere = replace(
        DESCRIPTION, database=Database(name="shop", role="shop", host="10.0.0.5"), pgbouncer=Bouncer()
    )
    assert migrating.direct_url(elsewhere, SECRETS).startswith("postgresql://shop:p%25w%40rd@10.0.0.5:5432/shop?")


@pytest.mark.parametrize("url", ["", "postgresql:///shop", "host=/run password=word", "postgresql://[::1/"])
def test_without_a_password_it_is_refused_before_anything_is_built(url: str) -> None:
    with pytest.raises(HostError, match="no DATABASE_URL with a password"):
        migrating.direct_url(DESCRIPTION, {"DATABASE_URL": url})


class Ran:
    """Stands for systemd-run; keeps what it was given."""

    def __init__(self, places: Places, code: int = 0) -> None:
        self.places, self.code = places, code
        self.argv: tuple[str, ...] = ()
        self.variables: dict[str, str] = {}

    def __call__(self, *argv: str, **_: object) -> subprocess.CompletedProcess[str]:
        self.argv = argv
        self.variables = env_file.read(self.places.state / "migrate.env")
        said = "".join(f"line {number}\n" for number in range(30))
        return subprocess.CompletedProcess(argv, self.code, said, "")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    made = Places("shop", tmp_path)
    made.state.mkdir(parents=True)
    monkeypatch.setattr(migrating, "systemctl", lambda *_, **__: None)
    return made


def test_secrets_and_the_command_go_by_a_file_that_is_gone_afterwards(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = Ran(places)
    monkeypatch.setattr(migrating, "run", ran)
    migrating.migrate(places, DESCRIPTION, RELEASE, 'flask db upgrade "$HOME" %i', SECRETS)
    assert "p%25w%40rd" not in " ".join(ran.argv)
    assert ran.variables["HARDEN_MIGRATE"] == 'flask db upgrade "$HOME" %i'
    assert ran.variables["DATABASE_URL"].endswith("host=/run/postgresql&port=5432&connect_timeout=2")
    assert ran.variables["PATH"].startswith(f"{places.release(RELEASE)}/venv/bin:")
    assert "--property=User=shop" in ran.argv
    assert not (places.state / "migrate.env").exists()


def test_what_fails_is_told_with_its_last_lines(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "run", Ran(places, code=3))
    with pytest.raises(HostError, match="the migration ended with 3: alembic upgrade head") as caught:
        migrating.migrate(places, DESCRIPTION, RELEASE, "alembic upgrade head", SECRETS)
    assert caught.value.tail == tuple(f"line {number}" for number in range(15, 30))
    assert not (places.state / "migrate.env").exists()


def test_where_pgbouncer_alone_is_in_the_network_it_goes_through_its_session_entry() -> None:
    given = {"DATABASE_URL": "postgresql://shop:p%25w@db.example:6432/shop"}
    found = psycopg2.extensions.parse_dsn(migrating.direct_url(beside_database(), given))
    wanted = {"host": "db.example", "port": "6432", "dbname": "shop_session", "password": "p%w"}
    assert {name: found[name] for name in wanted} == wanted
