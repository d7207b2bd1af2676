"""What the process takes: checked against what the system says by other means."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from backend import system_metrics
from tests.support.children import FORKS, in_child

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux' /proc")
NAMES = ["pid", "cpu_seconds", "rss_bytes", "threads", "open_files", "uptime"]


def test_figures_are_plain_data_of_this_process() -> None:
    snapshot = system_metrics.snapshot()
    assert list(snapshot) == NAMES
    assert snapshot["pid"] == os.getpid()
    assert all(isinstance(value, (int, float)) for value in snapshot.values())


@LINUX
def test_threads_files_and_memory_are_counted_as_they_come() -> None:
    before = system_metrics.snapshot()
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
    end = threading.Event()
    threads = [threading.Thread(target=end.wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    block = bytearray(b"x") * 60_000_000
    after = system_metrics.snapshot()
    end.set()
    for thread in threads:
        thread.join()
    for file in files:
        os.close(file)
    assert after["threads"] - before["threads"] == 5
    assert after["open_files"] - before["open_files"] == 20
    assert after["rss_bytes"] - before["rss_bytes"] > 50_000_000
    assert len(block) == 60_000_000


def test_processor_time_is_of_all_threads_and_grows() -> None:
    before = system_metrics.snapshot()["cpu_seconds"]
    work = threading.Thread(target=lambda: sum(range(3_000_000)))
    work.start()
    work.join()
    assert system_metrics.snapshot()["cpu_seconds"] > before


@LINUX
def test_open_files_agree_with_the_folder_of_the_kernel() -> None:
    assert system_metrics.snapshot()["open_files"] == len([*Path("/proc/self/fd").iterdir()]) - 1


@LINUX
@FORKS
def test_a_forked_child_is_young_and_has_its_own_number() -> None:
    time.sleep(0.3)
    child = in_child(system_metrics.snapshot)
    assert child["pid"] != os.getpid()
    assert child["uptime"] < system_metrics.snapshot()["uptime"]


@LINUX
def test_a_process_named_with_spaces_and_brackets_is_read_right() -> None:
    threads = system_metrics.snapshot()["threads"]
    name = Path("/proc/self/comm")
    before = name.read_text()
    name.write_text("a) 1 (b")
    try:
        assert system_metrics.snapshot()["threads"] == threads
    finally:
        name.write_text(before)


@LINUX
def test_memory_now_and_at_its_peak() -> None:
    resident, peak = system_metrics.memory_bytes()
    assert resident is not None and peak is not None
    assert 1_000_000 < resident <= peak
    assert abs(resident - system_metrics.snapshot()["rss_bytes"]) < 20_000_000


def test_without_proc_the_figures_come_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr(system_metrics, "_read", refuse)
    snapshot = system_metrics.snapshot()
    assert list(snapshot) == NAMES
    assert snapshot["threads"] == threading.active_count()
    assert snapshot["rss_bytes"] > 1_000_000
    assert snapshot["uptime"] >= 0
    resident, peak = system_metrics.memory_bytes()
    assert resident == peak


def test_what_cannot_be_had_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows: neither /proc nor `resource`."""

    def refuse(*_: object) -> bytes:
        raise FileNotFoundError

    monkeypatch.setattr(system_metrics, "_read", refuse)
    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr(Path, "iterdir", refuse)
    monkeypatch.setitem(sys.modules, "resource", None)
    snapshot = system_metrics.snapshot()
    monkeypatch.undo()
    assert (snapshot["rss_bytes"], snapshot["open_files"]) == (None, None)
