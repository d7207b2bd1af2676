"""What stands against an install is one line, before anything is changed."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from deploy.description import Bouncer, Database, Description, Front, Hosts, Watch
from deploy.host import preflight
from deploy.host.errors import HostError

from ..unit_samples import beside_database, one_host, three_hosts

TLS = Front(domains=("shop.example",), certificate="/a.crt", certificate_key="/a.key")
BALANCED = Front(balancer=True, balancer_from=("10.0.0.9",), certificate="/a", certificate_key="/a")


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match="needs root; run it with sudo"):
        preflight.require_host()


def test_a_host_without_systemd_or_debian_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(HostError, match="systemd does not run this host"):
        preflight.require_host(tmp_path)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    with pytest.raises(HostError, match="is no Debian"):
        preflight.require_host(tmp_path)
    for path in ("etc/debian_version", "usr/bin/apt-get"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    preflight.require_host(tmp_path)


@pytest.mark.parametrize(
    ("description", "kinds", "key"),
    [
        (one_host(), ("balancer",), "front.balancer"),
        (
            three_hosts(front=Front(balancer=True, balancer_from=("10.0.0.9",))), ("app", "balancer"),
            "cannot be balancer and app",
        ),
        (one_host(), ("monitoring",), "watch.scrape_from"),
        (beside_database(), ("app", "database"), "hosts.app or database.host"),
    ],
)  # fmt: skip
def test_a_kind_that_the_description_has_no_use_for_is_refused(
    description: Description, kinds: tuple[str, ...], key: str
) -> None:
    with pytest.raises(HostError, match=key):
        preflight.require_kinds(description, kinds)


def test_kinds_that_fit_are_let_through() -> None:
    preflight.require_kinds(one_host(pgbouncer=Bouncer(auth="query")), ("app", "database"))
    preflight.require_kinds(three_hosts(pgbouncer=Bouncer(auth="query")), ("app",))
    preflight.require_kinds(beside_database(), ("database",))
    preflight.require_kinds(three_hosts(watch=Watch(scrape_from=("10.0.0.9",))), ("monitoring",))


def test_a_full_disk_is_refused_with_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("opt", "var", "etc", "usr"):
        (tmp_path / folder).mkdir()
    preflight.require_room((), tmp_path)
    found = os.statvfs(tmp_path)
    blocks = 500 * preflight.MB // found.f_frsize
    nearly = os.statvfs_result((*found[:4], blocks, *found[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: nearly)
    preflight.require_room((), tmp_path)
    with pytest.raises(HostError, match="has 500 MB free, and 1010 MB are needed"):
        preflight.require_room(("nginx",), tmp_path)


@pytest.mark.parametrize(
    ("description", "kinds", "ports"),
    [
        (one_host(), ("app", "database"), (80, 5432)),
        (one_host(front=Front(kind="none")), ("app",), ()),
        (one_host(front=TLS), ("app",), (80, 443)),
        (beside_database(), ("database",), (5432, 6432)),
        (
            three_hosts(front=BALANCED), ("app",), (80,),
        ),
        (
            three_hosts(front=BALANCED), ("balancer",), (80, 443),
        ),
    ],
)  # fmt: skip
def test_the_ports_of_a_kind(description: Description, kinds: tuple[str, ...], ports: tuple[int, ...]) -> None:
    assert preflight.ports_of(description, kinds) == ports


def test_a_port_that_somebody_else_holds_is_refused_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        description = one_host(database=Database("shop", "shop", port=port), front=Front(kind="none"))
        with pytest.raises(HostError, match=rf"port {port} is held by \S+ \(pid {os.getpid()}\), and postgres"):
            preflight.require_ports(description, ("database",))
        preflight.require_ports(description, ("app",))


def test_hosts_elsewhere_are_none_of_this_machine() -> None:
    assert preflight.ports_of(one_host(hosts=Hosts(app=("10.0.0.1",))), ("balancer",))[0] == 80
