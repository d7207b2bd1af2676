"""What apt is asked for, what it is not asked for again, and its own words when it cannot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from deploy.description import Bouncer, Database, Front
from deploy.host import packages
from deploy.host.errors import HostError

from ..unit_samples import beside_database, one_host, three_hosts

ALWAYS = {"python3-jinja2"}


def said(stdout: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], code, stdout, "")


def test_a_kind_brings_what_it_needs_and_no_more() -> None:
    app = {"python3-venv", "nginx", "pgbouncer", *ALWAYS}
    assert set(packages.wanted(one_host(), ("app",))) == {*app, packages.CLIENT}
    assert set(packages.wanted(one_host(), ("app", "database"))) == {*app, "postgresql-15"}
    assert set(packages.wanted(three_hosts(), ("database",))) == {"postgresql-17", *ALWAYS}
    assert set(packages.wanted(beside_database(), ("app",))) == {"python3-venv", *ALWAYS}
    assert set(packages.wanted(beside_database(), ("database",))) == {"postgresql-15", "pgbouncer", *ALWAYS}
    assert set(packages.wanted(one_host(), ("balancer",))) == {"haproxy", *ALWAYS}
    assert set(packages.wanted(one_host(), ("monitoring",))) == {"prometheus", *ALWAYS}
    bare = one_host(front=Front(kind="none"), pgbouncer=Bouncer(enabled=False), database=Database("a", "a"))
    assert set(packages.wanted(bare, ("app",))) == {"python3-venv", *ALWAYS}


def test_only_what_is_installed_whole_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "nginx ii  1.22.1-9\npgbouncer iF  1.18.0-1\nhaproxy hi  2.6\nprometheus un  \n"
    monkeypatch.setattr(packages, "run", lambda *_, **__: said(shown, 1))
    assert packages.missing(("nginx", "pgbouncer", "haproxy", "prometheus")) == ("pgbouncer", "prometheus")


def test_any_version_of_psql_is_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {f"{packages.CLIENT}-[0-9]*": "postgresql-client-15 ii  15.14-0\n"}
    monkeypatch.setattr(packages, "run", lambda *words, **__: said(found.get(words[-1], "nginx ii  1.22.1-9\n")))
    assert packages.missing((packages.CLIENT, "nginx", "haproxy")) == ("haproxy",)
    found.clear()
    monkeypatch.setattr(packages, "run", lambda *words, **__: said("", 1))
    assert packages.missing((packages.CLIENT, "nginx")) == (packages.CLIENT, "nginx")


@pytest.mark.parametrize(
    ("installed", "is_right"),
    [("1.18.0-1+deb12u1", True), ("1.18.0-1", True), ("1.24.1-1", False), ("1.17.0-1", False), ("", True)],
)
def test_a_pgbouncer_of_another_version_is_refused(
    installed: str, is_right: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = f"pgbouncer ii  {installed}\n" if installed else ""
    monkeypatch.setattr(packages, "run", lambda *_, **__: said(shown))
    if is_right:
        packages.require_pgbouncer(one_host(), ("pgbouncer",))
        return
    packages.require_pgbouncer(one_host(), ("nginx",))
    upstream = installed.partition("-")[0]
    with pytest.raises(HostError, match=f'is 1.18.0; set pgbouncer.version = "{upstream}"'):
        packages.require_pgbouncer(one_host(), ("pgbouncer",))


def test_what_apt_lacks_is_said_with_its_reason_or_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = {"postgresql": "17+277", "nginx": "1.22"}
    policy = "{0}:\n  Installed: (none)\n  Candidate: {1}\n"
    monkeypatch.setattr(
        packages, "run", lambda *words, **_: said(policy.format(words[-1], offered.get(words[-1], "(none)")))
    )
    packages.require_offered(("nginx",), "Temporary failure resolving 'deb.debian.org'")
    with pytest.raises(HostError, match="apt cannot get pgbouncer: Temporary"):
        packages.require_offered(("pgbouncer",), "Temporary failure resolving 'deb.debian.org'")
    with pytest.raises(HostError, match=r"this Debian has 17: set database\.version = 17"):
        packages.require_offered(("postgresql-15",), "")


def test_apts_first_error_is_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Err:1 http://x\nW: Some index files failed\nE: Unable to fetch some archives\nE: more\n"
    monkeypatch.setattr(packages, "run", lambda *_, **__: said(text, 100))
    assert packages.update() == "Unable to fetch some archives"


def test_nothing_starts_while_packages_are_installed_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "POLICY", policy)
    with packages.nothing_starts():
        assert subprocess.run([policy]).returncode == 101
        left = policy.read_text()
    assert not policy.exists()
    pid = str(os.getpid())
    policy.write_text(left.replace(f"/proc/{pid}/", "/proc/1/"))  # as after a kill, with the number given anew
    policy.chmod(0o755)
    assert subprocess.run([policy]).returncode == 0
    packages.clean()
    assert not policy.exists()


def test_somebody_elses_policy_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    monkeypatch.setattr(packages, "POLICY", policy)
    with packages.nothing_starts():
        assert policy.read_text() == "#!/bin/sh\nexit 101\n"
    packages.clean()
    assert policy.exists()
