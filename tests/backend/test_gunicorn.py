"""Real Gunicorn workers, forked before and after the app was imported: right answers, and nothing shared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from scripts.stack.web import Web
from tests.support.client import HttpClient
from tests.support.threads import until

ROOT = Path(__file__).resolve().parents[2]
APPS = ROOT / "tests" / "support" / "apps"
Start = Callable[..., Web]


@pytest.fixture
def gunicorn(url: str) -> Iterator[Start]:
    """Starts Gunicorn with two workers on an app of tests/support/apps, and waits until both answer."""
    with Stack() as stack:

        def start(app: str, path: str, **environ: str) -> Web:
            web = stack.gunicorn(
                {
                    "DATABASE_URL": url, "WORKERS": "2", "THREADS": "4", "HARDEN_APP": f"{APPS / app}:app",
                    "DB_POOL_MAX": "3", **environ,
                }
            )  # fmt: skip
            web.wait_until_ready()
            seen: set[int] = set()
            until(lambda: seen.add(ask_once(web, path)["pid"]) or len(seen) == 2, "both workers answer")
            return web

        yield start


def ask_once(web: Web, path: str) -> dict[str, Any]:
    client = HttpClient(web.url)
    status, _, body = client.request("GET", path, headers={"Connection": "close"})
    client.close()
    assert status == 200, body
    answer: dict[str, Any] = json.loads(body)
    return answer


def ask_often(web: Web, path: str, count: int, clients: int = 16) -> list[dict[str, Any]]:
    """Send so many requests, so many at a time and each on a connection of its own; return the answers."""

    def ask(numbers: range) -> list[dict[str, Any]]:
        return [{"number": number, **ask_once(web, path.format(number=number))} for number in numbers]

    with ThreadPoolExecutor(clients) as pool:
        shares = list(pool.map(ask, [range(start, count, clients) for start in range(clients)]))
    return [answer for share in shares for answer in share]


@pytest.mark.parametrize("preload", ["0", "1"])
def test_two_hundred_requests_at_once_all_get_their_own_answer(
    gunicorn: Start, preload: str, backends: Callable[[], int]
) -> None:
    """`--preload` with plain psycopg2 on an inherited connection: wrong rows, errors and time-outs."""
    before = backends()
    web = gunicorn("whoami.py", "/echo/1", HARDEN_PRELOAD=preload)
    answers = ask_often(web, "/echo/{number}", 200)
    assert all(answer["doubled"] == 2 * answer["number"] for answer in answers)
    owners: dict[int, set[int]] = {}
    for answer in answers:
        owners.setdefault(answer["backend"], set()).add(answer["pid"])
    assert all(len(pids) == 1 for pids in owners.values())  # no backend has answered two workers
    assert len({answer["pid"] for answer in answers}) == 2
    assert len(owners) <= 2 * 3 + 4  # a pool of 3 each, and what a nested connect may add
    assert {answer["imported_in"] in {one["pid"] for one in answers} for answer in answers} == {preload == "0"}
    assert backends() <= before + 2 * 3
    web.stop()
    until(lambda: backends() == before, "the workers' backends end with them")


def test_a_connection_kept_since_the_import_is_each_workers_own_and_its_requests_take_turns(
    gunicorn: Start,
) -> None:
    web = gunicorn("keeps_one.py", "/count")
    answers = ask_often(web, "/count", 60)
    assert {answer["rows"] for answer in answers} == {1}
    by_worker = {(answer["pid"], answer["backend"]) for answer in answers}
    assert len({pid for pid, _ in by_worker}) == len({one for _, one in by_worker}) == len(by_worker) == 2


def test_a_killed_worker_is_replaced_and_its_backends_end(
    gunicorn: Start, cluster: Cluster, backends: Callable[[], int]
) -> None:
    before = backends()
    web = gunicorn("whoami.py", "/echo/1", HARDEN_PRELOAD="1")
    answers = ask_often(web, "/echo/{number}", 40)
    victim = answers[0]["pid"]
    dead = {answer["backend"] for answer in answers if answer["pid"] == victim}
    os.kill(victim, signal.SIGKILL)

    def alive() -> int:
        rows = cluster.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", (list(dead),))
        return int(rows[0][0])

    until(lambda: not alive(), "the killed worker's backends end")
    later = ask_often(web, "/echo/{number}", 40)
    assert all(answer["doubled"] == 2 * answer["number"] for answer in later)
    assert not dead & {answer["backend"] for answer in later}
    web.stop()
    until(lambda: backends() == before, "all backends are gone")


def test_a_preloaded_app_that_keeps_a_connection_is_refused_with_one_line(url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import wsgi"], capture_output=True, text=True, cwd=ROOT,
        env={"DATABASE_URL": url, "HARDEN_APP": f"{APPS / 'keeps_one.py'}:app", "HARDEN_PRELOAD": "1", "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.startswith("harden: error: ") and done.stderr.count("\n") == 1
    assert "workers must not share" in done.stderr
