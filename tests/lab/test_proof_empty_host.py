"""From an empty Debian host to the shop under systemd, behind nginx and PgBouncer, by two verbs.

On the way: what is wrong with a host is refused with the reason before anything is changed there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import load_description
from deploy.host import secrets
from deploy.unit_templates import env_value

from . import deployed, empty, leaks, processes
from . import wheels as wheel_store
from .deployed import NAME, Service
from .host import Host
from .lab import Lab

Tell = Callable[[str], None]


@pytest.fixture
def bare(empty_host: Callable[[str], Host], app_wheels: Path) -> Service:
    """An empty host that has the kit and the app's files, and nothing else."""
    return deployed.prepare(empty_host("bare"), app_wheels)


def test_install_and_release_bring_an_empty_host_up_and_it_stays_up(bare: Service, tell: Tell) -> None:
    began = time.monotonic()
    bare.must(*deployed.INSTALL)
    installed = time.monotonic()
    bare.must(*deployed.RELEASE)
    tell(f"empty host: install {installed - began:.1f} s, first release {time.monotonic() - installed:.1f} s")
    assert bare.ask() == "version-1"
    assert bare.ask("/api/customers/1/history").startswith('{"customer_id":1,"appointments":[{')
    assert bare.disorder() == []
    serves = ("nginx", "postgresql@15-main", f"{NAME}-pgbouncer@1", f"{NAME}.socket")
    assert [unit for unit in serves if not bare.is_active(unit)] == []
    bare.host.run("systemctl", "stop", f"{NAME}-pgbouncer@1")
    assert (bare.ask("/marks"), bare.ask()) == ("", "version-1"), "the app speaks to PostgreSQL past PgBouncer"
    bare.host.run("systemctl", "start", f"{NAME}-pgbouncer@1")
    processes.wait(lambda: bare.ask("/marks") != "", 30, "it did not come back")
    bare.host.kill9()
    bare.host.boot()
    processes.wait(lambda: bare.ask(timeout=2) == "version-1", 60, "it did not come back")
    assert bare.host.run("systemctl", "--failed", "--no-legend").stdout == ""
    again = bare.must(*deployed.INSTALL)
    assert again.returncode == 0
    assert bare.disorder() == []


def test_the_commands_of_the_deploy_page_work_as_they_stand_there(
    empty_host: Callable[[str], Host], empty_lab: Lab
) -> None:
    """By `scripts/harden` with an environment of its own, as a person has it; the others go the way of `--ssh`."""
    host = empty_host("page")
    wheels = wheel_store.fetch(empty_lab, (*deployed.REQUIREMENTS, *deployed.TOOLS))
    service = deployed.prepare(host, wheels)
    host.shell("apt-get -q update && apt-get install -y -q python3-venv", timeout=200)
    harden = f"{deployed.KIT_PLACE}/scripts/harden"
    host.run(harden, "plan", deployed.DESCRIPTION, timeout=200)
    host.run(harden, "install", deployed.DESCRIPTION, timeout=300)
    host.run(harden, "release", deployed.REPOSITORY, timeout=300)
    assert service.ask() == "version-1"
    assert "serves as instance" in host.run(harden, "status").stdout
    assert service.disorder() == []


def test_an_install_shows_its_secrets_to_nobody(bare: Service, tell: Tell) -> None:
    """Made here, so that they are known before the host has them and can be looked for from the first moment."""
    description = load_description.parse(bare.host.read(deployed.DESCRIPTION))
    values = secrets.completed(description, {})
    text = "".join(f"{name}={env_value(value)}\n" for name, value in values.items())
    bare.host.write("/root/known.env", text, mode=0o600)
    known = leaks.secrets_of(bare.host, "/root/known.env")
    with leaks.watched(bare.host, known) as watch:
        bare.must("install", deployed.DESCRIPTION, "--secrets", "/root/known.env")
        bare.must(*deployed.RELEASE)
    met = watch.found + leaks.find(bare.host, known, ("/var/log", f"{deployed.STATE}/audit.jsonl"))
    met += leaks.in_text("".join(bare.said), known)
    tell(f"{len(known)} secrets looked for during and after an install on an empty host: {met or 'none seen'}")
    assert bare.secrets() == known
    assert met == []


def test_a_dry_run_says_every_step_and_changes_nothing(bare: Service) -> None:
    before = snapshot(bare.host)
    said = bare.must(*deployed.INSTALL, "--dry-run")
    assert "would" in said.stdout + said.stderr
    assert snapshot(bare.host) == before


def test_a_busy_port_is_refused_with_the_holder(bare: Service) -> None:
    bare.host.shell("systemd-run -q --unit=squatter python3 -m http.server 80")
    processes.wait(lambda: bare.host.lab.can_connect(bare.host.address, 80), 20, "nothing listens")
    before = snapshot(bare.host)
    refused = bare.harden(*deployed.INSTALL)
    assert refused.returncode == 2
    assert "port 80 is held by python3" in refused.stderr, refused.stderr
    assert snapshot(bare.host) == before


def test_no_way_to_packages_is_refused_with_apts_reason(bare: Service) -> None:
    empty.take_sources(bare.host)
    refused = bare.harden(*deployed.INSTALL)
    assert refused.returncode == 2
    assert "apt" in refused.stderr, refused.stderr
    empty.return_sources(bare.host)
    bare.must(*deployed.INSTALL)


def test_a_release_before_an_install_says_what_to_do(bare: Service) -> None:
    refused = bare.harden(*deployed.RELEASE)
    assert refused.returncode == 2
    assert "harden install" in refused.stderr, refused.stderr


def snapshot(host: Host) -> str:
    """Return what of a host an install would change: packages, users, units, folders."""
    script = "dpkg -l | md5sum; md5sum /etc/passwd /etc/group; find /etc /opt -newer /srv/harden.toml; ls /var/lib"
    return host.shell(f"({script}) | grep -v -e mtab -e ld.so.cache -e __pycache__")
