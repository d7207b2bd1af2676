"""The ops page of a real Gunicorn with four workers: whoever answers shows all of them, dead ones too."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.stack import Stack
from scripts.stack.web import Web
from tests.support.client import HttpClient
from tests.support.threads import until

APP = """
import os
import psycopg2
from flask import Flask, jsonify

app = Flask(__name__)

@app.get("/")
def answer():
    conn = psycopg2.connect(os.environ["DATABASE_URL"])
    with conn, conn.cursor() as cursor:
        for number in range(20):
            cursor.execute("SELECT %s::int", (number,))
    conn.close()
    return jsonify(pid=os.getpid())

@app.get("/fail")
def fail():
    raise RuntimeError("on purpose")
"""
WORKERS, REQUESTS = 4, 40


@pytest.fixture(scope="module", params=["0", "1"], ids=["loaded by each", "preloaded"])
def web(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cluster: Any, database: str
) -> Iterator[Web]:
    """Gunicorn with four workers on an unedited app, each of which has answered."""
    app = tmp_path_factory.mktemp("ops") / "loops.py"
    app.write_text(APP)
    with Stack() as stack:
        settings = {
            "DATABASE_URL": cluster.url(database, "app"), "WORKERS": str(WORKERS), "THREADS": "2",
            "HARDEN_APP": f"{app}:app", "HARDEN_PRELOAD": request.param,
        }  # fmt: skip
        running = stack.gunicorn(settings)
        running.wait_until_ready()
        yield running


def get(web: Web, path: str) -> dict[str, Any]:
    client = HttpClient(web.url)
    _, _, body = client.request("GET", path, headers={"Connection": "close"})
    client.close()
    found: dict[str, Any] = json.loads(body)
    return found


def ask_all(web: Web) -> tuple[int, set[int]]:
    """Send requests until every worker has answered some; return how many, and who they are."""
    pids: list[int] = []

    def have_all_answered() -> bool:
        pids.append(get(web, "/")["pid"])
        return len(pids) >= REQUESTS and len(set(pids)) == WORKERS

    until(have_all_answered, "all workers answer", 60)
    return len(pids), set(pids)


def test_whoever_answers_shows_all_workers_and_a_killed_one_stays_in_the_sums(web: Web) -> None:
    count, pids = ask_all(web)
    client = HttpClient(web.url)
    client.request("GET", "/fail", headers={"Connection": "close"})
    client.close()

    def shows_all() -> bool:
        data = get(web, "/ops/data.json")  # on a new connection, so by any worker
        routes = {row["route"]: (row["count"], row["errors"]) for row in data["routes"]}
        is_whole = routes == {"/": (count, 0), "/fail": (1, 1)} and data["service"]["requests"] == count + 1
        return is_whole and {worker["pid"] for worker in data["workers"]} == pids

    # Each has its own figures at once, and the others' after a second.
    until(lambda: all(shows_all() for _ in range(20)), "every worker shows all workers' requests", 60)
    data = get(web, "/ops/data.json")
    (incident,) = data["incidents"]
    assert (incident["count"], incident["times"], incident["route"]) == (20, count, "/")
    assert incident["lines"][0]["site"].endswith("loops.py:13 in answer")
    (query,) = [row for row in data["queries"] if row["most_per_request"] == 20]
    assert query["count"] == 20 * count
    assert (data["scope"], data["note"], data["service"]["errors"]) == ("service", "", 1)

    victim = min(pids)
    os.kill(victim, signal.SIGKILL)

    def is_told() -> bool:
        data = get(web, "/ops/data.json")
        is_gone = victim not in {worker["pid"] for worker in data["workers"]}
        return is_gone and (data["ended_workers"], data["service"]["requests"]) == (1, count + 1)

    until(lambda: all(is_told() for _ in range(10)), "a killed worker's counts stay, its gauges go", 60)
    assert get(web, "/ops/data.json")["incidents"][0]["times"] == count
