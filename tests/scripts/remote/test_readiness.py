"""What a host lacks, from what it says of itself."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from scripts.errors import CommandError
from scripts.remote.connection import Connection
from scripts.remote.readiness import ready

FINE = "uid=1000\napt=yes\nsystemd=yes\npython=3.11\njinja2=yes\nsudo=yes\n"


def _host(monkeypatch: pytest.MonkeyPatch, says: str) -> Connection:
    def run(self: Connection, command: str, timeout: float = 60.0) -> Any:
        return subprocess.CompletedProcess(command, 0, says.encode(), b"")

    monkeypatch.setattr(Connection, "run", run)
    return Connection("web1", [])


def test_a_debian_with_sudo_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    remote = ready(_host(monkeypatch, FINE), needs_jinja2=True)
    assert remote.command("cat", "a file") == "sudo -n -- cat 'a file'"


def test_root_needs_no_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    says = FINE.replace("uid=1000", "uid=0").replace("sudo=yes\n", "")
    assert ready(_host(monkeypatch, says), needs_jinja2=True).command("true") == "true"


@pytest.mark.parametrize(
    ("without", "instead", "why"),
    [
        ("sudo=yes", "sudo=sudo: a password is required", "sudo on web1 says 'sudo: a password is required'"),
        ("sudo=yes\n", "", "web1 has no sudo and you are not root there; use --ssh root@..."),
        ("apt=yes\n", "", "web1 has no apt-get; the kit deploys to Debian 12"),
        ("systemd=yes\n", "", "web1 does not run systemd; the kit deploys to Debian 12"),
        ("python=3.11\n", "", "web1 has no /usr/bin/python3; there: apt-get install python3"),
        ("python=3.11", "python=3.9", "web1 has Python 3.9, Debian 12 has 3.11; the kit needs that or newer"),
        ("jinja2=yes\n", "", "web1 has no python3-jinja2, which harden install brings; run that first"),
    ],
)  # fmt: skip
def test_what_is_missing_is_one_line_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch, without: str, instead: str, why: str
) -> None:
    assert without in FINE
    with pytest.raises(CommandError) as caught:
        ready(_host(monkeypatch, FINE.replace(without, instead)), needs_jinja2=True)
    assert str(caught.value).startswith(why)
    assert "\n" not in str(caught.value)


def test_an_install_brings_jinja2_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ready(_host(monkeypatch, FINE.replace("jinja2=yes\n", "")), needs_jinja2=False)
