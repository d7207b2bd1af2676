"""Logging in with a real ssh client and a real sshd, and every way in which that fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.errors import CommandError
from scripts.remote.connection import Connection
from scripts.remote.readiness import ready

from .conftest import Server


def _refused(host: str, options: list[str]) -> str:
    with pytest.raises(CommandError) as caught, Connection(host, options):
        raise AssertionError("it let us in")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_command_runs_and_its_output_and_code_come_back(sshd: Server) -> None:
    with sshd.connection() as connection:
        done = connection.run("echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")


def test_all_commands_share_one_login(sshd: Server) -> None:
    log = sshd.folder / "log"
    with sshd.connection() as connection:
        before = log.read_text(errors="replace").count("Accepted publickey")
        for _ in range(3):
            connection.run("true")
        assert log.read_text(errors="replace").count("Accepted publickey") == before > 0


def test_nothing_is_left_of_it_here(sshd: Server) -> None:
    with sshd.connection() as connection:
        folder = connection._folder
        assert folder is not None
        assert folder.stat().st_mode & 0o777 == 0o700
        connection.run("true")
    assert not folder.exists()


def test_an_unknown_host_key_is_no_question_but_an_error(sshd: Server) -> None:
    said = _refused("web1", [*sshd.options, "-o", "UserKnownHostsFile=/dev/null"])
    assert said == "the host key of web1 is not known; look at it once: ssh web1"


def test_another_host_key_than_before_is_said_to_be_that(sshd: Server, tmp_path: Path) -> None:
    other, known = tmp_path / "other", tmp_path / "known"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    known.write_text(f"[127.0.0.1]:{sshd.port} {other.with_suffix('.pub').read_text()}")
    said = _refused("web1", ["-o", f"UserKnownHostsFile={known}", *sshd.options])
    assert said.startswith("web1 has another host key than before; ask who runs it, then ssh-keygen -R web1")


def test_a_key_that_is_not_let_in_is_said_to_be_that(sshd: Server, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    config = (sshd.folder / "config").read_text().replace(f"{sshd.folder}/user_key", str(key))
    (tmp_path / "config").write_text(config)
    said = _refused("root@web1", ["-F", str(tmp_path / "config")])
    assert said.startswith("root@web1 does not let you in (")
    assert "publickey" in said
    assert said.endswith("try ssh root@web1, then ssh-add, or name the key: --ssh-option='-i FILE'")


def test_a_port_without_sshd_is_said_to_be_that(sshd: Server) -> None:
    assert _refused("web1", ["-p", "1", *sshd.options]).startswith("web1 answers, but not to ssh; is sshd running")


def test_a_name_that_nobody_knows_is_said_to_be_that(sshd: Server) -> None:
    said = _refused("deploy@no-such-host.invalid", sshd.options)
    assert said.startswith("no-such-host.invalid is no host that can be found")


def test_a_shell_that_says_something_first_does_no_harm(sshd: Server) -> None:
    """A banner of a login shell comes before everything else."""
    with Connection("web1", ["-o", "RemoteCommand=none", *sshd.options]) as connection:
        assert connection.run("true").returncode == 0


def test_a_machine_without_systemd_is_refused_before_anything_is_sent(sshd: Server) -> None:
    if Path("/run/systemd/system").exists():
        pytest.skip("this machine runs systemd")
    with sshd.connection() as connection, pytest.raises(CommandError, match="web1 does not run systemd"):
        ready(connection, needs_jinja2=False)
