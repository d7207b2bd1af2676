"""A real nginx before the shop in a real Gunicorn: what passes, what does not, and who holds whose threads up."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploy.description import Description, Front, Hosts, Watch
from scripts.demo.seed import create_schema, seed
from scripts.stack import Stack
from scripts.stack.postgres import Cluster

from .front_running import Answer, Place, ask, gunicorn, nginx, raw
from .front_samples import APP, CERTIFICATE, DATABASE, KEY

TOKEN = "t" * 40
THREADS = 4
APP_FILE = Path(__file__).resolve().parents[1] / "support" / "apps" / "behind_front.py"
SHOP = replace(APP, static="backend/static")
# The apps of one host, all of which but one lead to the same Gunicorn.
TLS = Description(
    SHOP, DATABASE,
    front=Front(domains=("shop.example.com", "www.shop.example.com"), certificate=CERTIFICATE, certificate_key=KEY,
                rate=0, body_mb=1),
    watch=Watch(("10.0.0.0/8",)),
)  # fmt: skip
PLAIN = Description(
    replace(SHOP, name="plain"), DATABASE, front=Front(domains=("plain.example.com",), rate=0),
    watch=Watch(("127.0.0.0/8",)),
)  # fmt: skip
LIMITED = Description(replace(APP, name="few-a"), DATABASE, front=Front(domains=("limited.example.com",), rate=1))
DOWN = Description(replace(APP, name="down"), DATABASE, front=Front(domains=("down.example.com",)))
BEHIND = Description(
    replace(APP, name="behind"), DATABASE, hosts=Hosts(("127.0.0.1", "[::1]")),
    front=Front(domains=("behind.example.com",), balancer=True, balancer_from=("127.0.0.1",)),
)  # fmt: skip
PAST = replace(
    BEHIND, app=replace(APP, name="past"),
    front=replace(BEHIND.front, domains=("past.example.com",), balancer_from=("10.9.9.9",)),
)  # fmt: skip
SERVED = (TLS, PLAIN, LIMITED, BEHIND, PAST)
STATIC = {
    "app.3f2a9c1b.js": "let a", "app.js": "let b", "report.20240101.csv": "c", ".secret": "d",
    "page.css": "e" * 5000,
}  # fmt: skip


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[Place]:
    """nginx with all the apps, and one Gunicorn with one worker of a few threads behind all their sockets."""
    cluster.create_database("front", "app")
    create_schema(cluster.dsn("front", "app"))
    seed(cluster.dsn("front", "app"), "small", 20)
    environ = {
        "DATABASE_URL": cluster.url("front", "app"), "WORKERS": "1", "THREADS": str(THREADS),
        "HARDEN_PROXIES": "1", "HARDEN_APP": f"{APP_FILE}:app", "HARDEN_ENV": "production",
        "HARDEN_OPS_TOKEN": TOKEN,
    }  # fmt: skip
    with Stack() as stack:
        where = Place(stack.run.path / "front")
        _write_static(where)
        where.write_nginx(*SERVED, DOWN)
        with gunicorn(stack, where.path / "shop" / "web.sock", "wsgi:application", environ, "gunicorn"):
            for description in SERVED[1:]:
                (where.path / description.app.name).symlink_to(where.path / "shop")
            with nginx(stack, where) as child:
                child.wait_until(lambda: ask(where.http, "/livez", host="plain.example.com").status == 200, 30)
                yield where
    cluster.drop_database("front")


def _write_static(place: Place) -> None:
    for name in ("shop", "plain"):
        folder = place.path / "opt" / name / "current" / "app" / "backend" / "static"
        folder.mkdir(parents=True)
        for file, text in STATIC.items():
            (folder / file).write_text(text)
        (folder.parent / "settings.py").write_text("SECRET = 1")
        (folder / "link").symlink_to(folder.parent / "settings.py")


@pytest.fixture(scope="module")
def trust(place: Place) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(place.certificate))


def plain(place: Place, path: str, **more: Any) -> Answer:
    return ask(place.http, path, host="plain.example.com", **more)


def echo(place: Place, **more: Any) -> dict[str, list[str]]:
    """Return the headers that the app saw, all values of each."""
    answer = json.loads(plain(place, "/echo", **more).body)
    seen: dict[str, list[str]] = {}
    for name, value in answer["headers"]:
        seen.setdefault(name, []).append(value)
    return seen


@pytest.mark.parametrize("sent", ["abc", "a" * 128, "Root=1-5759e988-bd862e3fe1be46a994272793/x:y+z@w.v_u"])
def test_a_request_id_that_fits_is_kept_and_told_to_app_and_client(place: Place, sent: str) -> None:
    answer = plain(place, "/echo", X_Request_ID=sent)
    assert answer.headers["x-request-id"] == sent
    assert ["x-request-id", sent] in json.loads(answer.body)["headers"]


@pytest.mark.parametrize("sent", [None, "", "a" * 129, "a b", 'a"b', "a,b", "a;b", "é", "a\\b", "<a>"])
def test_a_request_without_an_id_that_fits_gets_one(place: Place, sent: str | None) -> None:
    answer = plain(place, "/echo", **({} if sent is None else {"X_Request_ID": sent}))
    made = answer.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert [value for name, value in json.loads(answer.body)["headers"] if name == "x-request-id"] == [made]


def test_the_id_is_told_once_also_where_the_app_tells_it_and_where_nginx_answers(place: Place) -> None:
    """The app tells it in answers that failed."""
    for path, status in (("/no-such-page", 404), ("/ops/", 404), ("/static/none", 404), ("/static/app.js", 200)):
        answer = plain(place, path, X_Request_ID="mine")
        assert (answer.status, answer.headers["x-request-id"]) == (status, "mine"), path


def test_what_a_client_says_about_itself_is_dropped(place: Place) -> None:
    seen = echo(
        place, X_Forwarded_For="10.1.1.1", X_Forwarded_Proto="https", X_Forwarded_Host="evil.example",
        X_Real_IP="10.1.1.1", Forwarded="for=10.1.1.1", X_Forwarded_Ssl="on", X_Forwarded_Protocol="ssl",
        X_Forwarded_Prefix="/x", X_Forwarded_Port="1", Proxy="http://evil.example",
    )  # fmt: skip
    assert (seen["x-forwarded-for"], seen["x-real-ip"]) == (["127.0.0.1"], ["127.0.0.1"])
    assert (seen["x-forwarded-proto"], seen["x-forwarded-host"]) == (["http"], ["plain.example.com"])
    for name in ("forwarded", "x-forwarded-ssl", "x-forwarded-protocol", "x-forwarded-prefix", "proxy"):
        assert name not in seen
    assert seen["host"] == ["plain.example.com"]


def test_headers_with_an_underscore_never_reach_the_app(place: Place) -> None:
    """Gunicorn believes a front's SCRIPT_NAME, WSGI cannot tell X_FORWARDED_FOR from the real one."""
    received = raw(
        place.http, b"GET /echo HTTP/1.1\r\nHost: plain.example.com\r\nConnection: close\r\n"
        b"SCRIPT_NAME: /echo\r\nX_FORWARDED_FOR: 10.1.1.1\r\n\r\n",
    )  # fmt: skip
    answer = json.loads(received.partition(b"\r\n\r\n")[2])
    assert (answer["scripts"], answer["remote"]) == ("", "127.0.0.1")


