"""Counting switched on: what the monitor tells arrives, the pools are looked at, and forks and restarts add up."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from flask import Flask

from backend import Hardening, metrics, run_folder, totals, watch
from backend.cache_stats import cache_stats
from backend.database_helper import close_pool, get_pool, transaction
from backend.events import Repeats, RequestEnded, SlowQuery, emit
from backend.fingerprint import statement_of
from backend.metrics import Metrics
from backend.settings import Settings, load
from tests.support.children import FORKS, in_child
from tests.support.ended import requests_ended
from tests.support.threads import until

Make = Callable[..., Metrics]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Starts counting in a folder of its own: `begin(**settings)`."""
    monkeypatch.setattr(run_folder, "_folders", {})
    monkeypatch.setattr(metrics, "_made", {})

    def start(**keywords: Any) -> Metrics:
        metrics.start(settings(tmp_path, **keywords))
        assert metrics.current is not None
        return metrics.current

    yield start
    watch.stop()
    metrics.stop()
    cache_stats.clear()
    for folder in run_folder._folders.values():
        run_folder._forget_parent(folder)


def settings(tmp_path: Path, **keywords: Any) -> Settings:
    return load(keywords={"HARDEN_RUN_DIR": str(tmp_path / "run"), **keywords}, environ={})


def value(counting: Metrics, metric: str, *labels: str) -> float:
    found = counting.read().values.get((metric, labels))
    return sum(found) if found is not None else 0.0


ENDED = requests_ended(RequestEnded("request", "GET", "/", 200, 0.01, "id", (), 0, 0.0))
SLOW = SlowQuery(statement_of("SELECT 1"), "app.py:1", 0.5, 1, route="/")
REPEATS = Repeats((), 60, 0.5, 0.9, "/", "id", (), "", "")


def test_what_is_told_is_counted(begin: Make) -> None:
    counting = begin()
    emit(ENDED)
    emit(SLOW)
    emit(SlowQuery(statement_of("SELECT 1"), "app.py:1", 20.0, -1, sqlstate="57014", is_timeout=True))
    emit(REPEATS)
    assert value(counting, "harden_request_duration_seconds", "/", "GET", "2xx") == 1.01
    assert value(counting, "harden_slow_queries", "/") == 1.0
    assert value(counting, "harden_statement_timeouts", "none") == 1.0
    assert value(counting, "harden_repeats", "/") == 1.0
    assert value(counting, "harden_repeated_queries", "/") == 60.0
    assert value(counting, "harden_repeated_query_seconds", "/") == 0.5


def test_nobody_counts_until_the_first_figure(begin: Make) -> None:
    """Gunicorn's master loads the app as well, with HARDEN_PRELOAD, and is no worker."""
    before = set(threading.enumerate())  # one that an earlier test has stopped may be on its last look
    counting = begin()
    assert totals.read_all(counting.folder, None).values == {}
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "metrics"]
    metrics.begin()
    assert value(counting, "harden_workers") == 1.0


def test_stopping_and_starting_again_goes_on_with_the_same_figures(begin: Make) -> None:
    counting = begin()
    emit(ENDED)
    metrics.stop()
    emit(ENDED)
    assert begin() is counting
    emit(ENDED)
    assert value(counting, "harden_request_duration_seconds", "/", "GET", "2xx") == 2.02
    assert value(counting, "harden_worker_starts") == 1.0
    until(lambda: [thread.name for thread in threading.enumerate()].count("metrics") == 1, "one thread", 10)


def test_a_second_app_of_the_process_is_no_second_worker(begin: Make) -> None:
    counting = begin()
    emit(ENDED)
    begin()
    emit(ENDED)
    assert value(counting, "harden_request_duration_seconds", "/", "GET", "2xx") == 2.02


@FORKS
def test_a_forked_child_is_another_worker_and_its_counts_stay(begin: Make) -> None:
    counting = begin()
    emit(ENDED)

    def serve() -> float:
        emit(ENDED)
        emit(ENDED)
        return value(counting, "harden_workers")

    assert in_child(serve) == 2.0
    assert value(counting, "harden_workers") == 1.0
    assert value(counting, "harden_request_duration_seconds", "/", "GET", "2xx") == 3.03
    assert value(counting, "harden_worker_ends", "killed") == 1.0  # `os._exit` says no goodbye


