"""`--ssh`: install, release and all the rest from here, by a real sshd and sudo, on a host that starts empty."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import deployed, empty, processes
from .deployed import NAME, ROOT, Service
from .host import Host
from .lab import Lab

LAUNCH = (sys.executable, str(ROOT / "scripts/launch.py"))
LEFT = "find /var/tmp /run -maxdepth 1 -name 'harden-*'"
SUDO = "deploy ALL=(ALL) NOPASSWD: ALL\n"
# A migration that says that it is under way, and takes its time.
SLOW = "touch /tmp/migrating; sleep 8"


class Here:
    """This machine, on the network of a host that lets `deploy` in."""

    def __init__(self, host: Host, folder: Path, repository: Path) -> None:
        self.host = host
        self.folder = folder
        self.repository = repository
        self.service = Service(host)

    def command(self, *words: str, user: str = "deploy") -> list[str]:
        """Return the command that runs a verb on the host from here."""
        ssh = ["--ssh", f"{user}@{self.host.name}", f"--ssh-option=-F {self.folder}/config"]
        return self.host.lab.command(*LAUNCH, *words, *ssh)

    def harden(self, *words: str, user: str = "deploy") -> subprocess.CompletedProcess[str]:
        """Run a verb; look at its exit code."""
        return subprocess.run(self.command(*words, user=user), capture_output=True, text=True, timeout=600)

    def must(self, *words: str) -> str:
        """Run a verb that has to succeed; returns what it said."""
        done = self.harden(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def release(self, mark: str, *words: str) -> tuple[str, ...]:
        """Return the verb that releases the repository, marked."""
        (self.repository / "VERSION").write_text(f"{mark}\n")
        return ("release", str(self.repository), "--wheels", str(self.folder / "wheels"), *words)


@pytest.fixture(scope="module")
def here(empty_lab: Lab, app_wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    (host,) = empty_lab.boot("far")
    yield _here(host, app_wheels, tmp_path_factory.mktemp("remote"))
    host.destroy()


def _here(host: Host, app_wheels: Path, folder: Path, **lines: str) -> Here:
    repository = folder / "shop"
    shutil.copytree(Path(__file__).with_name("shop_repository"), repository)
    for name in ("schema.sql", "functions.sql"):
        shutil.copy(ROOT / "backend/shop" / name, repository)
    (repository / "MODE").write_text(f"{deployed.GOES_WELL}\n")
    (repository / "harden.toml").write_text(deployed.TOML.format(**{**deployed.PLAIN, **lines}))
    shutil.copytree(app_wheels, folder / "wheels")
    empty.give_sources(host, app_wheels)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    (folder / "config").write_text(
        f"Host *\n  IdentityFile {folder}/key\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known_hosts\n"
        "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
    )
    _let_in(host, folder)
    return Here(host, folder, repository)


def _let_in(host: Host, folder: Path) -> None:
    host.shell("ssh-keygen -A; useradd --create-home --shell /bin/bash deploy; useradd --create-home guest; "
               "usermod --password '*' deploy; usermod --password '*' guest")  # fmt: skip
    key = (folder / "key.pub").read_text()
    for user in ("deploy", "guest"):
        host.write(f"/home/{user}/.ssh/authorized_keys", key)
        host.shell(f"chown -R {user} /home/{user}/.ssh; chmod 700 /home/{user}/.ssh")
    host.write("/etc/sudoers.d/deploy", SUDO, 0o440)
    host.shell("systemctl enable --now ssh")
    host.wait_port(22)
    known = host.read("/etc/ssh/ssh_host_ed25519_key.pub").split()
    with (folder / "known_hosts").open("a") as names:
        names.write(f"{host.name} {known[0]} {known[1]}\n")


@pytest.fixture
def shop(here: Here) -> Here:
    """The shop, installed and released from here."""
    if not here.service.links() if _is_installed(here) else True:
        here.must("install", str(here.repository / "harden.toml"))
        here.must(*here.release("first"))
    return here


def _is_installed(here: Here) -> bool:
    return here.host.run("test", "-d", f"/opt/{NAME}", check=False).returncode == 0


def test_a_user_without_sudo_is_told_so_and_nothing_is_left(here: Here) -> None:
    refused = here.harden("install", str(here.repository / "harden.toml"), user="guest")
    assert refused.returncode == 2
    assert "sudo on guest@far says 'sudo: a password is required'; allow this user NOPASSWD" in refused.stderr
    assert here.host.shell(LEFT) == ""


def test_a_dry_run_of_an_install_changes_nothing(here: Here) -> None:
    said = here.must("install", str(here.repository / "harden.toml"), "--dry-run")
    assert "would install" in said
    assert here.host.shell(LEFT) == ""


def test_install_and_release_from_here_bring_an_empty_host_up(shop: Here) -> None:
    assert shop.service.ask() == "first"
    assert shop.service.disorder() == []
    assert shop.host.shell(LEFT) == ""
    assert '"who": "deploy"' in shop.host.read(f"{deployed.STATE}/audit.jsonl")
    assert " serves" in shop.must("status")
    assert "shop@" in shop.must("logs", "--unit", "app", "--json") or shop.must("logs", "--unit", "app")
    assert shop.harden("release", "/nowhere").returncode == 2


def test_a_release_and_a_rollback_from_here(shop: Here) -> None:
    before = shop.service.ask()
    shop.must(*shop.release("second", "--message", "it's second"))
    assert shop.service.ask() == "second"
    assert "it's second" in shop.must("status")
    shop.must("rollback")
    assert shop.service.ask() == before


def test_no_secret_is_seen_on_the_way(shop: Here) -> None:
    """Neither in what is printed nor in the host's journal, where sshd and sudo write what was run."""
    values = [value for value in shop.service.secrets().values() if len(value) > 15]
    assert values
    said = shop.must("status") + shop.must("install", str(shop.repository / "harden.toml"))
    said += shop.host.shell("journalctl -q --no-pager _COMM=sudo + _COMM=sshd")
    assert not [value for value in values if value in said]


