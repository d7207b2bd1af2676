"""Real Gunicorn workers, forked before and after the app was imported: right answers, and nothing shared."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from scripts.stack import Stack
from scripts.stack.child import unprivileged_user, user_ids
from scripts.stack.postgres import Cluster
from scripts.stack.web import Web
from tests.support.client import HttpClient
from tests.support.threads import Running, until

ROOT = Path(__file__).resolve().parents[2]
APPS = ROOT / "tests" / "support" / "apps"
Start = Callable[..., Web]
GEVENT = pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed (pip install gevent)")
EVERY_WORKER = ["sync", "gthread", pytest.param("gevent", marks=GEVENT)]


@pytest.fixture
def gunicorn(url: str) -> Iterator[Start]:
    """Starts Gunicorn with two workers on an app of tests/support/apps, and waits until all of them answer."""
    with Stack() as stack:

        def start(
            app: str, path: str, worker: str = "gthread", options: Sequence[str] = (), **environ: str
        ) -> Web:
            threads = "1" if worker == "sync" else "4"  # with more, Gunicorn takes gthread for sync
            settings = {
                "DATABASE_URL": url, "WORKERS": "2", "THREADS": threads, "HARDEN_APP": f"{APPS / app}:app",
                "DB_POOL_MAX": "3", **environ,
            }  # fmt: skip
            asked = [] if worker == "gthread" else ["--worker-class", worker]  # our configuration has gthread
            web = stack.gunicorn(settings, options=[*asked, *options])
            web.wait_until_ready()
            seen: set[int] = set()
            count = int(settings["WORKERS"])
            until(lambda: seen.add(ask_once(web, path)["pid"]) or len(seen) == count, "all workers answer", 30)
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
    until(lambda: backends() <= before, "the workers' backends end with them")


@pytest.mark.parametrize("worker", EVERY_WORKER)
def test_a_connection_kept_since_the_import_is_each_workers_own_and_its_requests_take_turns(
    gunicorn: Start, worker: str
) -> None:
    web = gunicorn("keeps_one.py", "/count", worker)
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
    until(lambda: backends() <= before, "all backends are gone")


def test_a_preloaded_app_that_keeps_a_connection_is_refused_with_one_line(url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import wsgi"], capture_output=True, text=True, cwd=ROOT,
        env={"DATABASE_URL": url, "HARDEN_APP": f"{APPS / 'keeps_one.py'}:app", "HARDEN_PRELOAD": "1", "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.startswith("harden: error: ") and done.stderr.count("\n") == 1
    assert "workers must not share" in done.stderr


def lease_often(web: Web, count: int, clients: int = 16) -> list[dict[str, Any]]:
    """Send so many requests, by psycopg2.connect and from the app's own pool in turn; return the answers.

    Each has a token of its own, which two statements of a transaction bring back: rows of another's are seen.
    """

    def ask(numbers: range) -> list[dict[str, Any]]:
        answers = []
        for number in numbers:
            token = f"{number}-{os.urandom(8).hex()}"
            answer = ask_once(web, f"/lease/{('connect', 'pool')[number // clients % 2]}/{token}")
            answers.append({"is_right": answer["token"] == token and answer["same"], **answer})
        return answers

    with ThreadPoolExecutor(clients) as pool:
        shares = list(pool.map(ask, [range(start, count, clients) for start in range(clients)]))
    return [answer for share in shares for answer in share]


def workers_of(answers: list[dict[str, Any]]) -> dict[int, set[int]]:
    """Return which worker processes each backend has answered."""
    owners: dict[int, set[int]] = {}
    for answer in answers:
        owners.setdefault(answer["backend"], set()).add(answer["pid"])
    return owners


def check(answers: list[dict[str, Any]], count: int) -> None:
    """All answered, all right, and no backend used by two processes."""
    assert (len(answers), [one for one in answers if not one["is_right"]]) == (count, [])
    assert [pids for pids in workers_of(answers).values() if len(pids) > 1] == []


def log_of(web: Web) -> str:
    return web.child.log.read_text()


def alive(cluster: Cluster, answers: list[dict[str, Any]]) -> int:
    """Return how many of the backends that answered are still there."""
    rows = cluster.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", ([one["backend"] for one in answers],)
    )
    return int(rows[0][0])


@pytest.mark.parametrize("preload", ["0", "1"], ids=["", "preload"])
@pytest.mark.parametrize(
    ("worker", "driver"),
    [
        ("sync", ""), ("gthread", ""), pytest.param("gevent", "", marks=GEVENT),
        pytest.param("gevent", "green", marks=GEVENT),
    ],
)  # fmt: skip
def test_160_requests_to_an_app_that_connected_at_its_import_get_their_own_answers(
    gunicorn: Start, backends: Callable[[], int], worker: str, driver: str, preload: str
) -> None:
    """Each type of worker, forked before and after the import, with and without gevent's wait callback."""
    before = backends()
    web = gunicorn("leases.py", "/lease/pool/x", worker, HARDEN_PRELOAD=preload, GREEN_DRIVER=driver)
    answers = lease_often(web, 160)
    check(answers, 160)
    assert {one["worker"] for one in answers} == {worker}
    pids = {one["pid"] for one in answers}
    assert len(pids) == 2
    assert len(workers_of(answers)) <= 2 * (3 + 3)  # two workers, a pool for psycopg2.connect and the app's own
    assert backends() <= before + 2 * (3 + 3) + 2 * (preload == "1")
    imported = {backend for one in answers for backend in one["at_import"]}
    if preload == "1":
        assert {one["imported_in"] for one in answers}.isdisjoint(pids)
        assert imported.isdisjoint(workers_of(answers))
    assert {one["housekeepers"] for one in answers} == {1}
    web.stop()
    until(lambda: backends() <= before, "the backends end with their workers")
    assert "Traceback" not in log_of(web)


