"""`/metrics` of a real Gunicorn with four workers: its sums are what was sent, whatever happens to the workers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from backend.metric_names import TABLE
from scripts.stack import Stack
from scripts.stack.web import Web
from tests.support.client import HttpClient
from tests.support.scrape import Page, scrape
from tests.support.threads import until

ROOT = Path(__file__).resolve().parents[3]
REQUESTS = "harden_request_duration_seconds_count"
STARTS = "harden_worker_starts_total"
DUE = "Autorestarting worker"
Start = Callable[..., Web]


@pytest.fixture
def start(url: str) -> Iterator[Start]:
    """Starts Gunicorn on the counted app, and waits until all workers are there."""
    with Stack() as stack:

        def begin(options: Sequence[str] = (), workers: int = 4, **environ: str) -> Web:
            settings = {
                "DATABASE_URL": url, "WORKERS": str(workers), "THREADS": "4", "DB_POOL_MAX": "2",
                "HARDEN_APP": f"{ROOT / 'tests/support/apps/counted.py'}:app", **environ,
            }  # fmt: skip
            web = stack.gunicorn(settings, options=options)
            web.wait_until_ready()
            if "HARDEN_RUN_DIR" not in environ:
                until(lambda: scrape(web).sum("harden_workers") == workers, "all workers count", 30)
            return web

        yield begin


class Sent:
    """Sends requests on fresh connections and keeps count of the answers."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.answers: Counter[tuple[str, str, str]] = Counter()
        self.lost = 0
        self._lock = threading.Lock()

    def send(self, path: str, route: str, method: str = "GET") -> None:
        client = HttpClient(self.web.url)
        try:
            status = client.request(method, path, headers={"Connection": "close"})[0]
        except OSError:
            with self._lock:
                self.lost += 1
            return
        except Exception:  # a half answer of a worker that was killed
            with self._lock:
                self.lost += 1
            return
        finally:
            client.close()
        with self._lock:
            self.answers[route, method, f"{status // 100}xx"] += 1

    def send_all(self, work: Sequence[tuple[str, ...]], clients: int = 8) -> None:
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda each: self.send(*each), work))


def counted(page: Page) -> dict[tuple[str, ...], float]:
    return page.values(REQUESTS, "route", "method", "status")


def work(times: int) -> list[tuple[str, ...]]:
    return [
        ("/plain", "/plain"), ("/one/3", "/one/<int:number>"), ("/one/3", "/one/<int:number>", "POST"),
        ("/many/9", "/many/<int:count>"), ("/wrong", "/wrong"), ("/nowhere", "none"),
    ] * times  # fmt: skip


@pytest.mark.parametrize("preload", ["0", "1"])
def test_the_sums_of_four_workers_are_what_was_sent(start: Start, preload: str) -> None:
    web = start(HARDEN_PRELOAD=preload)
    sent = Sent(web)
    sent.send_all(work(20))
    sent.send_all([("/slow", "/slow")] * 3)
    page = scrape(web)
    assert counted(page) == dict(sent.answers)
    assert sum(sent.answers.values()) == 123
    page = _with_statements(web, 20 * (1 + 1 + 9 + 1) + 3)
    assert page.sum("harden_request_queries_sum", route="/many/<int:count>") == 180
    assert page.sum("harden_query_errors_total") == 20
    repeats = page.values("harden_repeats_total", "route")
    assert {route: count for route, count in repeats.items() if count} == {("/many/<int:count>",): 20}
    assert repeats["/plain",] == 0
    assert page.values("harden_repeated_queries_total", "route") == {("/many/<int:count>",): 180}
    assert page.sum("harden_slow_queries_total", route="/slow") == 3
    assert page.sum("harden_request_query_seconds_total", route="/slow") >= 0.45
    assert (page.sum(STARTS), page.sum("harden_workers"), page.sum("harden_metrics_alone")) == (4, 4, 0)
    until(lambda: scrape(web).sum("db_pool_max", pool="psycopg2.connect") == 8, "all pools are seen", 20)
    assert scrape(web).sum("db_pool_use_time_seconds_count") >= 1
    _is_whole(page)