def test_the_app_knows_its_client_and_its_own_address(place: Place, trust: ssl.SSLContext) -> None:
    answer = json.loads(ask(place.https, "/echo", tls=trust).body)
    assert (answer["remote"], answer["url"]) == ("127.0.0.1", "https://shop.example.com/echo")


CLOSED = (
    "/ops", "/ops/", "/ops/data", "//ops/", "/x/../ops/", "/%6fps/", "/ops%2F", "/./ops/", "/ops/?a=b", "/ops//x",
    "/metrics", "/metrics?x", "/%6detrics", "/health/database/pool", "/health/metrics", "/health/",
    "/health%2Fmetrics",
)  # fmt: skip


@pytest.mark.parametrize("path", CLOSED)
def test_the_kits_own_pages_are_closed_to_the_world(place: Place, trust: ssl.SSLContext, path: str) -> None:
    """Also with the token, and however the path is spelt; it is nginx that says no, not the app."""
    answer = ask(place.https, path, tls=trust, Authorization=f"Bearer {TOKEN}")
    assert answer.status == 404
    assert b"nginx" in answer.body


def test_the_networks_that_are_named_read_metrics_with_the_token(place: Place) -> None:
    for path in ("/metrics", "/health/metrics"):
        answer = plain(place, path, Authorization=f"Bearer {TOKEN}")
        assert answer.status == 200, answer.body
        assert b"db_pool_" in answer.body
        assert plain(place, path).status == 404
    assert plain(place, "/ops/", Authorization=f"Bearer {TOKEN}").status == 404
    assert plain(place, "/health/database/pool", Authorization=f"Bearer {TOKEN}").status == 404