@pytest.mark.parametrize("how", ["ctrl-c", "hangup", "kill -9", "silence"])
def test_an_interrupted_release_is_undone_on_the_host(shop: Here, how: str) -> None:
    before = shop.service.ask()
    shop.host.shell("rm -f /tmp/migrating /var/tmp/migrating")
    words = shop.release("never", "--migrate", SLOW.replace("/tmp/", f"/var/lib/{NAME}/"))
    shop.host.shell(f"rm -f /var/lib/{NAME}/migrating")
    child = subprocess.Popen(
        shop.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        processes.wait(lambda: _exists(shop, f"/var/lib/{NAME}/migrating"), 120, "it never migrated")
        _interrupt(shop, child, how)
        said, _ = child.communicate(timeout=120)
    finally:
        shop.host.heal()
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    processes.wait(lambda: shop.host.shell(LEFT) == "", 120, "the transport left its folder")
    assert child.returncode != 0, said
    processes.wait(lambda: not shop.service.disorder(), 30, f"{shop.service.disorder()}: {said}")
    # A host that meets nothing but silence hears of no end: it goes on, and what it was told gets done.
    assert shop.service.ask() in ((before, "never") if how == "silence" else (before,))
    shop.must("status")


def _exists(here: Here, path: str) -> bool:
    return here.host.run("test", "-e", path, check=False).returncode == 0


def _interrupt(here: Here, child: subprocess.Popen[str], how: str) -> None:
    if how == "silence":
        here.host.cut()
        time.sleep(30)  # until both ends have noticed: three questions without an answer
        return
    number = {"ctrl-c": signal.SIGINT, "hangup": signal.SIGHUP, "kill -9": signal.SIGKILL}[how]
    os.killpg(child.pid, number)  # ssh is in sessions of its own, as behind a terminal


def test_an_app_gets_its_secrets_from_the_databases_host_by_way_of_here(
    empty_host: Callable[[str], Host], app_wheels: Path, tmp_path: Path
) -> None:
    web, store = empty_host("web"), empty_host("store")
    lines = {"hosts": f'app = ["{web.address}"]\n', "database": f'host = "{store.address}"\n'}
    here = _here(web, app_wheels, tmp_path, **lines)
    empty.give_sources(store, app_wheels)
    _let_in(store, tmp_path)
    file = str(here.repository / "harden.toml")
    before = here.harden("install", file)
    assert before.returncode == 2
    assert "no DATABASE_URL is known" in before.stderr
    at_store = Here(store, tmp_path, here.repository)
    at_store.must("install", file, "--as", "database")
    said = here.must("install", file, "--secrets-from", "deploy@store")
    said += here.must(*here.release("across"))
    assert here.service.ask() == "across"
    assert here.service.secrets() == at_store.service.secrets()
    assert not [value for value in here.service.secrets().values() if len(value) > 15 and value in said]
    assert (web.shell(LEFT), store.shell(LEFT)) == ("", "")
