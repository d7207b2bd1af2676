"""A PostgreSQL with TLS and a self-made certificate, and PgBouncers from rendered files before it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from deploy.description import App, Bouncer, Database, Description, Hosts
from deploy.files import File
from deploy.pgbouncer_files import files
from deploy.pgbouncer_process import SOCKETS
from deploy.plan_sizes import sizes
from scripts.stack import Stack
from scripts.stack.child import Child, as_user, clean_environment, unprivileged_user, user_ids
from scripts.stack.ports import free_port
from scripts.stack.postgres import Cluster

APP = "shop"
LOOKUP = "shop-pgbouncer"
SERVER_NAME = "db.example.com"  # what rendered files say; `localhost` where they are tried
ACCOUNT = unprivileged_user() or pwd.getpwuid(os.geteuid()).pw_name


def make_certificate(folder: Path) -> None:
    """Write server.crt and server.key for `localhost`, for the servers' user alone."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (apt-get install openssl)")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(folder / "server.key"), "-out", str(folder / "server.crt")],
        check=True, capture_output=True,
    )  # fmt: skip
    for name in ("server.key", "server.crt"):
        os.chown(folder / name, *user_ids(unprivileged_user()))
        (folder / name).chmod(0o600)


@contextmanager
def server() -> Iterator[tuple[Stack, Cluster, Path]]:
    """Run PostgreSQL with TLS, a role and a database `app`, and peer for the role that looks verifiers up."""
    with Stack() as stack:
        tls = stack.run.path / "tls"
        tls.mkdir(mode=0o755)
        make_certificate(tls)
        cluster = stack.postgres(
            {"ssl": "on", "ssl_cert_file": str(tls / "server.crt"), "ssl_key_file": str(tls / "server.key")}
        )
        data = stack.run.path / "postgres" / "data"
        hba = data / "pg_hba.conf"
        hba.write_text(f'local all "{LOOKUP}" peer map=here\n{hba.read_text()}')
        (data / "pg_ident.conf").write_text(f'here {ACCOUNT} "{LOOKUP}"\n')
        cluster.execute("SELECT pg_reload_conf()")
        yield stack, cluster, tls


def described(cluster: Cluster, stack: Stack, over: str, **bouncer: Any) -> Description:
    """Return a description of the running server, reached over "socket", "tcp" or "tls"."""
    version = stack.binaries.pgbouncer_version
    if version is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    database = Database("app", "app", host=str(cluster.socket_folder), port=cluster.port)
    if over != "socket":
        database = replace(database, host=SERVER_NAME, sslmode="disable")
    if over == "tls":
        database = replace(database, sslmode="verify-full", ca="/etc/shop/pgbouncer/server.crt")
    return Description(
        app=App(APP, "shop:app"), database=database, hosts=Hosts(app=("127.0.0.1",)),
        pgbouncer=Bouncer(version=version, port=free_port(), **bouncer),
    )  # fmt: skip


@dataclass
class Running:
    """PgBouncers of a description.

    Attributes:
        description: as it was rendered.
        folder: where their files and sockets are.
        children: the processes.
        texts: the files by name, as they were placed.
    """

    description: Description
    folder: Path
    children: list[Child]
    texts: dict[str, str]

    def where(self, number: int = 1) -> dict[str, Any]:
        """Return how a client reaches them: one's socket, or their port."""
        ini = self.texts["pgbouncer-1.ini"]
        host = "localhost" if "\nlisten_addr" in ini else str(self.folder / "run" / str(number))
        authority = str(self.folder / "server.crt")
        return {"host": host, "port": self.description.pgbouncer.port, "sslrootcert": authority}

    def console(self, psql: Path, command: str, number: int = 1) -> subprocess.CompletedProcess[str]:
        """Run a command on a process's console, as the account that it runs as."""
        argv = [
            str(psql), "--no-psqlrc", "-At", "-h", str(self.folder / "run" / str(number)),
            "-p", str(self.description.pgbouncer.port), "-U", "pgbouncer", "pgbouncer", "-c", command,
        ]  # fmt: skip
        return subprocess.run(
            as_user(argv, unprivileged_user()), capture_output=True, text=True, cwd="/", timeout=30,
            env={"PATH": os.environ["PATH"]},
        )  # fmt: skip


@contextmanager
def running(
    stack: Stack, tls: Path, description: Description, verifiers: Mapping[str, str], lookup_password: str = ""
) -> Iterator[Running]:
    """Run PgBouncers from what is rendered for a description, but for where its files are."""
    folder = stack.run.path / f"bouncers-{description.pgbouncer.port}"
    owner = user_ids(unprivileged_user())
    rendered = files(description, sizes(description), verifiers, lookup_password)
    folder.mkdir(mode=0o755)
    (folder / "run").mkdir(mode=0o755)
    for name in ("server.crt", "server.key"):
        shutil.copy(tls / name, folder / name)
        os.chown(folder / name, *owner)
    (folder / "server.crt").chmod(0o644)
    sockets = str(stack.run.path / "sockets")
    texts = {file.path.rpartition("/")[2]: _placed(file, folder, sockets) for file in rendered}
    for name, text in texts.items():
        (folder / name).write_text(text)
        os.chown(folder / name, *owner)
        (folder / name).chmod(0o600)
    children: list[Child] = []
    try:
        for number in range(1, description.pgbouncer.processes + 1):
            children.append(_start(stack, folder, number, description.pgbouncer.port))
        yield Running(description, folder, children, texts)
    finally:
        for child in children:
            child.stop()


def _placed(file: File, folder: Path, sockets: str) -> str:
    text = file.text
    for written, real in (
        ("/etc/shop/pgbouncer", str(folder)), ("/run/shop-pgbouncer", str(folder / "run")),
        (SERVER_NAME, "localhost"), (SOCKETS, sockets), ("listen_addr = *", "listen_addr = 127.0.0.1"),
    ):  # fmt: skip
        text = text.replace(written, real)
    return text


def _start(stack: Stack, folder: Path, number: int, port: int) -> Child:
    sockets = folder / "run" / str(number)
    sockets.mkdir(mode=0o755)
    os.chown(sockets, *user_ids(unprivileged_user()))
    child = Child(
        f"bouncer-{port}-{number}", [str(stack.binaries.pgbouncer), str(folder / f"pgbouncer-{number}.ini")],
        stack.run, clean_environment(stack.run, {}), user=unprivileged_user(), stop_signal=signal.SIGQUIT,
        cwd=folder,
    )  # fmt: skip
    try:
        child.wait_until(lambda: child.says("process up"), 30)
    except BaseException:
        child.stop()
        raise
    return child