@pytest.fixture(scope="module")
def tls_url() -> Iterator[str]:
    """A PostgreSQL of these tests' own, with a certificate that openssl made."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate for PostgreSQL")
    with Stack() as stack:
        folder = stack.run.path / "tls"
        folder.mkdir()
        folder.chmod(0o755)
        key, certificate = folder / "server.key", folder / "server.crt"
        subprocess.run(
            [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
             "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        for file in (key, certificate):
            os.chown(file, *user_ids(unprivileged_user()))
            file.chmod(0o600)
        cluster = stack.postgres({"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)})
        cluster.create_role("app", "pass word")
        cluster.create_database("app", "app")
        yield f"{cluster.url('app', 'app')}?sslmode=require"


@pytest.mark.parametrize("way", ["plain", "tls"])
def test_four_preloaded_workers_of_four_threads_answer_640_requests_right(
    gunicorn: Start, way: str, url: str, request: pytest.FixtureRequest
) -> None:
    """Of 192 requests to psycopg2's own pool, 58 timed out and 2 got wrong rows; over TLS, 16 failed."""
    where = request.getfixturevalue("tls_url") if way == "tls" else url
    web = gunicorn("leases.py", "/lease/pool/x", DATABASE_URL=where, WORKERS="4", HARDEN_PRELOAD="1")
    answers = lease_often(web, 640, clients=32)
    check(answers, 640)
    assert {one["used_tls"] for one in answers} == {way == "tls"}
    assert len({one["pid"] for one in answers}) == 4
    assert not {backend for one in answers for backend in one["at_import"]} & set(workers_of(answers))
    assert "Traceback" not in log_of(web)


