"""Asking the service: whom the token goes to, and one clear line for whatever does not go well."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.errors import CommandError
from scripts.top.service import Service, is_loopback, token_from

GOOD = {"version": 1, "service": {}}


def refusal(url: str, token: str = "", **options: Any) -> str:
    with pytest.raises(CommandError) as caught:
        Service(url, token, **options).ask()
    line = caught.value.line()
    assert token == "" or token not in line
    return line


@pytest.mark.parametrize("tail", ["", "/", "/ops", "/ops/", "/ops/data.json"])
def test_the_page_s_own_address_will_do_as_well(serve: Any, tail: str) -> None:
    url = serve(200, GOOD)
    assert Service(url.removeprefix("http://") + tail).ask() == GOOD
    assert serve.seen[0][0] == "/ops/data.json"


def test_a_prefix_is_kept_and_the_token_is_sent(serve: Any) -> None:
    Service(serve(200, GOOD) + "/shop/", "abc").ask()
    path, headers = serve.seen[0]
    assert (path, headers["Authorization"]) == ("/shop/ops/data.json", "Bearer abc")


@pytest.mark.parametrize(("when", "asked"), [(99.5, 1), (91.0, 2), ("x", 2)])
def test_who_looks_once_asks_again_when_workers_had_nobody_who_looked(
    serve: Any, monkeypatch: pytest.MonkeyPatch, when: Any, asked: int
) -> None:
    """Workers write every ten seconds while nobody looks: a first answer lacks what they have served since."""
    monkeypatch.setattr("scripts.top.service.NOTICED", 0.01)
    data = {**GOOD, "now": 100.0, "workers": [{"when": 100.0}, {"when": when}]}
    assert Service(serve(200, data)).ask_once() == data
    assert len(serve.seen) == asked


def test_without_a_token_none_is_sent(serve: Any) -> None:
    Service(serve(200, GOOD)).ask()
    assert "Authorization" not in serve.seen[0][1]


@pytest.mark.parametrize(
    "url",
    ["", "ftp://host", "http://", "http://host:99999", "http://[::1", "http://a b", "http://host\r\nX: y", "//", "file:///etc"],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    assert "URL" in refusal(url)


@pytest.mark.parametrize("url", ["http://me:secret@host", "http://host/?token=secret", "http://host/#secret"])
def test_a_secret_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    line = refusal(url)
    assert "the token goes into HARDEN_OPS_TOKEN" in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("host", "is_here"),
    [("localhost", True), ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("10.0.0.1", False),
     ("localhost.evil.example", False), ("127.0.0.1.evil.example", False), ("0.0.0.0", False)],
)  # fmt: skip
def test_this_machine_is_told_from_others(host: str, is_here: bool) -> None:
    assert is_loopback(host) is is_here


def test_the_token_does_not_travel_in_the_open_unless_told() -> None:
    assert "would travel in the open to shop.example" in refusal("http://shop.example", "abc")
    Service("http://shop.example", "abc", allows_plain=True)
    Service("https://shop.example", "abc")
    Service("http://shop.example")


@pytest.mark.parametrize(
    ("status", "token", "said"),
    [(401, "", "wants its token; set HARDEN_OPS_TOKEN"), (401, "abc", "does not take this token"),
     (403, "abc", "does not take this token"), (404, "", "shows no /ops/"), (500, "", "with status 500"),
     (301, "abc", "leads on to 'https://elsewhere/'; give that place as the URL")],
)  # fmt: skip
def test_each_refusal_says_what_to_do(serve: Any, status: int, token: str, said: str) -> None:
    assert said in refusal(serve(status, b"no", {"Location": "https://elsewhere/"}), token)
    assert len(serve.seen) == 1  # the token went nowhere else


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff\xfe", b"[]", b'{"version": 1}', b'{"version": 1, "service": 3}', b"[" * 200_000,
     b'{"version": 1, "service": {"p95": NaN}}'],
    ids=lambda body: body[:20].decode("latin-1"),
)  # fmt: skip
def test_what_is_no_data_of_ours_is_said_to_be_none(serve: Any, body: bytes) -> None:
    assert "is no hardened service" in refusal(serve(200, body))


def test_another_version_of_the_data_is_named(serve: Any) -> None:
    assert "sends version 7 of its data, and this command reads 1" in refusal(serve(200, {**GOOD, "version": 7}))


def test_nobody_there_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        line = refusal(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert "Connection refused; is it running? scripts/harden up APP starts one" in line


def test_a_name_that_leads_nowhere_is_one_line() -> None:
    assert "no answer from http://nowhere.invalid" in refusal("http://nowhere.invalid")


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_something_else_on_the_port_is_one_line(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                client.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        line = refusal(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert line.startswith(("no answer from", "http://127.0.0.1"))


def test_a_service_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.top.service.PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert "timed out" in refusal(f"http://127.0.0.1:{listener.getsockname()[1]}")


def test_an_answer_without_end_is_given_up(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.top.service.MOST_BYTES", 1000)
    assert "too long or too slow" in refusal(serve(200, b" " * 5000))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed (apt-get install openssl)")
def test_a_certificate_is_verified_before_the_token_is_sent(tmp_path: Path, monkeypatch: Any) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        answer_tls = _answering(listener, context, received)
        assert "the certificate of https://127.0.0.1" in refusal(url, "abc")
        answer_tls()
        assert received == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        answer_tls = _answering(listener, context, received)
        assert Service(url, "abc").ask() == GOOD
        answer_tls()
        assert b"Bearer abc" in received[0]


def _answering(listener: socket.socket, context: ssl.SSLContext, received: list[bytes]) -> Callable[[], None]:
    def answer() -> None:
        client, _ = listener.accept()
        try:
            with context.wrap_socket(client, server_side=True) as line:
                received.append(line.recv(4096))
                line.sendall(b'HTTP/1.0 200 OK\r\n\r\n{"version": 1, "service": {}}')
        except OSError:
            client.close()  # the other side did not trust us

    thread = threading.Thread(target=answer)
    thread.start()
    return thread.join


def test_plain_http_where_https_is_asked_for_is_one_line(serve: Any) -> None:
    assert "no answer from https://127.0.0.1" in refusal(serve(200, GOOD).replace("http://", "https://"))


def test_the_token_comes_from_a_file_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  from-file\n")
    environ = {"HARDEN_OPS_TOKEN": "from-environment"}
    assert token_from(file, environ) == "from-file"
    assert token_from(None, environ) == "from-environment"
    assert token_from(None, {}) == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"\xff", "cannot be read"), (b"two words", "holds no token"), (b"x" * 5000, "no token"),
     (b"a\r\nX-Evil: 1", "holds no token"), ("é".encode(), "holds no token"), (b"a\x00b", "holds no token")],
)  # fmt: skip
def test_what_is_no_token_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(CommandError, match=said):
        token_from(file, {})


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        token_from(tmp_path / "none", {})
