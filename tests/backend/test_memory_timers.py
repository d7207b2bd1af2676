"""track_memory: by how much the process, or Python, grows; and that tracing ends when nobody asks for it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from backend import memory_timers, memory_tracker, timers, track_memory
from backend.timings import Timings
from tests.support.threads import together

MIB = 2**20


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> Timings:
    """A table of this test's own."""
    fresh = Timings()
    monkeypatch.setattr(timers, "table", fresh)
    monkeypatch.setattr(memory_timers, "table", fresh)
    return fresh


@pytest.mark.parametrize(
    "decorate", [track_memory, track_memory(), memory_tracker, memory_tracker("export")],
    ids=["track_memory", "()", "memory_tracker", "named"],
)
def test_a_function_that_keeps_memory_is_seen_to_grow(decorate: Any, table: Timings) -> None:
    @decorate
    def export() -> bytearray:
        return bytearray(b"x") * (60 * MIB)

    kept = export()
    (row,) = table.snapshot()
    assert row["name"].endswith("export")
    assert 40 * MIB < row["last_grown_bytes"] < 90 * MIB
    assert row["peak_bytes"] > 60 * MIB
    assert row["seconds"] > 0 if "seconds" in row else row["total"] > 0
    assert len(kept) == 60 * MIB


def test_a_block_knows_its_figures(table: Timings) -> None:
    with memory_tracker("report") as span:
        assert span.grown_bytes == 0
        kept = bytearray(b"x") * (60 * MIB)
    assert span.grown_bytes == span.after_bytes - span.before_bytes
    assert span.grown_bytes > 40 * MIB
    assert span.peak_bytes >= span.after_bytes
    assert span.seconds > 0
    assert len(kept) == 60 * MIB


def test_tracemalloc_is_not_asked_unless_it_is_wanted() -> None:
    with memory_tracker("report"):
        assert not tracemalloc.is_tracing()


def test_python_s_own_count_has_each_span_s_peak(table: Timings) -> None:
    with track_memory("outer", by="python") as outer:
        bytearray(30 * MIB)
        with track_memory("inner", by="python") as inner:
            kept = bytearray(5 * MIB)
            bytearray(10 * MIB)
    assert not tracemalloc.is_tracing()
    assert 5 * MIB <= inner.grown_bytes < 6 * MIB
    assert 15 * MIB <= inner.peak_bytes < 17 * MIB
    assert 30 * MIB <= outer.peak_bytes < 32 * MIB
    assert len(kept) == 5 * MIB


def test_a_trace_that_the_app_has_started_goes_on() -> None:
    tracemalloc.start()
    try:
        with track_memory("x", by="python"):
            pass
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_a_trace_that_the_app_stops_meanwhile_is_no_error() -> None:
    with track_memory("x", by="python") as span:
        tracemalloc.stop()
    assert span.peak_bytes is not None
    assert not tracemalloc.is_tracing()


def test_threads_share_the_trace(table: Timings) -> None:
    def work(_: int) -> int:
        with track_memory("x", by="python") as span:
            bytearray(MIB)
        return int(span.peak_bytes)

    assert all(peak >= MIB for peak in together(6, work))
    assert not tracemalloc.is_tracing()
    assert table.snapshot()[0]["count"] == 6


def test_a_block_that_raises_is_noted(table: Timings) -> None:
    with pytest.raises(KeyError), track_memory("x"):
        raise KeyError("x")
    assert table.snapshot()[0]["count"] == 1


def test_a_generator_s_memory_is_of_its_whole_run(table: Timings) -> None:
    kept = []

    @track_memory("rows")
    def rows() -> Any:
        for _ in range(6):
            kept.append(bytearray(b"x") * (40 * MIB))
            yield len(kept)

    assert list(rows()) == [1, 2, 3, 4, 5, 6]
    (row,) = table.snapshot()
    assert row["count"] == 1
    assert row["grown_bytes"] > 160 * MIB  # of 240: what the tests before have left may be given back meanwhile


def test_where_memory_cannot_be_had_the_time_is_still_noted(
    table: Timings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_timers, "memory_bytes", lambda: (None, None))
    with track_memory("x") as span:
        pass
    assert (span.grown_bytes, span.peak_bytes) == (0, None)
    (row,) = table.snapshot()
    assert (row["count"], row["grown_bytes"]) == (1, None)


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(ValueError, match="by='gc' is no way to track memory; there are resident, python"):
        track_memory("x", by="gc")