def test_a_pool_s_figures_are_its_own(begin: Make, url: str, tmp_path: Path) -> None:
    counting = begin(DATABASE_URL=url)
    app = Flask("app")
    Hardening(app, DATABASE_URL=url, DB_POOL_MAX=3, HARDEN_RUN_DIR=str(tmp_path / "run"))
    pool = "DATABASE_URL"
    for _ in range(4):
        with transaction() as conn:
            conn.cursor().execute("SELECT 1")
    with get_pool().connection():
        assert value(counting, "db_pool_connections", pool, "used") == 1.0
        assert value(counting, "db_pool_fullest_worker_ratio", pool) == pytest.approx(1 / 3)
    assert value(counting, "db_pool_max", pool) == 3.0
    found = counting.read().values
    assert found["db_pool_use_time_seconds", (pool,)][0] == 5.0
    assert found["db_pool_create_time_seconds", (pool,)][0] == get_pool().stats()["opened"]
    assert found["db_pool_connections", (pool, "idle")] == [get_pool().stats()["idle"]]
    close_pool()
    assert value(counting, "db_pool_max", pool) == 0.0
    assert counting.read().values["db_pool_use_time_seconds", (pool,)][0] == 5.0


def test_a_new_pool_of_the_same_name_adds_to_the_old_one_s_counts(begin: Make, url: str, tmp_path: Path) -> None:
    counting = begin()
    for name in ("one", "two"):
        Hardening(Flask(name), DATABASE_URL=url, HARDEN_RUN_DIR=str(tmp_path / "run"))
        with transaction() as conn:
            conn.cursor().execute("SELECT 1")
        counting.look()
        close_pool()
    assert counting.read().values["db_pool_use_time_seconds", ("DATABASE_URL",)][0] == 2.0


def test_the_process_s_own_figures_are_there(begin: Make) -> None:
    counting = begin()
    assert value(counting, "harden_resident_memory_bytes") > 1e6
    assert value(counting, "harden_resident_memory_bytes") == pytest.approx(
        value(counting, "harden_largest_worker_memory_bytes"), rel=0.2
    )
    assert value(counting, "harden_cpu_seconds") > 0
    assert value(counting, "harden_threads") >= 2
    assert value(counting, "harden_open_files") > 2


def test_caches_count_what_came_since_the_last_look(begin: Make) -> None:
    counting = begin()
    cache_stats.add("prices", 9, 1)
    assert value(counting, "harden_cache_hits", "prices") == 9.0
    cache_stats.clear()
    cache_stats.add("prices", 2, 0)
    assert value(counting, "harden_cache_hits", "prices") == 11.0
    assert value(counting, "harden_cache_misses", "prices") == 1.0


def test_a_request_through_the_app_is_counted_and_its_pages_are_not(begin: Make, url: str, tmp_path: Path) -> None:
    app = Flask("app")

    @app.get("/users/<int:number>")
    def user(number: int) -> str:
        with transaction() as conn:
            cursor = conn.cursor()
            cursor.execute("SELECT %s + 1", (number,))
            return str(cursor.fetchone()[0])

    begin()
    Hardening(app, DATABASE_URL=url, HARDEN_RUN_DIR=str(tmp_path / "run"))
    client = app.test_client()
    assert client.get("/users/2").text == "3"
    for path in ("/livez", "/metrics", "/health/metrics"):
        assert client.get(path).status_code == 200
    page = client.get("/metrics").text
    labels = 'method="GET",route="/users/<int:number>",status="2xx"'
    assert f"harden_request_duration_seconds_count{{{labels}}} 1.0" in page
    assert page.count("harden_request_duration_seconds_count") == 1
    assert 'harden_query_duration_seconds_count{fingerprint="other",summary="other"} 1.0' in page


def test_a_look_that_fails_is_said_and_the_next_one_comes(
    begin: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics, "EVERY", 0.01)
    counting = begin()
    looks = []

    def broken() -> None:
        looks.append(1)
        raise psycopg2.OperationalError("no server")

    monkeypatch.setattr(counting._figures, "look", broken)
    metrics.begin()
    until(lambda: len(looks) > 3, "it is tried again", 20)
    assert "looking at the pools for /metrics failed" in caplog.text


def test_a_page_comes_also_when_a_pool_cannot_be_looked_at(begin: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = begin()
    emit(ENDED)
    monkeypatch.setattr(counting._figures, "look", lambda: 1 / 0)
    assert value(counting, "harden_request_duration_seconds", "/", "GET", "2xx") == 1.01


def test_a_folder_that_vanishes_leaves_each_worker_its_own_figures(begin: Make, tmp_path: Path) -> None:
    counting = begin()
    emit(ENDED)
    assert value(counting, "harden_metrics_alone") == 0.0
    shutil.rmtree(tmp_path / "run")
    emit(ENDED)
    assert value(counting, "harden_metrics_alone") == 1.0  # the first page without the others says so already
    assert value(counting, "harden_request_duration_seconds", "/", "GET", "2xx") == 2.02


def test_it_can_be_switched_off(url: str, tmp_path: Path) -> None:
    Hardening(app := Flask("app"), DATABASE_URL=url, HARDEN_METRICS=False)
    try:
        assert metrics.current is None
        assert app.test_client().get("/metrics").status_code == 404
        metrics.begin()
    finally:
        watch.stop()
