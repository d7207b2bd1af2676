"""nginx' files are those in golden/, nginx itself accepts each variation, and no value becomes a directive."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import nginx_files
from deploy.description import App, Description, Front, Hosts, Watch
from deploy.errors import InputError

from .front_running import Place, check, program
from .front_samples import APP, DATABASE, HOSTS, SAMPLES, STATIC, sizes
from .golden_files import assert_golden


@pytest.mark.parametrize("name", SAMPLES)
def test_files_are_the_golden_ones(name: str) -> None:
    """To accept a change: GOLDEN=write scripts/test tests/deploy, then read the diff."""
    assert_golden(f"nginx-{name}", nginx_files.files(SAMPLES[name], sizes()))


def test_files_are_roots_and_for_all_to_read_and_taken_over_by_a_reload() -> None:
    for file in nginx_files.files(SAMPLES["tls"], sizes()):
        assert (file.owner, file.group, file.mode, file.is_secret) == ("root", "root", 0o644, False)
        assert file.reload == "systemctl reload nginx"


def test_something_else_in_front_needs_no_files() -> None:
    assert nginx_files.files(Description(APP, DATABASE, front=Front(kind="none")), sizes()) == ()


@pytest.mark.parametrize(
    ("changed", "answers"),
    [({}, False), ({"hosts": HOSTS}, False), ({"hosts": HOSTS, "watch": Watch(("10.0.0.0/24",))}, True)],
)
def test_one_of_several_hosts_answers_prometheus_to_its_own_name(changed: dict[str, Any], answers: bool) -> None:
    files = nginx_files.files(replace(SAMPLES["tls"], **changed), sizes())
    text = next(file.text for file in files if file.path.endswith("/shop.conf"))
    assert (" 10.0.0.11 app2.example.com [fd00::3];" in text) is answers


def test_what_apps_share_is_the_same_for_all_of_them() -> None:
    shared = [
        {file.path: file.text for file in nginx_files.files(sample, sizes()) if "/00-harden" in file.path}
        for sample in SAMPLES.values()
    ]
    assert sorted(map(len, shared)) == [1, 1, 1, 3, 3]
    for path, text in max(shared, key=len).items():
        assert {files[path] for files in shared if path in files} == {text}


def is_accepted(place: Place, *descriptions: Description) -> None:
    main = place.write_nginx(*descriptions)
    said = check(program("nginx"), "-t", "-c", str(main), "-e", "stderr")
    assert "warn" not in said, said


@pytest.mark.parametrize("name", SAMPLES)
def test_nginx_accepts(place: Place, name: str) -> None:
    is_accepted(place, SAMPLES[name])


def test_nginx_accepts_several_apps_on_a_host(place: Place) -> None:
    """One with domains and TLS, one without a domain, one whose name has a `-`."""
    named = Description(App("shop-2", "a:b", static="static"), DATABASE, front=Front(domains=("a.example.net",)))
    is_accepted(place, SAMPLES["everything"], named, Description(App("x", "a:b"), DATABASE))


@pytest.mark.parametrize("health", ["/", "/ops", "/metrics", "/health/ready", "/ops/x", "/health/metrics"])
def test_nginx_accepts_any_path_for_the_health_check(place: Place, health: str) -> None:
    is_accepted(place, replace(SAMPLES["balancer-tls"], app=replace(APP, health=health)))


def test_nginx_accepts_a_hundred_domains_of_the_greatest_length(place: Place) -> None:
    domains = tuple(f"n{number}.{'.'.join(['a' * 61] * 4)}"[:253] for number in range(100))
    is_accepted(place, replace(SAMPLES["tls"], front=replace(SAMPLES["tls"].front, domains=domains)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"app": replace(APP, static=".")}, "app.static is '.'"),
        ({"app": replace(APP, static="./")}, "app.static is './'"),
        ({"app": replace(APP, static="a/../..")}, "would publish more"),
        ({"app": replace(APP, static=".git")}, "app.static is '.git'"),
        ({"app": replace(APP, static="static", static_url="/")}, "app.static_url is '/'"),
        ({"app": replace(APP, static="static", static_url="/ops/x/")}, "not free"),
        ({"app": replace(APP, static="static", static_url="/a/../")}, "plain path"),
        ({"app": replace(APP, static="static", static_url="static/")}, "plain path"),
        ({"app": replace(APP, health="//x")}, "app.health is '//x'"),
        ({"watch": Watch(("10.0.0.1/24",))}, "watch.scrape_from has '10.0.0.1/24'"),
        ({"watch": Watch(("0.0.0.0/0",))}, "which is everybody"),
        ({"front": Front(balancer=True)}, "front.balancer_from is empty"),
        ({"front": Front(balancer=True, balancer_from=("::/0",))}, "which is everybody"),
        ({"front": Front(balancer=True, balancer_from=("...",))}, "front.balancer_from has '...'"),
    ],
)
def test_what_would_publish_too_much_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        nginx_files.files(replace(SAMPLES["plain"], **changed), sizes())


def directives(text: str) -> list[str]:
    """Return the first word of each directive, as nginx would find them: quotes, braces and `;` count.

    Without the entries of maps, whose first words are values.
    """
    text = re.sub(r"^    (?:[0-9a-f:./]+|\"200 /health/[^\"]*\") [01];\n", "", text, flags=re.MULTILINE)
    token = re.compile(r'\s+|#[^\n]*|"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[{};]|[^\s{};"\']+')
    found, is_first = [], True
    for match in token.finditer(text):
        word = match[0]
        if word.isspace() or (is_first and word.startswith("#")):
            continue
        if is_first or word in "{};":
            found.append(word)
        is_first = word in "{};"
    return found


ENDS = (";", "\n", "\r", "{", "}", '"', "'", " y", "#", "\\", "$host", "%", ";return 200;", "\0", "~", "=", "")
hostile = st.text(max_size=40) | st.builds(
    str.__add__, st.sampled_from(["shop", "/x", "a.example.com", "10.0.0.1"]), st.sampled_from(ENDS)
)
BASE = SAMPLES["everything"]
TRIES = {
    "name": lambda text: replace(BASE, app=replace(STATIC, name=text)),
    "static": lambda text: replace(BASE, app=replace(STATIC, static=f"a{text}")),
    "url": lambda text: replace(BASE, app=replace(STATIC, static_url=f"/a{text}/")),
    "health": lambda text: replace(BASE, app=replace(STATIC, health=f"/health/{text}")),
    "domain": lambda text: replace(BASE, front=replace(BASE.front, domains=(*BASE.front.domains, text))),
    "certificate": lambda text: replace(BASE, front=replace(BASE.front, certificate=f"/{text}")),
    "key": lambda text: replace(BASE, front=replace(BASE.front, certificate_key=f"/{text}")),
    "scrape": lambda text: replace(BASE, watch=Watch((*BASE.watch.scrape_from[1:], text))),
    "host": lambda text: replace(
        SAMPLES["balancer-tls"], hosts=Hosts((*SAMPLES["balancer-tls"].hosts.app[1:], text))
    ),
    "balancer": lambda text: replace(
        SAMPLES["balancer-tls"], front=replace(SAMPLES["balancer-tls"].front, balancer_from=(text, "10.0.0.1"))
    ),
}


@cache
def skeleton(field: str) -> list[list[str]]:
    harmless = "10.0.0.9" if field in ("scrape", "balancer") else "harmless"
    return sorted(directives(file.text) for file in nginx_files.files(TRIES[field](harmless), sizes()))


@pytest.mark.parametrize("field", TRIES)
@settings(deadline=None, max_examples=60)
@given(text=hostile)
def test_no_value_ever_becomes_a_directive(field: str, text: str) -> None:
    """Whatever is not refused: the files have the directives that they have with harmless values."""
    try:
        files = nginx_files.files(TRIES[field](text), sizes())
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert sorted(directives(file.text) for file in files) == skeleton(field)


def test_a_block_that_adds_a_header_adds_all_of_them() -> None:
    """nginx inherits add_header only where a block has none of its own."""
    for sample in SAMPLES.values():
        text = next(file.text for file in nginx_files.files(sample, sizes()) if "/conf.d/00" not in file.path)
        for block in re.findall(r"location [^{]*\{[^{}]*\}", text):
            assert "add_header" not in block or "-headers.conf;" in block, block


@pytest.mark.parametrize("name", ["everything", "balancer-tls"])
def test_gixy_has_nothing_to_say(place: Place, name: str) -> None:
    gixy = shutil.which("gixy") or shutil.which("gixy", path=str(Path(sys.executable).parent))
    if gixy is None:
        pytest.skip("gixy is not installed (pip install gixy-ng)")
    main = place.write_nginx(SAMPLES[name])
    text = re.sub(r"ssl_\w+ [^;]*;", "", main.read_text())  # those are Debian's
    main.write_text(f"worker_rlimit_nofile 2000;{text}")
    done = subprocess.run([gixy, str(main)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