def test_readiness_is_for_the_world_and_not_logged_when_all_is_well(place: Place) -> None:
    assert plain(place, "/readyz").status == 200
    assert '"path":"/readyz"' not in place.log.read_text()


def test_the_log_is_json_with_the_apps_time_and_no_query(place: Place) -> None:
    plain(place, "/echo?token=secret", X_Request_ID="in-the-log", User_Agent='a"b\\c')
    line = wait_for_line(place, "in-the-log")
    entry = json.loads(line)
    assert (entry["path"], entry["status"], entry["app_status"], entry["agent"]) == ("/echo", 200, "200", 'a"b\\c')
    assert float(entry["app_seconds"]) <= entry["seconds"] + 0.01
    assert "secret" not in line


def wait_for_line(place: Place, text: str) -> str:
    """nginx logs a request after its answer."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for line in place.log.read_text().splitlines():
            if text in line:
                return line
        time.sleep(0.02)
    raise AssertionError(f"no line with {text}")


@pytest.mark.parametrize(
    ("name", "cache"),
    [
        ("app.3f2a9c1b.js", "public, max-age=31536000, immutable"), ("app.js", "public, max-age=300"),
        ("report.20240101.csv", "public, max-age=300"), ("page.css", "public, max-age=300"),
    ],
)  # fmt: skip
def test_static_files_come_from_the_folder_with_their_cache_header(place: Place, name: str, cache: str) -> None:
    answer = plain(place, f"/static/{name}")
    assert (answer.status, answer.body.decode()) == (200, STATIC[name])
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == (cache, "nosniff")
    again = plain(place, f"/static/{name}", If_None_Match=answer.headers["etag"])
    assert again.status == 304


@pytest.mark.parametrize(
    "path",
    [
        "/static/../settings.py", "/static../settings.py", "/static/..%2fsettings.py", "/static..%2fsettings.py",
        "/static/%2e%2e/settings.py", "/static/..\\settings.py", "/static/app.js/../../settings.py",
        "/static/.secret", "/static/%2esecret", "/static/link", "/static/none", "/static/",
    ],
)  # fmt: skip
def test_nothing_outside_the_folder_is_served_nor_what_is_hidden(place: Place, path: str) -> None:
    received = raw(
        place.http, f"GET {path} HTTP/1.1\r\nHost: plain.example.com\r\nConnection: close\r\n\r\n".encode()
    )
    assert received.split()[1] in (b"400", b"403", b"404"), received
    assert b"SECRET" not in received
    assert b"immutable" not in received


def test_text_is_compressed_and_a_stream_is_not_held_back_for_it(place: Place) -> None:
    assert plain(place, "/static/page.css", Accept_Encoding="gzip").headers["content-encoding"] == "gzip"
    answer = plain(place, "/whole.csv", Accept_Encoding="gzip")
    assert "content-encoding" not in answer.headers


def test_a_body_over_the_limit_is_refused(place: Place, trust: ssl.SSLContext) -> None:
    for size, status in ((2**20, 200), (2**20 + 1, 413)):
        answer = ask(place.https, "/echo", "POST", b"x" * size, tls=trust)
        assert answer.status == status
    assert answer.headers["strict-transport-security"] == "max-age=63072000"


def test_a_body_in_chunks_reaches_the_app_whole(place: Place) -> None:
    received = raw(
        place.http, b"POST /echo HTTP/1.1\r\nHost: plain.example.com\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n" + b"11170\r\n%b\r\n" % (b"x" * 70_000) * 3 + b"0\r\n\r\n",
    )  # fmt: skip
    answer = json.loads(received.partition(b"\r\n\r\n")[2])
    assert answer["size"] == 210_000
    assert ["content-length", "210000"] in answer["headers"]


def test_headers_without_end_are_refused(place: Place) -> None:
    answer = plain(place, "/echo", Cookie="x" * 9000)
    assert answer.status == 400


HALF = b"GET /echo HTTP/1.1\r\nHost: plain.example.com\r\n"


@pytest.mark.parametrize("half", [HALF, HALF.replace(b"GET", b"POST") + b"Content-Length: 100\r\n\r\nx"])
def test_clients_that_send_half_a_request_hold_no_thread(place: Place, half: bytes) -> None:
    """Ten times as many of them as the app has threads; without the front nobody would be served beside them."""
    clients = [socket.create_connection(("127.0.0.1", place.http), 30) for _ in range(10 * THREADS)]
    try:
        for client in clients:
            client.sendall(half)
        for _ in range(THREADS):
            assert plain(place, "/echo").status == 200
        clients[0].sendall(b"x" * 99 if b"POST" in half else b"Connection: close\r\n\r\n")
        assert clients[0].recv(100).startswith(b"HTTP/1.1 200")
    finally:
        for client in clients:
            client.close()


def test_clients_that_do_not_read_hold_no_thread(place: Place) -> None:
    clients = []
    try:
        for _ in range(3 * THREADS):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", place.http))
            client.sendall(b"GET /big HTTP/1.1\r\nHost: plain.example.com\r\n\r\n")
            clients.append(client)
        for _ in range(THREADS):
            assert plain(place, "/echo").status == 200
    finally:
        for client in clients:
            client.close()


def test_a_stream_arrives_whole(place: Place) -> None:
    answer = plain(place, "/whole.csv")
    assert answer.body.count(b"\n") == 100_001
    assert plain(place, "/api/reports/revenue.csv").body.startswith(b"day,")


def test_a_stream_that_breaks_off_is_seen_to(place: Place) -> None:
    """By 1.1 and its chunks; the end of a 1.0 body and of a broken one look alike."""
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        plain(place, "/broken.csv")


def test_the_first_rows_of_a_stream_come_before_its_last(place: Place) -> None:
    with socket.create_connection(("127.0.0.1", place.http), 30) as client:
        client.sendall(b"GET /broken.csv HTTP/1.1\r\nHost: plain.example.com\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_headers_that_the_app_sets_itself_stand_alone(place: Place, trust: ssl.SSLContext) -> None:
    theirs = ask(place.https, "/secure", tls=trust).headers
    assert theirs["strict-transport-security"] == "max-age=1; preload"
    assert theirs["x-content-type-options"] == "other"
    ours = ask(place.https, "/echo", tls=trust).headers
    assert (ours["strict-transport-security"], ours["x-content-type-options"]) == ("max-age=63072000", "nosniff")
    assert "strict-transport-security" not in plain(place, "/echo").headers


def test_plain_http_leads_to_https_with_method_and_path_but_for_the_certificates_files(place: Place) -> None:
    answer = ask(place.http, "/a?b=%0d%0ac", "POST", host="www.shop.example.com")
    assert (answer.status, answer.headers["location"]) == (308, "https://www.shop.example.com/a?b=%0d%0ac")
    folder = place.path / "www" / "acme" / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token").write_text("proof")
    for host in ("shop.example.com", "plain.example.com"):
        assert ask(place.http, "/.well-known/acme-challenge/token", host=host).body == b"proof"


@pytest.mark.parametrize("host", ["other.example.com", "127.0.0.9", "", "shop.example.com.evil.example"])
def test_a_name_that_is_not_ours_gets_no_answer(place: Place, host: str) -> None:
    asked = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n" if host else "GET / HTTP/1.0\r\n\r\n"
    assert raw(place.http, asked.encode()) == b""


def handshake(place: Place, *options: str) -> str:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{place.https}", "-brief", *options], input="",
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.stdout + done.stderr


OURS = ("-servername", "shop.example.com")
WEAK = ("-cipher", "ALL:@SECLEVEL=0")


@pytest.mark.parametrize(
    ("options", "protocol", "cipher"),
    [
        ((*OURS, "-tls1_3"), "TLSv1.3", "TLS_"),
        ((*OURS, "-tls1_2"), "TLSv1.2", "ECDHE-ECDSA-"),
        ((*OURS, "-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256"), "TLSv1.2",
         "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ],
)  # fmt: skip
def test_a_handshake_of_today_succeeds(place: Place, options: tuple[str, ...], protocol: str, cipher: str) -> None:
    said = handshake(place, *options)
    assert f"Protocol version: {protocol}" in said
    assert re.search(rf"Ciphersuite: {cipher}", said)


@pytest.mark.parametrize(
    "options",
    [
        (*OURS, "-tls1_1", *WEAK), (*OURS, "-tls1", *WEAK),
        (*OURS, "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"),
        (*OURS, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"), ("-servername", "other.example.com"),
        ("-noservername",),
    ],
)  # fmt: skip
def test_an_old_handshake_and_a_name_that_is_not_ours_are_refused(place: Place, options: tuple[str, ...]) -> None:
    said = handshake(place, *options)
    assert "CONNECTION ESTABLISHED" not in said, said
    assert "shop.example.com" not in said


def test_one_address_has_its_rate_and_is_told_when_to_come_again(place: Place) -> None:
    with ThreadPoolExecutor(10) as together:
        answers = list(together.map(lambda _: ask(place.http, "/livez", host="limited.example.com"), range(10)))
    refused = [answer for answer in answers if answer.status == 429]
    assert 0 < len(refused) < len(answers)
    for answer in refused:
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["x-request-id"]
        assert answer.body.startswith(b"Too many requests")


def test_a_balancer_is_believed(place: Place) -> None:
    ask_behind = partial(ask, place.http, "/echo", host="behind.example.com")
    answer = json.loads(ask_behind(X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https").body)
    assert (answer["remote"], answer["url"]) == ("203.0.113.9", "https://behind.example.com/echo")
    answer = json.loads(ask_behind(X_Forwarded_Proto="gopher").body)
    assert (answer["remote"], answer["url"]) == ("127.0.0.1", "http://behind.example.com/echo")


def test_a_host_behind_a_balancer_answers_to_its_own_name(place: Place) -> None:
    """Prometheus asks each host for itself, and has no other name for it."""
    for host in ("127.0.0.1", f"127.0.0.1:{place.http}", "[::1]", "[::1]:80"):
        assert ask(place.http, "/livez", host=host).status == 200


def test_whoever_comes_past_the_balancer_gets_no_answer(place: Place) -> None:
    assert raw(place.http, b"GET / HTTP/1.1\r\nHost: past.example.com\r\nX-Forwarded-For: 10.9.9.9\r\n\r\n") == b""


def test_an_app_that_is_not_there_is_said_so_in_few_words(place: Place) -> None:
    answer = ask(place.http, "/", host="down.example.com", X_Request_ID="down")
    assert (answer.status, answer.headers["retry-after"], answer.headers["x-request-id"]) == (502, "5", "down")
    assert answer.headers["content-type"].startswith("text/plain")
    assert len(answer.body) < 100
    assert b"nginx" not in answer.body
