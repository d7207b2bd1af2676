"""A worker's board: what is written is read, a full one goes on, and a broken one is no trouble."""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import board
from backend.board import CELLS_AT, LIST_AT, MOST_CELLS, SIZE, WASTE, Board, Series
from backend.summed_log import SummedLog
from tests.support.children import FORKS

SCHEMA = b"schema-1"


@pytest.fixture(autouse=True)
def _logged_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "_unreadable", SummedLog(board.log))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "1-00000000.metrics"


def test_another_process_reads_what_was_counted(path: Path) -> None:
    mine = Board(path, SCHEMA)
    first = mine.series("requests", ("/users/<id>", 'ü"\n'), 2)
    assert first == WASTE
    mine.cells[first] += 1.0
    mine.cells[first + 1] += 0.25
    second = mine.series("errors", (), 1)
    assert second == WASTE + 2
    expected = [Series("requests", ("/users/<id>", 'ü"\n'), (1.0, 0.25)), Series("errors", (), (0.0,))]
    assert board.read(path, SCHEMA) == mine.read() == expected
    mine.close()
    assert board.read(path, SCHEMA) == expected


@FORKS
def test_what_a_killed_process_counted_is_there(path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        mine = Board(path, SCHEMA)
        first = mine.series("requests", (), 1)
        for _ in range(1000):
            mine.cells[first or 0] += 1.0
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    assert board.read(path, SCHEMA) == [Series("requests", (), (1000.0,))]


def test_the_file_is_its_owner_s_and_takes_all_its_room_at_once(path: Path) -> None:
    Board(path, SCHEMA).close()
    found = path.stat()
    assert found.st_mode & 0o777 == 0o600
    assert found.st_size == SIZE
    assert found.st_blocks * 512 >= SIZE  # not sparse: a store into it cannot fail


def test_a_full_list_and_full_cells_take_no_more(path: Path) -> None:
    mine = Board(None, SCHEMA)
    assert mine.series("many", (), MOST_CELLS) is None
    assert mine.series("long", ("x" * CELLS_AT,), 1) is None
    assert mine.series("fits", (), MOST_CELLS - WASTE) == WASTE
    assert mine.series("one more", (), 1) is None
    assert [series.metric for series in mine.read()] == ["fits"]


def test_a_board_of_another_release_and_no_board_at_all_are_nothing(path: Path) -> None:
    assert board.read(path, SCHEMA) is None
    Board(path, SCHEMA).close()
    assert board.read(path, b"schema-2") == []
    path.write_bytes(bytes(SIZE))  # made, and not yet written to
    assert board.read(path, SCHEMA) == []


@pytest.mark.parametrize("data", [b"", b"x" * SIZE, b"HARDENB1" + SCHEMA + b"\xff" * (SIZE - 16), b"HARDENB1"])
def test_a_file_that_is_no_board_is_said_and_skipped(
    path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(data[:8] + SCHEMA + data[16:] if len(data) == SIZE else data)
    with caplog.at_level(logging.WARNING):
        assert board.read(path, SCHEMA) == []
    assert "cannot read the figures" in caplog.text


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(LIST_AT, LIST_AT + 200))
def test_a_list_of_anything_is_read_or_refused(data: bytes, end: int) -> None:
    page = bytearray(SIZE)
    page[:16] = b"HARDENB1" + SCHEMA
    page[16:24] = end.to_bytes(8, "little")
    page[LIST_AT : LIST_AT + len(data)] = data
    try:
        assert all(isinstance(series, Series) for series in board.parse(bytes(page), SCHEMA))
    except (ValueError, TypeError, board.struct.error):
        pass  # what `read` expects


def test_a_file_that_cannot_be_made_leaves_the_figures_to_this_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        mine = Board(tmp_path / "nowhere" / "x.metrics", SCHEMA)
    assert mine.path is None
    first = mine.series("requests", (), 1)
    assert first is not None
    mine.cells[first] += 2.0
    assert mine.read() == [Series("requests", (), (2.0,))]
    (record,) = caplog.records
    assert "cannot share this worker's figures" in record.getMessage()


def test_a_full_folder_leaves_the_figures_to_this_process(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    mounted = subprocess.run(mount, capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a small tmpfs")
    try:
        mine = Board(tmp_path / "x.metrics", SCHEMA)
        assert mine.path is None
        assert list(tmp_path.iterdir()) == []
        assert mine.series("requests", (), 1) == WASTE
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_file_that_is_there_is_never_written_over(path: Path) -> None:
    path.write_text("somebody else's")
    assert Board(path, SCHEMA).path is None
