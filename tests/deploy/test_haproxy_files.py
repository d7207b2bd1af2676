"""HAProxy's file is the one in golden/, HAProxy accepts each variation, and no value becomes a directive."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import haproxy_files
from deploy.description import Description, Hosts
from deploy.errors import InputError

from .front_running import Place, check, program
from .front_samples import CERTIFICATE, HOSTS, LONG, SAMPLES, STATIC, sizes
from .golden_files import assert_golden

BASE = SAMPLES["balancer-tls"]
FRONT = BASE.front
NAMES = tuple(f"n{number}.{LONG}"[:253] for number in range(100))
VARIATIONS = {
    **{name: sample for name, sample in SAMPLES.items() if sample.front.balancer},
    "no rate": replace(BASE, front=replace(FRONT, rate=0)),
    "highest rate": replace(BASE, front=replace(FRONT, rate=100_000)),
    "no static files": replace(BASE, app=replace(STATIC, static="")),
    "no domains": replace(BASE, front=replace(FRONT, domains=())),
    "one wildcard": replace(BASE, front=replace(FRONT, domains=("*.example.com",))),
    "many domains": replace(BASE, front=replace(FRONT, domains=NAMES)),
    "no certificate": replace(BASE, front=replace(FRONT, certificate="", certificate_key="")),
    "many hosts": replace(BASE, hosts=Hosts(tuple(f"10.0.{n // 256}.{n % 256}" for n in range(500)))),
}


@pytest.mark.parametrize("name", ["balancer", "balancer-tls"])
def test_the_file_is_the_golden_one(name: str) -> None:
    """To accept a change: GOLDEN=write scripts/test tests/deploy, then read the diff."""
    assert_golden(f"haproxy-{name}", haproxy_files.files(SAMPLES[name], sizes()))


def test_no_balancer_needs_no_file() -> None:
    assert haproxy_files.files(SAMPLES["tls"], sizes()) == ()


def test_the_file_is_taken_over_by_a_reload() -> None:
    (file,) = haproxy_files.files(BASE, sizes())
    assert (file.path, file.mode, file.reload) == ("/etc/haproxy/haproxy.cfg", 0o644, "systemctl reload haproxy")


def is_accepted(place: Place, description: Description) -> None:
    said = check(program("haproxy"), "-c", "-f", str(place.write_haproxy(description)))
    warned = [line for line in said.splitlines() if "WARNING" in line and "could not resolve" not in line]
    assert not warned


@pytest.mark.parametrize("name", VARIATIONS)
def test_haproxy_accepts(place: Place, name: str) -> None:
    is_accepted(place, VARIATIONS[name])


@pytest.mark.parametrize("key", ["site.key", "site.crt.key", "site.crt"])
def test_haproxy_finds_the_key_where_a_description_may_have_it(place: Place, key: str) -> None:
    (place.path / key).write_text(f"{place.certificate.read_text()}{(place.path / 'site.key').read_text()}")
    if key != "site.key":
        (place.path / "site.key").unlink()
    is_accepted(place, replace(BASE, front=replace(FRONT, certificate_key=f"/etc/ssl/shop/{key}")))


@pytest.mark.parametrize(
    ("certificate", "key"),
    [("/x/fullchain.pem", "/x/privkey.pem"), ("/x/a.pem", "/x/a.key"), ("/x/a.crt", "/y/a.key")],
)
def test_a_key_that_haproxy_would_not_find_is_refused(certificate: str, key: str) -> None:
    front = replace(FRONT, certificate=certificate, certificate_key=key)
    with pytest.raises(InputError, match=re.escape(f"name it '{certificate}.key'")):
        haproxy_files.files(replace(BASE, front=front), sizes())


def test_a_balancer_that_nobody_believes_is_refused() -> None:
    with pytest.raises(InputError, match=r"front\.balancer_from is empty"):
        haproxy_files.files(replace(BASE, front=replace(FRONT, balancer_from=())), sizes())


def test_a_host_is_called_on_the_socket_as_in_the_description() -> None:
    text = haproxy_files.files(BASE, sizes())[0].text
    for host in HOSTS.app:
        assert f"\n    server {haproxy_files.server_name(host)} {host}:80 check\n" in text


def test_a_host_gets_more_than_its_threads_at_a_time() -> None:
    text = haproxy_files.files(BASE, sizes(workers=10, threads=8))[0].text
    assert " maxconn 320 " in text


ENDS = ("\n", "\r", " ", '"', "'", "#", "\\", "\\ ", "%[src]", "$HOME", "{", "}", "\0", " check\nglobal", "\t", "")
hostile = st.text(max_size=40) | st.builds(
    str.__add__, st.sampled_from(["a.example.com", "/x", "10.0.0.1"]), st.sampled_from(ENDS)
)
TRIES = {
    "static": lambda text: replace(BASE, app=replace(STATIC, static_url=f"/a{text}/")),
    "health": lambda text: replace(BASE, app=replace(STATIC, health=f"/{text}")),
    "domain": lambda text: replace(BASE, front=replace(FRONT, domains=(f"a{text}", "b.example.com"))),
    "certificate": lambda text: replace(
        BASE, front=replace(FRONT, certificate=f"{CERTIFICATE}{text}", certificate_key="")
    ),
    "host": lambda text: replace(BASE, hosts=Hosts((*HOSTS.app[:2], f"h{text}"))),
}


def words(text: str) -> list[int]:
    """Return how many words each line has: blanks part them, and quotes, `#` and backslashes are of ours alone."""
    return [len(line.split()) for line in re.split(r"[\r\n]", text)]


@cache
def skeleton(field: str) -> list[int]:
    return words(haproxy_files.files(TRIES[field]("harmless"), sizes())[0].text)


@pytest.mark.parametrize("field", TRIES)
@settings(deadline=None, max_examples=60)
@given(text=hostile)
def test_no_value_ever_becomes_a_word_of_its_own(field: str, text: str) -> None:
    """Whatever is not refused: lines have as many words as with harmless values, and no quote or variable more."""
    try:
        (file,) = haproxy_files.files(TRIES[field](text), sizes())
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert words(file.text) == skeleton(field)
    harmless = haproxy_files.files(TRIES[field]("harmless"), sizes())[0].text
    for sign in "\"'#\\%$":
        assert file.text.count(sign) == harmless.count(sign)
