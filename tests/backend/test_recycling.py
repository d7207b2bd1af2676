"""Workers are replaced one at a time: the turn, and Gunicorn's workers that reach their number together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend import recycling
from backend.recycling import AGAIN, LONGEST, NAME, successor_began, wait_for_turn
from backend.run_folder import RunFolder

HOLDER = """
import sys
from pathlib import Path
from types import SimpleNamespace
from backend.recycling import wait_for_turn
from backend.run_folder import RunFolder

worker = SimpleNamespace(nr=100, max_requests=100, cfg=SimpleNamespace(threads=8))
wait_for_turn(worker, RunFolder(Path(sys.argv[1])))
print(worker.max_requests, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _nobody_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recycling, "_has_turn", 0)


def due(nr: int = 100) -> Any:
    """Return a worker that has reached its number."""
    return SimpleNamespace(nr=nr, max_requests=nr, cfg=SimpleNamespace(threads=8))


class Other:
    """Another process that is due as well."""

    def __init__(self, folder: Path) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).resolve().parents[2],
        )  # fmt: skip
        assert self._child.stdout is not None
        self.limit = int(self._child.stdout.readline())

    def end(self) -> None:
        self._child.communicate("")


def test_one_that_is_alone_ends_as_gunicorn_has_it() -> None:
    worker = due()
    wait_for_turn(worker, RunFolder(None))
    assert worker.max_requests == 100


def test_the_first_ends_and_the_second_serves_on_until_the_successor_is_there(tmp_path: Path) -> None:
    other = Other(tmp_path)
    try:
        assert other.limit == 100
        worker, folder = due(), RunFolder(tmp_path)
        wait_for_turn(worker, folder)
        assert worker.max_requests == 100 + 8 + AGAIN
        successor_began(folder)  # some other worker began: the holder still lives
        wait_for_turn(worker, folder)
        assert worker.max_requests == 100 + 8 + AGAIN
    finally:
        other.end()
    worker.max_requests = 100
    wait_for_turn(worker, folder)  # gone, but its successor has not come
    assert worker.max_requests == 100 + 8 + AGAIN
    successor_began(folder)
    worker.max_requests = 100
    wait_for_turn(worker, folder)
    assert worker.max_requests == 100
    wait_for_turn(worker, folder)  # it keeps its turn
    assert worker.max_requests == 100


def test_a_successor_that_never_comes_does_not_end_it_for_ever(tmp_path: Path) -> None:
    Other(tmp_path).end()
    old = (tmp_path / NAME).stat().st_mtime - LONGEST - 1
    os.utime(tmp_path / NAME, (old, old))
    worker = due()
    wait_for_turn(worker, RunFolder(tmp_path))
    assert worker.max_requests == 100


def test_the_turn_is_not_its_child_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    wait_for_turn(due(), folder)
    monkeypatch.setattr(recycling.os, "getpid", lambda: -1)
    worker = due()
    wait_for_turn(worker, folder)
    assert worker.max_requests == 100 + 8 + AGAIN


@pytest.mark.parametrize("kind", ["link", "folder", "gone"])
def test_a_file_that_cannot_be_used_leaves_it_to_gunicorn(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    if kind == "link":
        (folder / NAME).symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        (folder / NAME).mkdir()
    else:
        folder.rmdir()
    worker = due()
    wait_for_turn(worker, RunFolder(folder))
    successor_began(RunFolder(folder))
    assert worker.max_requests == 100
    assert not (tmp_path / "elsewhere").exists()
