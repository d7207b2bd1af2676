"""An empty host is empty, and what stands for the internet there works as the internet does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import empty, packages
from .host import Host
from .lab import Lab

OURS = ("nginx", "haproxy", "postgres", "psql", "pgbouncer", "pip3", "curl", "git", "gcc", "prometheus")
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -y -q python3-venv python3-jinja2"


def test_nothing_of_ours_is_there_until_apt_brings_it(empty_host: Callable[[str], Host], app_wheels: Path) -> None:
    host = empty_host("bare")
    assert host.shell(f"for each in {' '.join(OURS)}; do command -v $each; done; true") == ""
    assert host.run("python3", "-c", "import jinja2", check=False).returncode == 1
    assert host.run("python3", "-m", "venv", "/tmp/x", check=False).returncode == 1
    empty.give_sources(host, app_wheels)
    host.shell(f"apt-get -q update && {INSTALL}", timeout=200)
    host.run("python3", "-c", "import jinja2")
    host.shell("python3 -m venv /tmp/env && /tmp/env/bin/pip install -q flask && /tmp/env/bin/flask --version")
    empty.take_sources(host)
    gone = host.run("apt-get", "-q", "-y", "install", "nginx", check=False)
    assert gone.returncode == 100
    empty.return_sources(host)
    assert host.run("apt-get", "-q", "-y", "--download-only", "install", "nginx").returncode == 0


def test_the_index_has_what_apt_checks(empty_lab: Lab) -> None:
    folder = packages.fetch(empty_lab, empty.OFFERED)
    text = (folder / "Packages").read_text()
    entries = text.split("\n\n")
    assert len(entries) == len(list(folder.glob("*.deb")))
    assert all("\nSHA256: " in each and "\nFilename: ./" in each and "\nSize: " in each for each in entries)