@pytest.mark.parametrize("worker", EVERY_WORKER)
def test_workers_recycled_under_load_fail_no_request_and_leave_no_backend(
    gunicorn: Start, backends: Callable[[], int], worker: str
) -> None:
    before = backends()
    options = ["--max-requests", "40", "--max-requests-jitter", "10"]
    web = gunicorn("leases.py", "/lease/pool/x", worker, options, HARDEN_PRELOAD="1")
    answers: list[dict[str, Any]] = []

    def are_replaced() -> bool:
        answers.extend(lease_often(web, 120, clients=8))
        return len(answers) >= 240 and len({one["pid"] for one in answers}) >= 4

    until(are_replaced, "two workers at least are replaced", 20)  # gevent's look once a second if they are due
    check(answers, len(answers))
    until(lambda: backends() <= before + 2 * (3 + 3) + 2, "the backends of the workers that were replaced end")
    web.stop()
    until(lambda: backends() <= before, "all backends are gone")


@pytest.mark.parametrize("worker", EVERY_WORKER)
def test_a_terminated_server_finishes_what_is_in_flight_and_leaves_no_backend(
    gunicorn: Start, cluster: Cluster, backends: Callable[[], int], worker: str
) -> None:
    before = backends()
    web = gunicorn("leases.py", "/lease/pool/x", worker, GREEN_DRIVER="green" if worker == "gevent" else "")
    clients = [Running(ask_once, web, f"/sleep/{way}/1.5") for way in ("connect", "pool")]

    def asleep() -> bool:
        return cluster.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND state = 'active'"
        ) == [(2,)]  # fmt: skip

    until(asleep, "both requests are inside PostgreSQL")
    os.kill(web.child.process.pid, signal.SIGTERM)
    answers = [client.result(20) for client in clients]
    assert len({one["backend"] for one in answers}) == 2
    web.child.process.wait(20)
    until(lambda: backends() <= before, "all backends are gone")


@pytest.mark.parametrize("preload", ["0", "1"], ids=["", "preload"])
def test_a_reload_under_load_fails_no_request_and_leaves_no_backend(
    gunicorn: Start, cluster: Cluster, backends: Callable[[], int], preload: str
) -> None:
    before = backends()
    web = gunicorn("leases.py", "/lease/pool/x", HARDEN_PRELOAD=preload)
    first = lease_often(web, 32)
    load = Running(lease_often, web, 320)
    os.kill(web.child.process.pid, signal.SIGHUP)
    during = load.result(60)
    check(first + during, 352)
    old = {one["pid"] for one in first}
    until(lambda: ask_once(web, "/lease/pool/x")["pid"] not in old, "new workers answer", 20)
    until(lambda: not alive(cluster, [one for one in first + during if one["pid"] in old]), "old backends end", 30)
    after = lease_often(web, 32)
    check(after, 32)
    assert old.isdisjoint({one["pid"] for one in after})
    web.stop()
    until(lambda: backends() <= before, "all backends are gone")


@GEVENT
def test_a_killed_gevent_worker_is_replaced_and_its_backends_end(
    gunicorn: Start, cluster: Cluster, backends: Callable[[], int]
) -> None:
    """Forked from a master that is monkey patched itself: it must notice the death of a child all the same."""
    before = backends()
    asked = {"GUNICORN_CMD_ARGS": "--worker-class=gevent", "HARDEN_PRELOAD": "1", "GREEN_DRIVER": "green"}
    web = gunicorn("leases.py", "/lease/pool/x", **asked)
    first = lease_often(web, 64)
    assert {one["worker"] for one in first} == {"gevent"}
    assert len(workers_of(first)) <= 2 * (3 + 3)  # each greenlet is a caller of its own: it was patched in time
    victim = first[0]["pid"]
    os.kill(victim, signal.SIGKILL)
    until(lambda: not alive(cluster, [one for one in first if one["pid"] == victim]), "its backends end")
    old = {one["pid"] for one in first}
    until(lambda: ask_once(web, "/lease/pool/x")["pid"] not in old, "another worker takes its place", 20)
    check(lease_often(web, 64), 64)
    web.stop()
    until(lambda: backends() <= before, "all backends are gone")
