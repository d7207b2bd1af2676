"""nginx with gzip and a cache before the policy: nobody gets another's page, a made-up host's, or a length."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request, session, url_for
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.serving import make_server

from backend import Hardening, compress, http_policy, mark_sensitive, sensitive, trust_hosts
from backend.answer_headers import is_private, values_of, with_caching
from scripts.stack import Stack
from scripts.stack.binaries import front_program
from scripts.stack.child import Child, clean_environment
from scripts.stack.ports import free_port
from tests.support.client import HttpClient
from tests.support.threads import until

CONF = """
pid {0}/nginx.pid; error_log {0}/error.log notice; daemon off; {1}
events {{ worker_connections 64; }}
http {{
    access_log off; gzip on; gzip_min_length 1; gzip_proxied any; gzip_vary on;
    gzip_types application/json text/plain;
    client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; fastcgi_temp_path {0}/t3; uwsgi_temp_path {0}/t4;
    scgi_temp_path {0}/t5;
    proxy_cache_path {0}/cache keys_zone=shared:1m;
    server {{
        listen 127.0.0.1:{2};
        location / {{
            proxy_pass http://127.0.0.1:{3}; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto http;
            proxy_cache shared; add_header X-Cache $upstream_cache_status always;
        }}
    }}
}}
"""
Ask = Callable[..., tuple[int, dict[str, str], bytes]]
LONG = "all work and no play " * 100


def _app(url: str, *, hosts: bool) -> Flask:
    app = Flask("fronted")
    app.secret_key = "of the test"
    Hardening(app, DATABASE_URL=url, HARDEN_PROXIES=1)

    @app.get("/me")
    def me() -> Any:
        return {"user": request.cookies.get("user"), "text": LONG}

    @app.get("/public")
    def public() -> Any:
        return url_for("me", _external=True), 200, {"Cache-Control": "public, max-age=60"}

    @app.get("/start")
    def start() -> Any:
        session["user"] = 7
        return LONG, 200, {"Cache-Control": "public, max-age=60", "X-Accel-Expires": "60"}

    @app.get("/token")
    @sensitive
    def token() -> Any:
        return {"token": "t" * 500}

    @app.get("/search")
    def search() -> Any:
        return {"asked": request.args.get("q"), "secret": "s3cr3t", "text": LONG}

    @app.get("/data/<kind>")
    def data(kind: str) -> Any:
        if kind == "secret":
            mark_sensitive()
        return {"text": LONG}

    http_policy(app, sensitive_paths=["/account/"])
    compress(app)
    if hosts:
        trust_hosts(app, ["shop.example.com"])
    return app


@pytest.fixture
def front(url: str, tmp_path: Path) -> Iterator[Callable[..., Ask]]:
    """Puts an app behind nginx and returns a function that asks it."""
    program = front_program("nginx")
    if program is None:
        pytest.skip("nginx is not installed (apt-get install nginx)")
    servers: list[Any] = []
    with Stack() as stack:
        nginx: list[Child] = []

        def start(*, hosts: bool = True) -> Ask:
            server = make_server("127.0.0.1", 0, _app(url, hosts=hosts), threaded=True)
            threading.Thread(target=server.serve_forever).start()
            servers.append(server)
            port, folder = free_port(), tmp_path / "nginx"
            folder.mkdir()
            user = "user root;" if Path("/proc/self").owner() == "root" else ""
            (folder / "nginx.conf").write_text(CONF.format(folder, user, port, server.server_port))
            conf = str(folder / "nginx.conf")
            argv = [str(program), "-p", str(folder), "-c", conf, "-e", str(folder / "e.log")]
            nginx.append(Child("nginx", argv, stack.run, clean_environment(stack.run, {})))

            def ask(path: str, host: str = "shop.example.com", **headers: str) -> Any:
                client = HttpClient(f"http://127.0.0.1:{port}")
                try:
                    sent = {"Host": host, "Accept-Encoding": "gzip", **headers}
                    status, found, body = client.request("GET", path, headers=sent)
                finally:
                    client.close()
                names = {name.lower(): value for name, value in dict(found).items()}
                return status, names, gzip.decompress(body) if names.get("content-encoding") == "gzip" else body

            def answers() -> bool:
                try:
                    return ask("/data/x")[0] in (200, 400)
                except OSError:
                    return False

            until(answers, "nginx answers", 20)
            return ask

        yield start
        for child in nginx:
            child.stop()
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_shared_cache_keeps_no_private_answer_and_no_cookie(front: Callable[..., Ask]) -> None:
    ask = front()
    for user in ("ann", "bob", "ann"):
        status, headers, body = ask("/me", Cookie=f"user={user}")
        assert status == 200 and f'"{user}"'.encode() in body and headers["x-cache"] == "MISS"
    for _ in range(2):
        status, headers, _ = ask("/start")
        assert status == 200 and "session=" in headers["set-cookie"] and headers["x-cache"] == "MISS"
    assert ask("/public")[1]["x-cache"] == "MISS" and ask("/public")[1]["x-cache"] == "HIT"  # it is a cache


def test_without_trusted_hosts_a_made_up_host_poisons_the_cache(front: Callable[..., Ask]) -> None:
    """The fault itself, so that the next test cannot pass for another reason."""
    ask = front(hosts=False)
    assert b"evil.example" in ask("/public", host="evil.example")[2]
    assert b"evil.example" in ask("/public")[2]


@pytest.mark.parametrize(
    "made_up", [{"host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}, {"host": "shop.example.com:81"}]
)
def test_with_them_it_does_not(front: Callable[..., Ask], made_up: dict[str, str]) -> None:
    ask = front()
    status, headers, body = ask("/public", **made_up)
    assert status == 400 and headers["cache-control"] == "no-store" and b"evil" not in body
    assert ask("/public")[2] == b"http://shop.example.com/me"


def test_secrets_and_what_repeats_input_are_not_compressed_by_the_proxy(front: Callable[..., Ask]) -> None:
    ask = front()
    cookie = {"Cookie": "user=ann"}
    for path, headers, is_packed in (
        ("/data/x", {}, True),
        ("/data/x", cookie, True),
        ("/data/secret", {}, False),
        ("/token", {}, False),
        ("/start", {}, False),
        ("/search?q=s3cr", cookie, False),
        ("/search?q=%22s3%22", cookie, False),  # repeated as JSON spells it
        ("/search?q=s3cr", {"Authorization": "Bearer x"}, True),  # no stranger's page can send that
        ("/search?q=xy", cookie, True),
    ):
        found = ask(path, **headers)
        assert found[0] == 200
        assert (found[1].get("content-encoding") == "gzip") is is_packed, (path, headers, found[1])


headers_of_apps = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["Cache-Control", "cache-control", "CACHE-CONTROL"]),
            st.lists(
                st.sampled_from([
                    "public", "private", "s-maxage=60", "max-age=60", "no-store", 'private="x"', "Public",
                    "no-cache", "immutable", "", "PRIVATE",
                ]),
                max_size=4,
            ).map(", ".join),
        ),
        st.just(("Set-Cookie", "a=b")),
        st.just(("X-Accel-Expires", "60")),
        st.just(("Surrogate-Control", "max-age=60")),
        st.just(("Expires", "Thu, 01 Jan 2037 00:00:00 GMT")),
        st.just(("Vary", "*")),
    ),
    max_size=6,
)  # fmt: skip


@given(
    headers_of_apps,
    st.sampled_from(["GET", "HEAD", "POST", "DELETE"]),
    st.sampled_from([200, 204, 301, 304, 404, 500]),
    st.booleans(),
    st.sampled_from([0.0, 5.0]),
)
def test_no_cookie_and_nothing_sensitive_is_ever_for_a_shared_cache(
    headers: list[tuple[str, str]], method: str, status: int, is_sensitive: bool, keep: float
) -> None:
    sent = with_caching(method, status, headers, is_sensitive, keep)
    said = ", ".join(values_of(sent, "Cache-Control"))
    if is_sensitive:
        assert said == "no-store"
    if is_sensitive or values_of(headers, "Set-Cookie"):
        assert is_private(said)
        if not is_private(", ".join(values_of(headers, "Cache-Control"))):
            assert not values_of(sent, "X-Accel-Expires") and not values_of(sent, "Surrogate-Control")
    assert len(values_of(sent, "Set-Cookie")) == len(values_of(headers, "Set-Cookie"))
    assert said or not headers
