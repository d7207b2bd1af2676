"""Who may see the ops pages: this machine, the token, a session; and nobody by anything near them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import ops_access
from backend.ops_access import COOKIE, SESSION, Throttle, client_address, may_see, session_value

TOKEN = "correct horse battery staple"
FAR = {"REMOTE_ADDR": "203.0.113.9", "HTTP_HOST": "shop.example"}
NEAR = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8000"}


def cookie(value: str) -> dict[str, str]:
    return {"HTTP_COOKIE": f"theme=dark; {COOKIE}={value}; other=1"}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:5000", "127.0.0.1", "127.1.2.3:80", "[::1]:8000"])
@pytest.mark.parametrize("token", [None, "", TOKEN])
def test_this_machine_sees_all(address: str, host: str, token: str | None) -> None:
    assert may_see({"REMOTE_ADDR": address, "HTTP_HOST": host}, token)


@pytest.mark.parametrize("header", ops_access.FORWARDED)
@pytest.mark.parametrize("value", ["127.0.0.1", "203.0.113.9", "https"])
def test_what_was_forwarded_is_not_this_machine(header: str, value: str) -> None:
    assert not may_see({**NEAR, header: value}, None)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "localhost@evil",
     "[::1", "10.0.0.1", " "]
)  # fmt: skip
def test_a_name_that_leads_here_is_not_this_machine(host: str) -> None:
    """DNS rebinding: a page of the world has its own name resolve to 127.0.0.1."""
    assert not may_see({**NEAR, "HTTP_HOST": host}, None)


def test_a_proxy_that_says_nothing_and_speaks_http_1_0_is_not_this_machine() -> None:
    """nginx with a bare `proxy_pass http://127.0.0.1:8000` sends 127.0.0.1 as Host, and no other header."""
    assert may_see({**NEAR, "SERVER_PROTOCOL": "HTTP/1.1"}, None)
    assert not may_see({**NEAR, "SERVER_PROTOCOL": "HTTP/1.0"}, None)


@pytest.mark.parametrize(
    "address", ["", "203.0.113.9", "10.0.0.1", "127.0.0.2", "127.0.0.1, 1.2.3.4", "localhost"]
)
def test_other_machines_see_nothing(address: str) -> None:
    assert not may_see({**NEAR, "REMOTE_ADDR": address}, None)


def test_the_token_opens_from_anywhere_also_through_a_proxy() -> None:
    sent = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}
    assert may_see({**FAR, **sent}, TOKEN)
    assert may_see({**FAR, **sent, "HTTP_AUTHORIZATION": f"bearer  {TOKEN}"}, TOKEN)


@pytest.mark.parametrize(
    "sent",
    ["", "Bearer", "Bearer ", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
     "Bearer é\x00", "Bearer None"],
)  # fmt: skip
@pytest.mark.parametrize("token", [None, "", TOKEN])
def test_nothing_near_the_token_opens(sent: str, token: str | None) -> None:
    assert not may_see({**FAR, "HTTP_AUTHORIZATION": sent}, token)


def test_a_token_in_any_script_is_compared_as_bytes() -> None:
    sent = "Bearer " + "тайна-ключ".encode().decode("latin-1")  # as a server hands a header on
    assert may_see({**FAR, "HTTP_AUTHORIZATION": sent}, "тайна-ключ")
    assert not may_see({**FAR, "HTTP_AUTHORIZATION": "Bearer ?????-????"}, "тайна-ключ")


def test_a_session_opens_until_it_ends() -> None:
    now = time.time()
    assert may_see({**FAR, **cookie(session_value(TOKEN, now))}, TOKEN)
    assert not may_see({**FAR, **cookie(session_value(TOKEN, now - SESSION - 1))}, TOKEN)
    assert not may_see({**FAR, **cookie(session_value(TOKEN, now + SESSION))}, TOKEN)  # nobody gives one so long
    assert not may_see({**FAR, **cookie(session_value("another token", now))}, TOKEN)
    assert not may_see({**FAR, **cookie(session_value(TOKEN, now))}, None)


@pytest.mark.parametrize("other", ['prefs={"a":"b"}', "valueless", "path=x", "list[]=1", 'broken="', "=", ""])
def test_a_cookie_of_the_app_s_own_spelling_ends_no_session(other: str) -> None:
    session = f"{COOKIE}={session_value(TOKEN, time.time())}"
    for sent in (f"{other}; {session}", f"{session}; {other}", f"{other};{session};{other}"):
        assert may_see({**FAR, "HTTP_COOKIE": sent}, TOKEN)


def test_a_session_holds_no_token_and_cannot_be_lengthened() -> None:
    value = session_value(TOKEN, time.time() - SESSION - 5)
    end, signature = value.split(".")
    assert TOKEN not in value
    assert not may_see({**FAR, **cookie(f"{int(end) + 100}.{signature}")}, TOKEN)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120))
def test_no_made_up_cookie_opens_and_none_breaks(value: str) -> None:
    assert not may_see({**FAR, **cookie(value)}, TOKEN)
    assert not may_see({**FAR, "HTTP_COOKIE": value}, TOKEN)


@pytest.mark.parametrize(
    ("environ", "has"),
    [
        ({"wsgi.url_scheme": "http"}, False),
        ({"wsgi.url_scheme": "https"}, True),
        ({"wsgi.url_scheme": "http", "HTTP_X_FORWARDED_PROTO": "https"}, True),
        ({"wsgi.url_scheme": "http", "HTTP_X_FORWARDED_PROTO": "https, http"}, False),
    ],
)
def test_the_cookie_is_secure_where_the_browser_speaks_https(environ: dict[str, Any], has: bool) -> None:
    text = ops_access.cookie_header(environ, "1.2", 60)[1]
    assert {"HttpOnly", "SameSite=Strict", "Path=/ops", "Max-Age=60"} <= set(text.split("; "))
    assert ("Secure" in text.split("; ")) is has


def test_the_cookie_s_path_is_where_the_app_is_mounted() -> None:
    assert "Path=/shop/ops;" in ops_access.cookie_header({"SCRIPT_NAME": "/shop"}, "", 0)[1]
    assert "Path=/ops;" in ops_access.cookie_header({"SCRIPT_NAME": "/x; Domain=evil"}, "", 0)[1]


def test_the_address_for_the_log_is_the_one_that_believed_proxies_tell() -> None:
    environ = {"REMOTE_ADDR": "10.0.0.5", "HTTP_X_FORWARDED_FOR": "6.6.6.6, 203.0.113.9, 10.0.0.4"}
    assert [client_address(environ, proxies) for proxies in (0, 1, 2, 9)] == [
        "10.0.0.5", "10.0.0.4", "203.0.113.9", "10.0.0.5",
    ]  # fmt: skip
    assert client_address({"HTTP_X_FORWARDED_FOR": "x\nfake log line"}, 1) == "an unknown address"
    assert client_address({}) == "an unknown address"


def test_an_address_is_refused_after_a_few_failures_and_others_are_not() -> None:
    throttle = Throttle(each=3, everybody=5, window=60)
    for _ in range(3):
        assert not throttle.refuses("a")
        throttle.failed("a")
    assert throttle.refuses("a")
    assert not throttle.refuses("b")
    for number in range(50):
        throttle.failed(f"c{number}")
    assert throttle.refuses("b")  # a hundred addresses that guess are one who guesses
    assert len(throttle._failures) == 5


def test_a_refused_address_may_try_again_later() -> None:
    throttle = Throttle(each=1, window=0.05)
    throttle.failed("a")
    deadline = time.monotonic() + 10
    while throttle.refuses("a"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
