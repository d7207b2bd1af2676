"""nginx and HAProxy themselves look at rendered files, and at files that were broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.checks import front
from deploy.checks.subject import Subject

from .check_samples import asked, changed, everything, needs, scratch, subject, text_of
from .front_samples import SAMPLES

needs_nginx = needs("nginx", "nginx")
needs_haproxy = needs("haproxy", "haproxy")


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as made:
        yield made


@needs_nginx
@pytest.mark.parametrize("sample", SAMPLES)
def test_nginx_takes_what_is_rendered(sample: str, folder: Path) -> None:
    found = asked("nginx", subject(folder, SAMPLES[sample], "app"))
    assert (found.state, text_of(found)) == ("ok", "")


@needs_nginx
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("client_max_body_size ", "client_max_bodysize ", 'unknown directive "client_max_bodysize"'),
        ("/etc/nginx/snippets/shop-proxy.conf;", "/etc/nginx/snippets/no.conf;", "/snippets/no.conf"),
        ("listen 80;", "listen 80; listen 80;", "duplicate listen"),
    ],
)
def test_what_nginx_refuses_is_a_finding_with_the_hosts_own_path(
    old: str, new: str, said: str, folder: Path
) -> None:
    service = subject(folder, SAMPLES["plain"], "app")
    service = changed(service, "/conf.d/shop.conf", lambda text: text.replace(old, new))
    found = asked("nginx", service)
    assert said in text_of(found)
    assert str(folder) not in text_of(found)


@needs_nginx
def test_a_warning_of_nginx_is_a_finding(folder: Path) -> None:
    service = subject(folder, SAMPLES["plain"], "app")
    twice = "server_name twice twice"
    service = changed(service, "/conf.d/shop.conf", lambda text: text.replace("server_name", twice))
    assert 'conflicting server name "twice"' in text_of(asked("nginx", service))


@needs_nginx
def test_a_certificate_that_is_not_here_is_stood_in_for_and_it_says_so(folder: Path) -> None:
    found = asked("nginx", subject(folder, SAMPLES["tls"], "app"))
    assert "another certificate" in found.text
    assert not [path for path in folder.rglob("*") if path.name.endswith(".key") and path.stat().st_mode & 0o077]


@pytest.mark.parametrize("process", ["", "797#797: "])
@pytest.mark.parametrize(
    "harmless",
    [
        'the "user" directive makes sense only if the master process runs with super-user privileges, ignored',
        'the "listen ... http2" directive is deprecated, use the "http2" directive instead',
    ],
)
def test_what_every_host_of_a_debian_hears_from_nginx_is_no_finding(harmless: str, process: str) -> None:
    """Newer ones say it with their process's number."""
    other = 'conflicting server name "shop" on 0.0.0.0:80, ignored'
    told = f"nginx: [warn] {process}{harmless} in /etc/nginx/harden.conf:4\nnginx: [warn] {process}{other}\n"
    assert front.COMPLAINT.findall(told) == [other]


@needs_haproxy
def test_haproxy_takes_what_is_rendered(folder: Path) -> None:
    found = asked("haproxy", subject(folder, everything(), "balancer"))
    assert (found.state, text_of(found)) == ("ok", "")


@needs_haproxy
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("balance leastconn", "balance leastcon", "/etc/haproxy/haproxy.cfg:"),
        ("timeout connect 2s\n", "", "missing timeouts"),
        ("alpn h2,http/1.1", "alpn h2,http/1.1 ssl-min-ver TLSv9", "TLSv9"),
    ],
)
def test_what_haproxy_refuses_is_a_finding(old: str, new: str, said: str, folder: Path) -> None:
    service = subject(folder, everything(), "balancer")
    found = asked("haproxy", changed(service, "haproxy.cfg", lambda text: text.replace(old, new)))
    assert found.state == "finding"
    assert said in text_of(found)
    assert str(folder) not in text_of(found)


@needs_haproxy
def test_names_that_cannot_be_resolved_count_on_the_balancer_alone(folder: Path) -> None:
    """Elsewhere nobody has to know the app's hosts."""
    description = everything()
    hosts = replace(description.hosts, app=("nowhere.invalid", "10.0.0.2"))
    service = subject(folder, replace(description, hosts=hosts), "balancer")
    assert asked("haproxy", service).state == "ok"
    drop_in = folder / "host/etc/systemd/system/haproxy.service.d/harden.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.touch()
    again = folder / "again"
    again.mkdir()
    service = replace(service, root=folder / "host", scratch=again)
    assert "could not resolve address 'nowhere.invalid'" in text_of(asked("haproxy", service))


@pytest.mark.parametrize(("name", "kind"), [("nginx", "balancer"), ("haproxy", "app"), ("nginx-installed", "app")])
def test_where_there_is_nothing_to_look_at_it_is_skipped(name: str, kind: str, folder: Path) -> None:
    service: Subject = replace(subject(folder, everything(), kind), root=folder)
    assert asked(name, service).state == "skipped"


def test_a_program_that_is_not_installed_is_named_with_its_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.checks.programs.PATH", str(folder))
    service = subject(folder, everything(), "app", "balancer", "monitoring")
    packages = {"nginx": "nginx", "haproxy": "haproxy", "units": "systemd", "prometheus": "prometheus"}
    for name, package in packages.items():
        found = asked(name, service)
        assert found.state == "skipped"
        assert re.search(rf"is not installed \(apt-get install {package}\)$", found.text)
