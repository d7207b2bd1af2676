"""What a worker shows of itself, how all workers' figures become one, and which files are not believed."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import events, ops_data, ops_merge, ops_publish
from backend.events import QueryGroup, RepeatedLine, Repeats, RequestEnded, RequestsEnded, SlowQuery
from backend.fingerprint import statement_of
from backend.ops_merge import Totals
from backend.ops_publish import KIND, WANTED, Publisher, write
from backend.ops_seen import BOUNDS, MOST_INCIDENTS, MOST_ROUTES, Seen, quantile, seen
from backend.ops_view import MOST_BYTES, View
from backend.query_table import query_table
from backend.run_folder import open_folder
from tests.support.ended import requests_ended
from tests.support.threads import until


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    ops_publish.forget()
    yield
    ops_publish.stop()
    ops_publish.forget()


def ended(
    route: str = "/users", seconds: float = 0.02, queries: int = 3, status: int = 200, kind: str = "request"
) -> RequestsEnded:
    group = QueryGroup(statement_of("SELECT 1"), "app.py:1 in view", queries, 0.01, 0.005, (0.005,), queries)
    return requests_ended(RequestEnded(kind, "GET", route, status, seconds, "id", (group,), queries, 0.01))


def repeats(route: str = "/users", line: int = 7) -> Repeats:
    lines = (RepeatedLine(f"app.py:{line} in view", statement_of("SELECT 2"), 60, 0.03),)
    return Repeats(lines, 60, 0.03, 0.5, route, "id", ("app.py:7 in view",), "do it at once", "fetch_by_ids(...)")


def slow(seconds: float = 0.4, site: str = "app.py:9 in view", is_timeout: bool = False) -> SlowQuery:
    return SlowQuery(statement_of("SELECT 3"), site, seconds, 1, "/users", "id", "", is_timeout, values="a secret")


def snapshot(worker: str = "1-00000000") -> dict[str, Any]:
    """Return a snapshot as another worker reads it."""
    data: dict[str, Any] = json.loads(ops_data.encoded(ops_data.snapshot(worker)))
    return data


def fill(requests: int = 4) -> None:
    """Have this process see some requests."""
    for number in range(requests):
        request = ended(seconds=0.01 * (number + 1))
        seen.add_requests(request)
        query_table.add(request)
    seen.add_repeats(repeats())
    seen.add_slow(slow())


def test_requests_are_counted_by_route_and_blocks_are_none() -> None:
    counted = Seen()
    for status in (200, 404, 500, 503):
        counted.add_requests(ended(status=status))
    counted.add_requests(ended(kind="block"))
    counted.add_requests(ended(route=""))
    rows = {row["route"]: (row["count"], row["errors"], row["queries"]) for row in counted.routes()}
    assert rows == {"/users": (4, 2, 12), "(no route)": (1, 0, 3)}
    assert sum(point[1] for point in counted.series()) == 5


def test_however_many_routes_lines_and_loops_there_are_the_tables_stay_small() -> None:
    counted = Seen()
    for number in range(3 * MOST_ROUTES):
        counted.add_requests(ended(route=f"/{number}"))
        counted.add_repeats(repeats(line=number))
        counted.add_slow(slow(site=f"app.py:{number} in view"))
    assert len(counted.routes()) == MOST_ROUTES + 1
    assert sum(row["count"] for row in counted.routes()) == 3 * MOST_ROUTES
    assert len(counted.incidents()) == len(counted.slow()) == MOST_INCIDENTS
    assert (
        counted.incidents()[0]["lines"][0]["site"] == f"app.py:{3 * MOST_ROUTES - 1} in view"
    )  # the last one first
    assert set(counted.reported.values()) == {3 * MOST_ROUTES}


def test_an_incident_seen_again_is_the_same_one() -> None:
    counted = Seen()
    for _ in range(3):
        counted.add_repeats(repeats())
    counted.add_repeats(repeats(route="/other"))
    assert [(row["route"], row["times"]) for row in counted.incidents()] == [("/other", 1), ("/users", 3)]


def test_slow_queries_are_grouped_by_statement_and_line() -> None:
    counted = Seen()
    for seconds, is_timeout in ((0.2, False), (0.9, True), (0.3, False)):
        counted.add_slow(slow(seconds, is_timeout=is_timeout))
    (row,) = counted.slow()
    assert (row["times"], row["timeouts"], row["slowest"], round(row["seconds"], 3)) == (3, 1, 0.9, 1.4)
    assert "secret" not in json.dumps(row)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.0006, 100), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 1.0]))
def test_a_quantile_is_at_most_one_bound_off(durations: list[float], share: float) -> None:
    counted = Seen()
    for seconds in durations:
        counted.add_requests(ended(seconds=seconds))
    (row,) = counted.routes()
    exact = sorted(durations)[max(0, -(-int(share * 1000) * len(durations) // 1000) - 1)]
    assert exact / 1.5 <= quantile(row["histogram"], share, row["slowest"]) <= exact * 1.5


def test_a_quantile_of_nothing_is_zero() -> None:
    assert quantile([0] * (len(BOUNDS) + 1), 0.95) == 0.0


def test_the_rows_that_are_shown_are_those_that_somebody_looks_for() -> None:
    for number in range(1000):
        group = QueryGroup(
            statement_of(f"SELECT {'x' * number}"), "app.py:1 in view", number, 1000.0 - number,
            5.0 if number == 700 else 0.1, (0.1,), 0, errors=int(number == 800),
        )  # fmt: skip
        query_table.add(requests_ended(RequestEnded("request", "GET", "/", 200, 1.0, "", (group,), number, 1.0)))
    rows = ops_data.snapshot("w")["queries"]
    assert len(rows) <= 200
    assert {max(rows, key=lambda row: row[by])["count"] for by in ("slowest", "errors")} == {700, 800}
    assert max(row["most_per_request"] for row in rows) == 999
    assert max(row["seconds"] for row in rows) == 1000.0


def test_a_snapshot_that_is_too_large_loses_its_least_important_rows() -> None:
    fill()
    data = ops_data.snapshot("w")
    data["queries"] = [{**data["queries"][0], "text": f"{number} " + "x" * 4000} for number in range(1000)]
    body = ops_data.encoded(data)
    assert len(body) <= ops_data.MOST_BYTES
    assert json.loads(body)["queries"][0]["text"].startswith("0 ")


def test_workers_are_added_up_and_the_same_things_are_one() -> None:
    fill()
    totals = Totals()
    for number in range(3):
        totals.add(snapshot(str(number)))
    (query,) = totals.sorted_rows("queries")
    (incident,) = totals.sorted_rows("incidents")
    (slow_row,) = totals.sorted_rows("slow")
    (route,) = totals.sorted_rows("routes")
    assert (query["count"], incident["times"], slow_row["times"], route["count"]) == (36, 3, 3, 12)
    assert (query["most_per_request"], incident["count"], sum(route["histogram"])) == (3, 60, 12)
    assert totals.counts["requests"] == 12
    again = Totals()
    again.add(totals.snapshot())
    assert again.snapshot() == totals.snapshot()


def test_the_newest_plan_is_shown() -> None:
    fill()
    totals = Totals()
    for plan, when in (("", 0.0), ("new", 9.0), ("old", 5.0)):
        data = snapshot()
        data["slow"][0].update(plan=plan, plan_when=when)
        totals.add(data)
    assert totals.sorted_rows("slow")[0]["plan"] == "new"


def test_merging_keeps_no_more_rows_than_can_be_shown() -> None:
    fill()
    totals = Totals()
    for worker in range(30):
        data = snapshot()
        row = data["queries"][0]
        data["queries"] = [{**row, "id": f"{worker}-{n}", "seconds": float(n)} for n in range(200)]
        totals.add(data)
    assert len(totals.rows["queries"]) <= 2000
    assert len(totals.sorted_rows("queries")) == 1000
    assert totals.sorted_rows("queries")[0]["seconds"] == 199.0


def _spoil(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    *folders, last = path.split(".")
    at: Any = data
    for part in folders:
        at = at[int(part) if part.isdigit() else part]
    at[int(last) if last.isdigit() else last] = value
    return data


@pytest.mark.parametrize("path", [
    "version", "counts", "counts.requests", "series", "series.0", "routes", "routes.0.count", "routes.0.histogram",
    "queries", "queries.0", "queries.0.seconds", "queries.0.text", "incidents.0.id", "slow.0.plan", "slow.0.last",
])  # fmt: skip
@pytest.mark.parametrize("value", [None, "x", -1.5, float("nan"), [], {}, [[1]], {"a": 1}])
def test_a_snapshot_of_another_shape_is_refused_whole_or_taken_whole(path: str, value: Any) -> None:
    fill()
    totals = Totals()
    before = totals.snapshot()
    try:
        totals.add(_spoil(snapshot(), path, value))
    except ValueError:
        assert totals.snapshot() == before
    else:
        json.dumps(totals.snapshot())


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    """A publisher without a thread in a folder of its own."""
    yield Publisher(open_folder(str(tmp_path / "run")))


@pytest.fixture
def another(publisher: Publisher) -> Callable[..., Path]:
    """A function that writes what a worker has left: `another(body, number=1)`."""

    def leave(body: bytes, number: int = 1) -> Path:
        assert publisher.folder.path is not None
        path = publisher.folder.path / f"{number}-{number:08x}.{KIND}"
        write(path, body)
        return path

    return leave


def left(worker: str = "1-00000001") -> bytes:
    return ops_data.encoded(ops_data.snapshot(worker))


def test_a_worker_that_ended_stays_in_the_sums_and_not_in_the_gauges(
    publisher: Publisher, another: Callable[..., Path]
) -> None:
    fill()
    another(left())
    view = View(publisher)
    for _ in range(3):  # read once, however often one looks
        data = view.data()
        assert (data["service"]["requests"], len(data["workers"]), data["ended_workers"]) == (8, 1, 1)
        assert data["incidents"][0]["times"] == 2


def test_what_ended_long_ago_is_forgotten(publisher: Publisher, another: Callable[..., Path]) -> None:
    fill()
    path = another(left())
    os.utime(path, (time.time() - 5000, time.time() - 5000))
    assert View(publisher).data()["service"]["requests"] == 4
    publisher._clear_away()
    assert not path.exists()


@pytest.mark.parametrize("body", [
    b"", b"{", b"\xff\xff", b"[]", b"null", b"{}", b'{"version": 1}', b"[" * 100_000, b"x" * (MOST_BYTES + 1),
    b"1" * 6000,
])  # fmt: skip
def test_a_file_that_is_no_snapshot_is_passed_over_and_said_once(
    publisher: Publisher, another: Callable[..., Path], body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    fill()
    another(body, 1)
    another(left(), 2)
    view = View(publisher)
    with caplog.at_level(logging.WARNING):
        assert view.data()["service"]["requests"] == 8
        view.data()
    assert len(caplog.records) == 1


def test_a_whole_number_that_no_float_holds_is_passed_over(
    publisher: Publisher, another: Callable[..., Path]
) -> None:
    fill()
    with pytest.raises(ValueError, match="is no number"):
        ops_merge.number(10**400)
    another(left().replace(b'"uptime":', b'"uptime":1' + b"0" * 400 + b',"was":'))
    assert View(publisher).data()["service"]["requests"] == 4


def test_of_many_workers_that_ended_the_last_ones_are_kept(
    publisher: Publisher, another: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker ends after some thousand requests: a busy service left a file of each, for an hour, in memory."""
    monkeypatch.setattr(ops_publish, "MOST_DEAD", 3)
    paths = [another(b"{}", number) for number in range(1, 8)]
    for number, path in enumerate(paths):
        os.utime(path, (time.time() - number * 10, time.time() - number * 10))
    publisher._clear_away()
    assert [path.exists() for path in paths] == [True] * 3 + [False] * 4