def _with_statements(web: Web, queries: int) -> Page:
    """Return a page once it has the queries by statement as well: a second later at most."""
    until(
        lambda: scrape(web).sum("harden_query_duration_seconds_count") >= queries, "statements are counted", 20
    )
    page = scrape(web)
    assert page.sum("harden_query_duration_seconds_count") == queries
    return page


def _is_whole(page: Page) -> None:
    """See that all there can be on a page is there, and that promtool finds no fault with it."""
    names = {family.name for family in page.families}
    only_sometimes = {"harden_cache_hits", "harden_cache_misses", "db_pool_closed"}
    pgbouncer = {metric.name for metric in TABLE if metric.name.startswith("harden_pgbouncer_")}
    assert {metric.name for metric in TABLE} - only_sometimes - pgbouncer <= names
    promtool = shutil.which("promtool")
    if promtool is not None:
        done = subprocess.run([promtool, "check", "metrics"], input=page.text, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed (pip install gevent)")
def test_gevent_workers_count_as_well(start: Start) -> None:
    web = start(["--worker-class", "gevent"], workers=2)
    sent = Sent(web)
    sent.send_all(work(10))
    page = scrape(web)
    assert counted(page) == dict(sent.answers)
    _with_statements(web, 10 * (1 + 1 + 9 + 1))


def test_killed_workers_lose_none_of_the_requests_that_were_answered(start: Start) -> None:
    """Four times `kill -9` in the middle of load, each of another worker."""
    web = start()
    sent = Sent(web)
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            sent.send("/one/3", "/one/<int:number>")

    threads = [threading.Thread(target=load) for _ in range(6)]
    for thread in threads:
        thread.start()
    for number in range(1, 5):
        os.kill(_children(web)[0], signal.SIGKILL)
        until(lambda killed=number: scrape(web).sum(STARTS) == 4 + killed, "another worker starts", 30)  # type: ignore[misc]
    done.set()
    for thread in threads:
        thread.join(30)
    page = scrape(web)
    answered = sum(sent.answers.values())
    in_page = page.sum(REQUESTS, route="/one/<int:number>", status="2xx")
    assert answered <= in_page <= answered + sent.lost  # what was counted and not sent when its worker died
    assert page.sum("harden_worker_ends_total", how="killed") == 4
    until(lambda: scrape(web).sum("harden_workers") == 4, "four are alive", 20)
    _sums_stay(web, in_page)


def _sums_stay(web: Web, requests: float) -> None:
    """Let the boards of the dead be added up, and see that nothing jumps meanwhile."""
    folder = _folder(web)
    deadline = time.monotonic() + 30
    while len(list(folder.glob("*.metrics"))) > 4:
        assert scrape(web).sum(REQUESTS, route="/one/<int:number>") == requests
        assert time.monotonic() < deadline
    assert scrape(web).sum(REQUESTS, route="/one/<int:number>") == requests


def test_workers_that_are_replaced_in_peace_lose_nothing_either(start: Start) -> None:
    web = start(["--max-requests", "40", "--max-requests-jitter", "0"])
    sent = Sent(web)
    sent.send_all([("/one/3", "/one/<int:number>"), ("/nowhere", "none")] * 150)
    until(lambda: scrape(web).sum(STARTS) > 4, "the first is replaced", 30)
    page = until(lambda: _settled(web), "four are alive, and all others have ended", 30)
    assert sent.lost == 0
    assert counted(page) == dict(sent.answers)
    assert page.sum("harden_worker_ends_total", how="killed") == 0


def test_workers_that_are_due_together_are_replaced_one_after_the_other(start: Start) -> None:
    web = start(["--max-requests", "40", "--max-requests-jitter", "0"], workers=3)
    sent = Sent(web)

    def are_replaced() -> bool:
        sent.send_all([("/one/3", "/one/<int:number>")] * 60)
        return web.child.log.read_text().count(DUE) >= 4

    until(are_replaced, "four workers were due", 60)
    lines = web.child.log.read_text().splitlines()
    events = [("due" if DUE in line else "began") for line in lines if DUE in line or "Booting worker" in line]
    assert events[:3] == ["began"] * 3
    assert "due due" not in " ".join(events)
    assert sent.lost == 0


def test_the_folder_goes_with_the_service_and_what_a_killed_one_left_with_the_next(start: Start) -> None:
    web = start(workers=2)
    folder = _folder(web)
    assert folder.stat().st_mode & 0o777 == 0o700
    web.stop()
    assert not folder.exists()
    left = folder.with_name(f"harden-figures-{os.geteuid()}-0123456789abcdef")
    left.mkdir(mode=0o700)
    (left / "1-00000000.lock").touch()
    os.utime(left, (1, 1))
    start(workers=2)
    assert not left.exists()


def test_a_reload_keeps_the_figures(start: Start) -> None:
    web = start(workers=2)
    sent = Sent(web)
    sent.send_all([("/plain", "/plain")] * 10)
    os.kill(web.child.pid, signal.SIGHUP)
    until(lambda: scrape(web).sum(STARTS) == 4, "two new workers", 30)
    until(lambda: scrape(web).sum("harden_workers") == 2, "the old ones end", 30)
    assert counted(scrape(web)) == dict(sent.answers)


def test_a_folder_that_cannot_be_used_costs_figures_and_no_request(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("a file")
    web = start(HARDEN_RUN_DIR=str(path), workers=2)
    sent = Sent(web)
    sent.send_all(work(5))
    assert sum(sent.answers.values()) == 30
    assert sent.lost == 0
    page = scrape(web)
    assert (page.sum("harden_metrics_alone"), page.sum("harden_workers")) == (1, 1)


def test_a_full_folder_costs_figures_and_no_request(start: Start, tmp_path: Path) -> None:
    """A sparse file on a full tmpfs ends the process by SIGBUS at the first figure."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(small)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    try:
        web = start(HARDEN_RUN_DIR=str(small), workers=2)
        sent = Sent(web)
        sent.send_all(work(5))
        assert (sum(sent.answers.values()), sent.lost) == (30, 0)
        assert scrape(web).sum("harden_metrics_alone") == 1
        # Each worker tells of itself alone, and one of them may have had all the requests.
        until(lambda: scrape(web).sum(REQUESTS), "a worker tells of its requests")
        assert len(_children(web)) == 2
        web.stop()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_scraper_that_reads_nothing_hurts_nobody(start: Start) -> None:
    web = start(workers=2)
    stalled = []
    for _ in range(4):
        one = socket.create_connection((web.host, web.port), timeout=20)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        one.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stalled.append(one)
    try:
        sent = Sent(web)
        sent.send_all(work(5))
        assert (sum(sent.answers.values()), sent.lost) == (30, 0)
        assert counted(scrape(web)) == dict(sent.answers)
    finally:
        for one in stalled:
            one.close()


def _settled(web: Web) -> Page | None:
    page = scrape(web)
    has_ended = page.sum("harden_worker_ends_total") == page.sum(STARTS) - 4
    return page if has_ended and page.sum("harden_workers") == 4 else None


def _children(web: Web) -> list[int]:
    found = Path(f"/proc/{web.child.pid}/task/{web.child.pid}/children").read_text().split()
    return [int(pid) for pid in found]


def _folder(web: Web) -> Path:
    """Return the run folder, from a worker's memory map."""
    for line in Path(f"/proc/{_children(web)[0]}/maps").read_text().splitlines():
        if ".metrics" in line:
            return Path(line.split()[-1]).parent
    raise AssertionError("no worker has a board")
