"""The order of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from scripts.bench.pool import rounds
from scripts.bench.pool.rounds import Plan, Rounds, rotated
from scripts.bench.pool.subjects import BY_KEY, Subject
from scripts.bench.session import WorkerError
from scripts.progress import Progress

SUBJECTS = [BY_KEY["ours"], BY_KEY["psycopg2"], BY_KEY["dbutils"]]


class Server:
    """A server that has nothing to say."""

    dsn = ""

    def opened(self, name: str) -> int:
        return 0

    backends = opened

    def terminate(self, name: str) -> None: ...

    wait_until_gone = terminate


class Worker:
    """Answers at once; some subjects do not start, some jobs fail."""

    jobs: list[tuple[str, str]] = []
    broken: Sequence[tuple[str, str]] = ()

    def __init__(self, python: str, module: str, key: str, setup: Any, run: Any) -> None:
        self.key = key

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None: ...

    def stop(self) -> None: ...

    def ask(self, job: str, *_: object, **arguments: Any) -> dict[str, Any]:
        if (self.key, job) in self.broken:
            raise WorkerError("ImportError: no module")
        self.jobs.append((self.key, job))
        return {"versions": {}} if job == "hello" else {f"{job}_us": 1.0}


@pytest.fixture(autouse=True)
def _doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "Worker", Worker)
    monkeypatch.setattr(Worker, "jobs", [])


def _measure(plan: Plan, subjects: Sequence[Subject] = SUBJECTS) -> rounds.Outcome:
    return Rounds(Server(), None, plan, "python", Progress()).measure(subjects)  # type: ignore[arg-type]


def test_every_round_begins_with_another_subject() -> None:
    firsts = [rotated(SUBJECTS, number)[0].key for number in range(4)]
    assert firsts == ["ours", "psycopg2", "dbutils", "ours"]
    assert all(len(set(rotated(SUBJECTS, number))) == 3 for number in range(4))


def test_rounds_are_interleaved() -> None:
    _measure(Plan(rounds=2))
    order = [key for key, job in Worker.jobs if job == "checkout"]
    assert order == ["ours", "psycopg2", "dbutils", "psycopg2", "dbutils", "ours"]


def test_a_subject_that_does_not_start_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "broken", [("dbutils", "hello")])
    outcome = _measure(Plan(rounds=1))
    assert outcome.left_out == {"dbutils": "ImportError: no module"}
    assert outcome.measured.keys() == {"ours", "psycopg2"}


def test_a_figure_that_fails_is_reported_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "broken", [("psycopg2", "contention")])
    outcome = _measure(Plan(rounds=1, slow_rounds=1))
    assert outcome.problems == ["64 threads on 8 connections: psycopg2, polled: ImportError: no module"]
    assert outcome.measured["psycopg2"]["storm_us"] == [1.0]


def test_a_machine_that_is_too_slow_leaves_out_rounds_but_no_figure() -> None:
    outcome = _measure(Plan(rounds=3, slow_rounds=1, threads=(1,), budget=0.0))
    assert outcome.cut.count("checkout") == 2
    assert {len(values) for values in outcome.measured["ours"].values()} == {1}


def test_a_subject_without_a_pool_has_no_memory_of_idle_connections() -> None:
    _measure(Plan(rounds=1), [BY_KEY["connect"]])
    assert ("connect", "memory") not in Worker.jobs
    assert ("connect", "recovery") in Worker.jobs
