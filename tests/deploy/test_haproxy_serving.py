"""A real HAProxy over two hosts, each nginx before the shop in Gunicorn: who asks, and a host that goes away."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from deploy.description import Description, Front, Hosts
from scripts.stack import Stack
from scripts.stack.child import Child
from scripts.stack.postgres import Cluster

from .front_running import Answer, Place, ask, gunicorn, haproxy, nginx, raw
from .front_samples import APP, CERTIFICATE, DATABASE, KEY
from .test_nginx_serving import APP_FILE, handshake

HOSTS = ("127.0.0.2", "127.0.0.3")
DOMAINS = ("shop.example.com", "*.shop.example.org")
SERVICE = Description(
    replace(APP, static="static"), DATABASE, hosts=Hosts(HOSTS),
    front=Front(domains=DOMAINS, certificate=CERTIFICATE, certificate_key=KEY, balancer=True,
                balancer_from=("127.0.0.1",), rate=100_000),
)  # fmt: skip


class Lab:
    """The balancer and its hosts; `child` is HAProxy."""

    child: Child

    def __init__(self, stack: Stack, cluster: Cluster, database: str) -> None:
        self.front = Place(stack.run.path / "balancer")
        self.hosts = {host: Place(stack.run.path / f"host-{host[-1]}") for host in HOSTS}
        self._stack, self._stops = stack, {host: ExitStack() for host in HOSTS}
        self._environ = {
            "DATABASE_URL": cluster.url(database, "app"), "WORKERS": "1", "THREADS": "4", "HARDEN_PROXIES": "1",
            "HARDEN_APP": f"{APP_FILE}:app", "HARDEN_ENV": "production",
        }  # fmt: skip
        self._starts = 0

    def start_host(self, host: str) -> None:
        """Start a host's Gunicorn and nginx."""
        place, self._starts = self.hosts[host], self._starts + 1
        place.write_nginx(SERVICE)
        socket_path = place.path / "shop" / "web.sock"
        socket_path.unlink(missing_ok=True)
        environ = {**self._environ, "FRONT_TEST_HOST": host}
        stops = self._stops[host]
        name = f"{host}-{self._starts}"
        stops.enter_context(gunicorn(self._stack, socket_path, "wsgi:application", environ, f"gunicorn-{name}"))
        stops.enter_context(nginx(self._stack, place, f"nginx-{name}"))

    def stop_host(self, host: str) -> None:
        """Stop nginx at once, in the middle of what it does, and Gunicorn after it."""
        self._stops[host].close()

    def stop(self) -> None:
        """Stop all hosts."""
        for host in HOSTS:
            self.stop_host(host)

    def command(self, line: str) -> str:
        """Return what HAProxy answers on its socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.front.path / "admin.sock"))
            client.sendall(f"{line}\n".encode())
            return b"".join(iter(lambda: client.recv(65536), b"")).decode()

    def figure(self, host: str, name: str) -> str:
        """Return a column of HAProxy's statistics: `status` is such as UP or DOWN, `scur` counts open requests."""
        rows = [line.split(",") for line in self.command("show stat").splitlines()]
        row = next(each for each in rows if each[:2] == ["app", host])
        return row[rows[0].index(name)].split()[0]

    def wait_for(self, host: str, state: str) -> None:
        """Wait until HAProxy sees a host in a state."""
        self.child.wait_until(lambda: self.figure(host, "status") == state, 60)


@pytest.fixture(scope="module")
def lab(cluster: Cluster, database: str) -> Iterator[Lab]:
    with Stack() as stack:
        made = Lab(stack, cluster, database)
        try:
            for host in HOSTS:
                made.start_host(host)
            ports = {host: place.http for host, place in made.hosts.items()}
            made.front.write_haproxy(SERVICE, ports)
            with haproxy(stack, made.front) as made.child:
                for host in HOSTS:
                    made.wait_for(host, "UP")
                yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def trust(lab: Lab) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(lab.front.certificate))


