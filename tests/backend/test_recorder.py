"""What one process counts: the right cells, bounded labels, its own board after a fork."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import run_folder, totals
from backend.events import QueryGroup, RequestEnded
from backend.fingerprint import statement_of
from backend.metric_names import OTHER, SECONDS
from backend.recorder import MOST_CANDIDATES, MOST_ROUTES, MOST_STATEMENTS, SEEN, Recorder
from backend.run_folder import RunFolder, open_folder
from tests.support.children import FORKS, in_child
from tests.support.ended import requests_ended

REQUESTS, QUERIES = "harden_request_duration_seconds", "harden_query_duration_seconds"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunFolder]:
    monkeypatch.setattr(run_folder, "_folders", {})
    opened = open_folder(str(tmp_path / "run"))
    yield opened
    run_folder._forget_parent(opened)


@pytest.fixture
def recorder(folder: RunFolder) -> Recorder:
    made = Recorder(folder)
    made.begin()
    return made


def group(sql: str, *durations: float, count: int = 0, seconds: float = 0.0, errors: int = 0) -> QueryGroup:
    return QueryGroup(
        statement_of(sql), "app.py:1 in view", count or len(durations), seconds or sum(durations), max(durations),
        durations, 1, errors,
    )  # fmt: skip


def ended(
    *groups: QueryGroup, route: str = "/users/<id>", method: str = "GET", status: int = 200, seconds: float = 0.02,
    kind: str = "request",
) -> RequestEnded:  # fmt: skip
    return RequestEnded(
        kind, method, route, status, seconds, "id", groups, sum(each.count for each in groups),
        sum(each.seconds for each in groups),
    )  # fmt: skip


def count(recorder: Recorder, *events: RequestEnded) -> None:
    """Count requests as `Metrics.ended` does."""
    told = requests_ended(*events)
    for each in told.requests:
        if each.kind == "request":
            recorder.request(each.route, each.method, each.status, each.seconds, each.queries, each.query_seconds)
    recorder.statements(told.lines)


def values(recorder: Recorder, metric: str) -> dict[tuple[str, ...], list[float]]:
    found = totals.read_all(recorder.folder, recorder.board).values
    return {labels: cells for (name, labels), cells in found.items() if name == metric}


def test_a_request_goes_into_the_bucket_of_its_time(recorder: Recorder) -> None:
    for seconds in (0.0, 0.001, 0.0011, 0.3, 99.0):
        count(recorder, ended(seconds=seconds))
    (cells,) = values(recorder, REQUESTS).values()
    buckets = dict(zip([*SECONDS, float("inf")], cells, strict=False))
    assert {bound: count for bound, count in buckets.items() if count} == {
        0.001: 2.0, 0.0025: 1.0, 0.5: 1.0, float("inf"): 1.0
    }  # fmt: skip
    assert cells[-1] == pytest.approx(99.3021)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.floats(0, 100), min_size=1, max_size=20), max_size=5))
def test_every_query_is_in_one_bucket(durations: list[list[float]]) -> None:
    recorder = Recorder(RunFolder(None))
    recorder.begin()
    count(recorder, ended(*(group(f"SELECT {'a' * size} FROM t", *each) for size, each in enumerate(durations))))
    total = [sum(cells) for cells in zip(*values(recorder, QUERIES).values(), strict=True)]
    everything = [each for of_group in durations for each in of_group]
    for at, bound in enumerate(SECONDS):
        assert sum(total[: at + 1]) == sum(each <= bound for each in everything)
    assert sum(total[:-1]) == len(everything)
    assert total[-1] == pytest.approx(sum(everything))


def test_queries_beyond_the_first_thousand_count_by_their_mean(recorder: Recorder) -> None:
    count(recorder, ended(group("SELECT 1", *[0.002] * 1000, count=3000, seconds=2.0 + 2000 * 0.04)))
    (cells,) = values(recorder, QUERIES).values()
    assert cells[SECONDS.index(0.0025)] == 1000.0
    assert cells[SECONDS.index(0.05)] == 2000.0
    assert cells[-1] == pytest.approx(82.0)


def test_labels_are_by_route_method_and_class_of_status(recorder: Recorder) -> None:
    count(recorder, ended(status=201, method="POST"))
    count(recorder, ended(status=503))
    count(recorder, ended(status=404, route=""))
    count(recorder, ended(method="BREW", status=999))
    assert set(values(recorder, REQUESTS)) == {
        ("/users/<id>", "POST", "2xx"), ("/users/<id>", "GET", "5xx"), ("none", "GET", "4xx"),
        ("/users/<id>", OTHER, OTHER),
    }  # fmt: skip


def test_a_block_counts_its_queries_and_no_request(recorder: Recorder) -> None:
    count(recorder, ended(group("SELECT 1", 0.1), kind="block", route="nightly job"))
    assert values(recorder, REQUESTS) == {}
    assert sum(sum(cells[:-1]) for cells in values(recorder, QUERIES).values()) == 1.0


def test_routes_are_bounded(recorder: Recorder) -> None:
    for number in range(MOST_ROUTES + 50):
        count(recorder, ended(route=f"/{number}"))
    found = values(recorder, REQUESTS)
    assert len(found) == MOST_ROUTES + 1
    assert sum(found[OTHER, "GET", "2xx"][:-1]) == 50.0


def test_a_statement_gets_its_label_once_it_was_seen_a_few_times(recorder: Recorder) -> None:
    often, rare = group("SELECT a FROM often", 0.1), group("SELECT b FROM rare", 0.1)
    count(recorder, ended(rare))
    for _ in range(SEEN):
        count(recorder, ended(often))
    recorder.admit()
    count(recorder, ended(often, rare))
    found = values(recorder, QUERIES)
    assert set(found) == {(OTHER, OTHER), (often.statement.id, "SELECT often")}
    assert sum(found[often.statement.id, "SELECT often"][:-1]) == 1.0
    assert sum(found[OTHER, OTHER][:-1]) == SEEN + 2


def test_statements_are_bounded_whatever_comes(recorder: Recorder) -> None:
    names = ["".join(chr(97 + int(digit)) for digit in f"{number:05}") for number in range(3000)]
    for name in names:
        count(recorder, *[ended(group(f"SELECT 1 FROM {name}", 0.1))] * SEEN)
        if len(recorder._candidates) == MOST_CANDIDATES:
            recorder.admit()
    recorder.admit()
    found = values(recorder, QUERIES)
    assert len(found) == MOST_STATEMENTS + 1
    assert sum(sum(cells[:-1]) for cells in found.values()) == 3000 * SEEN
    assert len(recorder._candidates) <= MOST_CANDIDATES
    assert recorder._is_full


@FORKS
def test_a_worker_gives_the_labels_that_others_have_at_once(folder: RunFolder) -> None:
    """Otherwise each of many workers has a hundred statements of its own choice."""
    assert folder.path is not None
    shared = group("SELECT a FROM shared", 0.1)

    def serve() -> None:
        other = Recorder(folder)
        other.begin()
        for _ in range(SEEN):
            count(other, ended(shared))
        other.admit()

    in_child(serve)
    mine = Recorder(folder)
    mine.begin()
    mine.learn()
    count(mine, ended(shared))
    found = values(mine, QUERIES)
    assert sum(found[shared.statement.id, "SELECT shared"][:-1]) == 1.0
    assert sum(found[OTHER, OTHER][:-1]) == SEEN


def test_errors_count_by_statement(recorder: Recorder) -> None:
    known = group("SELECT a FROM t", 0.1, errors=1)
    for _ in range(SEEN):
        count(recorder, ended(known))
    recorder.admit()
    count(recorder, ended(known, group("SELECT b FROM u", 0.1, errors=1)))
    assert values(recorder, "harden_query_errors") == {
        (OTHER, OTHER): [SEEN + 1.0], (known.statement.id, "SELECT t"): [1.0]
    }  # fmt: skip


def test_a_full_board_goes_on_in_other_and_then_nowhere(recorder: Recorder) -> None:
    for number in range(5000):
        recorder.add("harden_cache_hits", (f"{number}" * 100,), 1.0)
    for number in range(5):
        count(recorder, ended(route=f"/{number}", status=200 + number))
    total = sum(cells[0] for cells in values(recorder, "harden_cache_hits").values())
    assert total <= 5000.0  # what found no room at all is not counted
    assert len(recorder._slots) <= 10_000


def test_threads_lose_no_request(recorder: Recorder) -> None:
    one = ended(group("SELECT a FROM t", 0.1, 0.2))

    def work() -> None:
        for _ in range(2000):
            count(recorder, one)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (cells,) = values(recorder, REQUESTS).values()
    assert sum(cells[:-1]) == 12_000.0
    assert sum(sum(cells[:-1]) for cells in values(recorder, QUERIES).values()) == 24_000.0


@FORKS
def test_a_forked_child_counts_on_a_board_of_its_own(recorder: Recorder, folder: RunFolder) -> None:
    count(recorder, ended())

    def serve() -> None:
        recorder.forget_parent()  # as the process's metrics have it done
        recorder.begin()
        for _ in range(5):
            count(recorder, ended())
        recorder.leave()

    in_child(serve)
    (cells,) = values(recorder, REQUESTS).values()
    assert sum(cells[:-1]) == 6.0
    assert values(recorder, "harden_worker_starts") == {(): [2.0]}
    assert values(recorder, "harden_workers") == {(): [1.0]}
    assert values(recorder, "harden_worker_ends") == {("exit",): [1.0], ("killed",): [0.0]}


def test_beginning_twice_is_one_start(recorder: Recorder) -> None:
    recorder.begin()
    assert values(recorder, "harden_worker_starts") == {(): [1.0]}