def test_what_cannot_be_written_whole_leaves_nothing(publisher: Publisher) -> None:
    folder = publisher.folder.path
    assert folder is not None
    (folder / "taken").mkdir()  # a folder is in the way, as a full disk would be
    with pytest.raises(OSError, match="taken"):
        write(folder / "taken", b"figures")
    assert list(folder.glob("*.new")) == []


def test_what_a_killed_worker_has_written_half_goes_after_an_hour(publisher: Publisher) -> None:
    folder = publisher.folder.path
    assert folder is not None
    old, new = folder / f"1-00000001.{KIND}.new", folder / f"2-00000002.{KIND}.new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 5000, time.time() - 5000))
    publisher._clear_away()
    assert (old.exists(), new.exists()) == (False, True)


def test_a_system_without_a_thread_left_fails_no_request(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    publisher.ensure()
    publisher.ensure()
    assert [record.message for record in caplog.records if "can't start" in record.message] == [
        "no thread for the ops page (can't start new thread); the other workers do not show this one"
    ]


def test_a_half_written_file_a_link_and_a_pipe_are_passed_over(
    publisher: Publisher, another: Callable[..., Path], tmp_path: Path
) -> None:
    fill()
    body = left()
    another(body[: len(body) // 2], 1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(body)
    folder = publisher.folder.path
    assert folder is not None
    (folder / f"2-00000002.{KIND}").symlink_to(elsewhere)
    os.mkfifo(folder / f"3-00000003.{KIND}")
    assert View(publisher).data()["service"]["requests"] == 4


def test_what_is_written_is_whole_private_and_below_a_megabyte(publisher: Publisher) -> None:
    fill()
    publisher.publish()
    path = publisher.folder.path_of(KIND)
    assert path is not None
    assert (path.stat().st_mode & 0o777, json.loads(path.read_bytes())["pid"]) == (0o600, os.getpid())
    assert [entry.name for entry in path.parent.iterdir() if entry.name.endswith(".new")] == []


def test_who_looks_is_heard_by_the_others(publisher: Publisher) -> None:
    assert not publisher._is_wanted()
    View(publisher).data()
    assert publisher._is_wanted()
    folder = publisher.folder.path
    assert folder is not None
    os.utime(folder / WANTED, (time.time() - 60, time.time() - 60))
    assert not publisher._is_wanted()


def test_a_folder_that_vanishes_is_said_once_and_the_page_goes_on(
    publisher: Publisher, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publisher.folder.path
    assert folder is not None
    publisher.folder.worker  # noqa: B018  # takes the lock
    for entry in folder.iterdir():
        entry.unlink()
    folder.rmdir()
    monkeypatch.setattr(ops_publish, "EVERY", 0.01)
    monkeypatch.setattr(ops_publish, "UNWATCHED", 0.01)
    publisher.ensure()
    with caplog.at_level(logging.WARNING):
        until(lambda: caplog.text, "it is logged", 10)
        fill()
        data = View(publisher).data()
    publisher.folder.path = None  # ends the thread
    assert data["service"]["requests"] == 4
    assert sum("ops page" in record.message for record in caplog.records) <= 1


def test_without_a_folder_the_page_says_that_it_shows_one_worker() -> None:
    fill()
    data = View(Publisher(open_folder(None))).data()
    assert (data["scope"], data["service"]["requests"], len(data["workers"])) == ("worker", 4, 1)
    assert "HARDEN_RUN_DIR" in data["note"]


def test_many_who_look_at_once_cost_one_look(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    view = View(publisher)
    looks: list[int] = []
    monkeypatch.setattr(View, "data", lambda self: looks.append(1) or {})
    assert {view.answer() for _ in range(20)} == {b"{}"}
    assert len(looks) <= 2  # the machine may be slow


def test_a_forked_child_counts_its_own(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.settings import load

    ops_publish.start(load(environ={}))
    fill()
    publisher._pid = os.getpid()  # as if it ran; a thread would be lost by the fork
    child = os.fork()
    if not child:
        status = 1
        try:
            publisher.ensure()
            publisher.publish()
            status = 0 if not seen.routes() and publisher._pid == os.getpid() else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    data = View(publisher).data()
    assert (data["service"]["requests"], data["ended_workers"]) == (4, 1)


def test_it_listens_to_what_happens() -> None:
    from backend.settings import load

    ops_publish.start(load(environ={}))
    events.emit(ended())
    events.emit(repeats())
    events.emit(slow())
    data = ops_data.snapshot("w")
    assert [data["counts"][name] for name in ("requests", "repeats", "slow")] == [1, 1, 1]