def get(lab: Lab, trust: ssl.SSLContext, path: str = "/echo", **more: Any) -> Answer:
    return ask(lab.front.https, path, tls=trust, **more)


def host_of(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return str(json.loads(answer.body)["host"])


def test_both_hosts_are_asked(lab: Lab, trust: ssl.SSLContext) -> None:
    for host in HOSTS:
        lab.child.wait_until(lambda host=host: host_of(get(lab, trust)) == host, 60)  # type: ignore[misc]


def test_what_a_client_says_about_itself_is_dropped(lab: Lab, trust: ssl.SSLContext) -> None:
    claims = {"X_Forwarded_For": "10.1.1.1", "X_Forwarded_Proto": "gopher", "X_Forwarded_Host": "e"}
    answer = json.loads(get(lab, trust, Forwarded="for=10.1.1.1", **claims).body)
    seen = [(name, value) for name, value in answer["headers"] if "forwarded" in name]
    assert sorted(seen) == [
        ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-host", "shop.example.com"), ("x-forwarded-proto", "https"),
    ]  # fmt: skip
    assert answer["url"] == "https://shop.example.com/echo"


@pytest.mark.parametrize(
    ("sent", "kept"), [("a:b/c+d=e@f.g_h-1", True), ("a" * 129, False), ("a b", False), (None, False)]
)
def test_a_request_has_one_id_from_the_balancer_to_the_app(
    lab: Lab, trust: ssl.SSLContext, sent: str | None, kept: bool
) -> None:
    answer = get(lab, trust, **({} if sent is None else {"X_Request_ID": sent}))
    told = answer.headers["x-request-id"]
    assert ["x-request-id", told] in json.loads(answer.body)["headers"]
    assert (told == sent) is kept
    assert re.fullmatch(r"[A-Za-z0-9._:/+=@-]{1,128}", told)


def test_plain_http_leads_to_https_which_stays_for_two_years(lab: Lab, trust: ssl.SSLContext) -> None:
    answer = ask(lab.front.http, "/a?b", "POST")
    assert (answer.status, answer.headers["location"]) == (308, "https://shop.example.com/a?b")
    assert get(lab, trust).headers["strict-transport-security"] == "max-age=63072000"
    theirs = get(lab, trust, "/secure").headers
    assert theirs["strict-transport-security"] == "max-age=1; preload"


def test_a_name_that_is_not_ours_gets_no_answer(lab: Lab) -> None:
    for host in ("other.example.com", "xshop.example.org", "127.0.0.1"):
        assert raw(lab.front.http, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()) == b""
    answer = ask(lab.front.http, "/x", host="A.shop.example.org:80")
    assert answer.status == 308


def test_an_old_handshake_and_a_name_that_is_not_ours_are_refused(lab: Lab) -> None:
    weak = ("-cipher", "ALL:@SECLEVEL=0")
    for options in (
        ("-servername", "shop.example.com", "-tls1_1", *weak),
        ("-servername", "other.example.com"),
        ("-noservername",),
        ("-servername", "shop.example.com", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"),
    ):  # fmt: skip
        assert "CONNECTION ESTABLISHED" not in handshake(lab.front, *options), options
    assert "Protocol version: TLSv1.3" in handshake(lab.front, "-servername", "shop.example.com")


class Load:
    """Clients that ask one request after the other until they are told to stop."""

    def __init__(self, lab: Lab, trust: ssl.SSLContext, method: str) -> None:
        self.answers: list[str] = []
        self.failures: list[object] = []
        self._lab, self._trust, self._method = lab, trust, method
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(6)]

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                answer = get(self._lab, self._trust, "/echo", method=self._method)
                self.answers.append(host_of(answer))
            except (OSError, AssertionError) as error:
                self.failures.append(error)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for_more(self, count: int = 30) -> int:
        """Wait until so many more were answered; returns how many were before."""
        before = len(self.answers)
        self._lab.child.wait_until(lambda: len(self.answers) + len(self.failures) >= before + count, 60)
        return before


def test_a_host_that_stops_in_the_middle_loses_no_get(lab: Lab, trust: ssl.SSLContext) -> None:
    """Those that it was serving are asked again elsewhere."""
    gone = HOSTS[0]
    with Load(lab, trust, "GET") as load:
        load.wait_for_more()
        with ThreadPoolExecutor(6) as together:
            slow = [together.submit(get, lab, trust, "/slow?seconds=4") for _ in range(6)]
            lab.child.wait_until(lambda: int(lab.figure(gone, "scur")) >= 1, 60)
            lab.stop_host(gone)
        assert [each.result().status for each in slow] == [200] * 6
        lab.wait_for(gone, "DOWN")
        before = load.wait_for_more()
        assert set(load.answers[before + 12 :]) == {HOSTS[1]}
        lab.start_host(gone)
        lab.wait_for(gone, "UP")
        load.wait_for_more()
    assert load.failures == []


def test_a_host_is_drained_and_released_without_a_loss(lab: Lab, trust: ssl.SSLContext) -> None:
    """POST requests, of which a dead host's are never repeated."""
    drained = HOSTS[1]
    with Load(lab, trust, "POST") as load:
        load.wait_for_more()
        assert lab.command(f"set server app/{drained} state drain").strip() == ""
        lab.child.wait_until(lambda: int(lab.figure(drained, "scur")) == 0, 60)
        before = len(load.answers) + 6  # each client may have one of before the drain that is not in the list yet
        load.wait_for_more()
        assert set(load.answers[before:]) == {HOSTS[0]}
        lab.stop_host(drained)
        load.wait_for_more()
        lab.start_host(drained)
        lab.command(f"set server app/{drained} state ready")
        lab.wait_for(drained, "UP")
        load.wait_for_more(80)
    assert load.failures == []
    assert drained in load.answers[-80:]


def test_no_host_at_all_is_said_so_in_few_words(lab: Lab, trust: ssl.SSLContext) -> None:
    for host in HOSTS:
        lab.command(f"set server app/{host} state maint")
    try:
        answer = get(lab, trust, X_Request_ID="down")
    finally:
        for host in HOSTS:
            lab.command(f"set server app/{host} state ready")
    assert (answer.status, answer.headers["retry-after"], answer.headers["x-request-id"]) == (503, "5", "down")
    assert answer.headers["strict-transport-security"]
    assert len(answer.body) < 100


def test_one_address_has_its_rate(cluster: Cluster) -> None:
    """A rate of 1: of many requests at once three are let in."""
    with Stack() as stack:
        front = Place(stack.run.path / "limited")
        limited = replace(SERVICE.front, rate=1, certificate="", certificate_key="")
        front.write_haproxy(replace(SERVICE, front=limited))
        with haproxy(stack, front):
            answers = [ask(front.http, path) for path in ("/x",) * 6 + ("/static/x", "/static/../x")]
    statuses = [answer.status for answer in answers]
    assert statuses == [503] * 3 + [429] * 3 + [503, 429]  # no host is there; who is let in is told so
    assert answers[3].headers["retry-after"] == "1"
    assert answers[3].headers["x-request-id"]


def test_a_post_that_a_host_may_have_done_is_not_repeated(lab: Lab, trust: ssl.SSLContext) -> None:
    gone = HOSTS[0]
    lab.wait_for(gone, "UP")
    with ThreadPoolExecutor(6) as together:
        slow = [together.submit(get, lab, trust, "/slow?seconds=4", method="POST") for _ in range(6)]
        lab.child.wait_until(lambda: int(lab.figure(gone, "scur")) >= 1, 60)
        lab.stop_host(gone)
    lab.start_host(gone)
    statuses = [each.result().status for each in slow]
    assert 200 in statuses
    assert {502, 503} & set(statuses)
