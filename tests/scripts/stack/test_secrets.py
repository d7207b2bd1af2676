"""No password can be seen by another user of the machine; all servers of `up` run for these tests."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.stack.child import unprivileged_user, user_ids
from scripts.stack.runfolder import MARK

from .running import Harden, descendants, get, harden, runs, short_state
from .test_stack import HELLO


@dataclass
class Everything:
    """A run with Gunicorn, PgBouncer and PostgreSQL in it, and each of its processes."""

    harden: Harden
    run: Path
    pids: set[int]
    url: str

    def command(self, pid: int) -> bytes:
        return Path(f"/proc/{pid}/cmdline").read_bytes()

    def environ(self, pid: int) -> bytes:
        return Path(f"/proc/{pid}/environ").read_bytes()

    def is_app(self, pid: int) -> bool:
        return b"gunicorn" in self.command(pid)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(HELLO)
    (folder / "schema.sql").write_text("CREATE TABLE t (id int); SELECT rolpassword FROM pg_authid;")
    with (
        short_state() as state,
        harden(
            "up", f"{folder}/app.py:app", "--schema", folder / "schema.sql", "--pgbouncer", "transaction",
            "--workers", "1", state=state,
        ) as running,
    ):  # fmt: skip
        url = running.serving()
        get(url)
        (run,) = runs(state)
        yield Everything(running, run, descendants(running.process.pid), url)


@pytest.fixture(scope="module")
def password(everything: Everything) -> bytes:
    """The app's: the only one that leaves harden."""
    found = {
        variable.split(b":")[2].partition(b"@")[0]
        for pid in everything.pids
        for variable in everything.environ(pid).split(b"\0")
        if variable.startswith(b"DATABASE_URL=")
    }
    assert len(found) == 1
    return found.pop()


def test_no_command_line_holds_a_password(everything: Everything, password: bytes) -> None:
    for pid in everything.pids:
        assert password not in everything.command(pid)
        assert b"SCRAM" not in everything.command(pid)


def test_no_environment_but_the_apps_holds_a_password(everything: Everything, password: bytes) -> None:
    others = [pid for pid in everything.pids if not everything.is_app(pid)]
    assert len(others) >= 7
    for pid in others:
        assert password not in everything.environ(pid)


def test_no_log_holds_a_password_or_a_verifier(everything: Everything, password: bytes) -> None:
    logs = list(everything.run.rglob("*.log"))
    assert {log.name for log in logs} >= {"postgres.log", "pgbouncer.log", "gunicorn.log"}
    for log in logs:
        assert log.stat().st_size
        assert password not in log.read_bytes()
        assert b"SCRAM" not in log.read_bytes()
    assert password.decode() not in "\n".join(everything.harden.lines)


def test_others_can_read_no_file_of_a_run(everything: Everything) -> None:
    """Its random name protects nobody: PostgreSQL's command line tells it."""
    for place, folders, files in os.walk(everything.run):
        folders[:] = [name for name in folders if _mode(Path(place) / name) & stat.S_IXOTH]
        for name in files:
            path = Path(place) / name
            if stat.S_ISREG(path.lstat().st_mode) and _mode(path) & stat.S_IROTH:
                assert path.name == "owner.lock" and not path.stat().st_size, f"others can read {path}"


def _mode(path: Path) -> int:
    return path.lstat().st_mode


def test_pgbouncers_files_are_its_runners_alone(everything: Everything) -> None:
    for name in ("pgbouncer.ini", "userlist.txt"):
        path = everything.run / "pgbouncer" / name
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.stat().st_uid == user_ids(unprivileged_user())[0]


def test_databases_servers_never_run_as_root(everything: Everything) -> None:
    servers = [pid for pid in everything.pids if not everything.is_app(pid)]
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in servers}
    assert names == {"postgres", "pgbouncer"}
    for pid in servers:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        uids = next(line for line in status if line.startswith("Uid:")).split()[1:]
        assert "0" not in uids


def test_servers_carry_the_mark_of_their_run(everything: Everything) -> None:
    """By it the next run finds what a killed one left."""
    mark = f"{MARK}={everything.run}".encode()
    assert sum(mark in everything.environ(pid).split(b"\0") for pid in everything.pids) >= 4
