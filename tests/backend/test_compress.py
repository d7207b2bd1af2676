"""Compression by one of two, never both, and by the app with tags that still match."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from flask import Flask, request

from backend import SettingsError, compress, json_response, sensitive

LONG = b'{"text": "' + b"word " * 500 + b'"}'


def _client(**config: Any) -> Any:
    app = Flask("compressed")
    app.config.update(config)
    compress(app)

    @app.route("/json", methods=["GET", "POST"])
    def answer() -> Any:
        return json_response(LONG)

    @app.get("/secret")
    @sensitive
    def secret() -> Any:
        return json_response(LONG)

    @app.get("/echo/<word>")
    def echo(word: str) -> Any:
        return json_response(LONG + word.encode() + request.args.get("q", "").encode())

    return app.test_client(use_cookies=False)  # or it takes Cookie headers away


def _ask(client: Any, path: str, method: str = "GET", **headers: str) -> Any:
    return client.open(path, method=method, headers={"Accept-Encoding": "gzip", **headers})


def test_an_answer_is_compressed_and_its_tag_still_gets_a_304() -> None:
    client = _client()
    answer = _ask(client, "/json")
    assert answer.headers["Content-Encoding"] == "gzip" and gzip.decompress(answer.data) == LONG
    assert "Accept-Encoding" in answer.headers["Vary"] and answer.headers["ETag"].startswith("W/")
    assert _ask(client, "/json", **{"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert "Content-Encoding" not in client.get("/json").headers


@pytest.mark.parametrize(
    ("path", "method", "headers", "packed"),
    [
        ("/secret", "GET", {}, False),
        ("/json", "POST", {"Cookie": "a=b"}, False),
        ("/json", "POST", {}, True),
        ("/echo/input", "GET", {"Cookie": "a=b"}, False),
        ("/echo/input", "GET", {"Authorization": "Basic eDp5"}, False),
        ("/echo/input", "GET", {}, True),
        ("/json?q=unseen", "GET", {"Cookie": "a=b"}, True),
        ("/json?" + "&".join(f"name{n}=value{n}" for n in range(60)), "GET", {"Cookie": "a=b"}, False),
        ("/json?q=word+word", "GET", {"Cookie": "a=b"}, False),
    ],
)
def test_what_could_tell_a_secret_by_its_length_is_not(path: str, method: str, headers: Any, packed: bool) -> None:
    answer = _ask(_client(), path, method, **headers)
    assert answer.status_code == 200
    assert (answer.headers.get("Content-Encoding") == "gzip") is packed
    assert packed or answer.data.startswith(LONG)


def test_behind_a_proxy_the_app_does_not_and_both_is_refused() -> None:
    client = _client(HARDEN_PROXIES=1)
    assert "Content-Encoding" not in _ask(client, "/json").headers
    assert _ask(client, "/secret").headers["Content-Encoding"] == "identity"
    app = Flask("both")
    app.config["HARDEN_PROXIES"] = 1
    with pytest.raises(SettingsError, match="not both"):
        compress(app, by="app")
    with pytest.raises(SettingsError, match="must be 'app' or 'proxy'"):
        compress(Flask("x"), by="brotli")
