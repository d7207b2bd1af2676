"""A real sshd on this machine, with keys of its own, that lets root in as `web1`, `web2` and `web3`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

import pytest

from scripts.remote import readiness
from scripts.remote.connection import Connection
from scripts.remote.readiness import Remote
from scripts.stack.binaries import sshd_program

SERVER = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
"""
CLIENT = """
Host web1 web2 web3
    HostName 127.0.0.1
    Port {port}
    IdentityFile {folder}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
"""
# Wanted by each sshd of root's, and made at boot where systemd starts it. It stays, for another run may need it.
RUNTIME = Path("/run/sshd")


@dataclass(frozen=True)
class Server:
    """A running sshd.

    Attributes:
        folder: its keys and configurations.
        options: for ssh, with which its names are known.
    """

    folder: Path
    port: int

    @property
    def options(self) -> list[str]:
        return ["-F", str(self.folder / "config")]

    def connection(self, host: str = "web1") -> Connection:
        return Connection(host, self.options)


@pytest.fixture(scope="session")
def sshd() -> Iterator[Server]:
    """The server; skips where there is none, or no root that could run it."""
    program = sshd_program()
    if program is None or shutil.which("ssh") is None:
        pytest.skip("sshd is not installed (apt-get install openssh-server openssh-client)")
    if os.geteuid() != 0:
        pytest.skip("what --ssh does on a host it does as root; this is not root")
    with tempfile.TemporaryDirectory(prefix="harden-sshd-") as name:
        folder = Path(name)
        for key in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        RUNTIME.mkdir(mode=0o755, exist_ok=True)
        with _running(program, folder) as server:
            yield server


@contextmanager
def _running(program: Path, folder: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "sshd_config").write_text(SERVER.format(port=port, folder=folder))
    (folder / "config").write_text(CLIENT.format(port=port, folder=folder))
    key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program, "-D", "-e", "-f", folder / "sshd_config"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not _answers(port):
            assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)
        yield Server(folder, port)
    finally:
        server.terminate()
        server.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def remote(sshd: Server) -> Iterator[Remote]:
    """A host that is connected; whether it could run the kit is not asked."""
    with sshd.connection() as connection:
        yield Remote(connection, ())


@pytest.fixture
def no_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every host is ready: this machine need not run systemd."""
    monkeypatch.setattr(readiness, "ready", lambda connection, needs_jinja2: Remote(connection, ()))


@pytest.fixture
def kit() -> Callable[[str], IO[bytes]]:
    """A function that makes a bundle whose `harden` is a program of the test's."""
    return bundle_of


def bundle_of(program: str) -> IO[bytes]:
    """Return a tar whose kit/scripts/launch.py is a program."""
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w|gz") as tar:
        info = tarfile.TarInfo("kit/scripts/launch.py")
        info.size = len(program.encode())
        tar.addfile(info, BytesIO(program.encode()))
    return out
