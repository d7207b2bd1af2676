"""Streams from a real Gunicorn: a client that goes away, one that hardly reads, and an error in the middle."""

from __future__ import annotations

import csv
import http.client
import io
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from scripts.stack import Stack
from scripts.stack.web import Web
from tests.support.threads import until

APP = Path(__file__).resolve().parents[1] / "support" / "apps" / "streams.py"
GEVENT = pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed (pip install gevent)")


@pytest.fixture(scope="module")
def start(request: pytest.FixtureRequest, cluster: Any, database: str) -> Iterator[Callable[[str], Web]]:
    """A function that starts one Gunicorn per type of worker, each with one process."""
    running: dict[str, Web] = {}
    with Stack() as stack:

        def start_once(worker: str) -> Web:
            if worker not in running:
                settings = {
                    "DATABASE_URL": cluster.url(database, "app"), "WORKERS": "1", "THREADS": "8",
                    "DB_POOL_MAX": "8",
                    "HARDEN_APP": f"{APP}:app",
                }  # fmt: skip
                options = [] if worker == "gthread" else ["--worker-class", worker]
                running[worker] = stack.gunicorn(settings, options=options, name=f"gunicorn-{worker}")
                running[worker].wait_until_ready()
            return running[worker]

        yield start_once


@pytest.fixture(params=["gthread", pytest.param("gevent", marks=GEVENT)])
def web(request: pytest.FixtureRequest, start: Callable[[str], Web]) -> Web:
    return start(request.param)


READERS: dict[str, Callable[[str], Any]] = {
    "csv": lambda text: list(csv.reader(io.StringIO(text), strict=True)),
    "ndjson": lambda text: [json.loads(line) for line in text.splitlines()],
    "json": json.loads,
}


def get(web: Web, path: str) -> tuple[int, dict[str, str], bytes]:
    client = http.client.HTTPConnection(web.host, web.port, timeout=30)
    try:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        client.close()


def state(web: Web) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(get(web, "/state")[2])
    return answer


def begin(web: Web, path: str) -> socket.socket:
    """Ask, and read no more than the first line, into a small buffer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(30)
    client.connect((web.host, web.port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def is_free(web: Web) -> bool:
    return bool(state(web)["used"] == 0)


def test_all_rows_arrive_in_chunks(web: Web) -> None:
    status, headers, body = get(web, "/rows.json?n=50000")
    assert (status, headers["Transfer-Encoding"], "Content-Length" in headers) == (200, "chunked", False)
    assert json.loads(body) == [{"n": n} for n in range(1, 50001)]
    assert state(web)["used"] == 0


@pytest.mark.parametrize("via", ["auto", "cursor"])
def test_a_client_that_goes_away_frees_the_connection_at_once(web: Web, via: str) -> None:
    before = state(web)
    for _ in range(3):
        with begin(web, f"/endless.csv?via={via}") as client:
            client.recv(4096)
            assert state(web)["used"] == 1
        until(lambda: is_free(web), "the connection is back")
    assert state(web)["opened"] <= before["opened"] + 1  # healthy ones: cancelled, rolled back, used again


def test_a_client_that_reads_a_byte_at_a_time_makes_postgresql_wait_and_not_the_memory_grow(web: Web) -> None:
    with begin(web, "/endless.csv") as client:
        before = state(web)
        for _ in range(40):
            assert client.recv(1)
            time.sleep(0.05)
        after = state(web)
        assert after["used"] == 1
        assert after["memory"] - before["memory"] < 20 * 2**20
    until(lambda: is_free(web), "the connection is back")


def test_a_client_that_stops_reading_loses_its_connection_while_the_server_is_stuck(
    start: Callable[[str], Web],
) -> None:
    """Gunicorn's thread stands in send(); only the thread of COPY can notice."""
    web = start("gthread")
    with begin(web, "/endless.csv?stall=0.5") as client:
        until(lambda: is_free(web), "the connection is back although the client is still there")
        until(lambda: "'endless.csv' was cut off: the client took nothing" in web.child.log.read_text(), "logged")
        received = b"".join(iter(lambda: client.recv(65536), b""))
        assert received.endswith(b'"INCOMPLETE: the export was cut off here\r\n')  # and no chunk of length 0


@pytest.mark.parametrize("kind", ["csv", "ndjson", "json"])
@pytest.mark.parametrize("via", ["auto", "cursor"])
def test_an_error_in_the_middle_is_no_complete_answer(web: Web, kind: str, via: str) -> None:
    client = http.client.HTTPConnection(web.host, web.port, timeout=30)
    client.request("GET", f"/fails.{kind}?via={via}")
    answer = client.getresponse()
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    client.close()
    until(lambda: is_free(web), "the connection is back")
    log = web.child.log.read_text()
    assert "was cut off: division by zero, after" in log


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_calls_it_a_partial_file(web: Web) -> None:
    done = subprocess.run(["curl", "-sS", f"{web.url}/fails.csv"], capture_output=True, timeout=60)
    assert done.returncode == 18, done.stderr


def test_for_http_1_0_which_has_no_chunks_the_text_itself_is_broken(start: Callable[[str], Web]) -> None:
    """As nginx asks by default."""
    web = start("gthread")
    for kind in ("csv", "ndjson", "json"):
        with socket.create_connection((web.host, web.port), 30) as client:
            client.sendall(f"GET /fails.{kind} HTTP/1.0\r\n\r\n".encode())
            body = b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")[2]
        with pytest.raises((json.JSONDecodeError, csv.Error)):
            READERS[kind](body.decode())


def test_more_streams_than_allowed_are_a_503_that_says_when_to_come_back(web: Web) -> None:
    with begin(web, "/endless.csv?most=1"):
        status, headers, body = get(web, "/rows.csv?n=1&most=1")
        assert (status, headers["Retry-After"]) == (503, "5")
        assert b"SELECT" not in body
    until(lambda: is_free(web), "the connection is back")
    assert get(web, "/rows.csv?n=1&most=1")[0] == 200
