"""All workers together: nothing is lost and nothing doubled, whenever a worker or the one that adds up dies."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend import run_folder, totals
from backend.board import Board
from backend.metric_names import BY_NAME, OTHER, SCHEMA
from backend.run_folder import RunFolder, open_folder
from backend.summed_log import SummedLog
from backend.totals import MARK, PAST, fold, read_all

ERRORS, WORKERS, WORST = "harden_query_errors", "harden_workers", "harden_most_threads"
Dead = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunFolder]:
    monkeypatch.setattr(run_folder, "_folders", {})
    monkeypatch.setattr(totals, "_trouble", SummedLog(logging.getLogger("backend.totals")))
    opened = open_folder(str(tmp_path / "run"))
    yield opened
    run_folder._forget_parent(opened)


@pytest.fixture
def dead(folder: RunFolder) -> Dead:
    """Leaves the board of a worker that has ended: `dead(errors, how)`."""
    number = iter(range(10_000))

    def leave(errors: float = 1.0, leaving: float = 0.0, label: str = "f") -> str:
        assert folder.path is not None
        name = f"{next(number) + 10}-00000000"
        mine = Board(folder.path / f"{name}.metrics", SCHEMA)
        for metric, labels, value in (
            (MARK, (), leaving), (ERRORS, (label, "SELECT t"), errors), (WORKERS, (), 1.0), (WORST, (), 5.0),
        ):  # fmt: skip
            at = mine.series(metric, labels, 1)
            assert at is not None
            mine.cells[at] = value
        mine.close()
        return name

    return leave


def errors(folder: RunFolder, label: str = "f") -> float:
    return read_all(folder, None).values[ERRORS, (label, "SELECT t")][0]


def ends(folder: RunFolder) -> dict[str, float]:
    found = read_all(folder, None).values
    return {labels[0]: values[0] for (metric, labels), values in found.items() if metric == "harden_worker_ends"}


def test_counters_of_the_dead_stay_and_their_gauges_go(folder: RunFolder, dead: Dead) -> None:
    dead(3.0)
    dead(4.0, leaving=1.0)
    for _ in range(3):
        found = read_all(folder, None).values
        assert errors(folder) == 7.0
        assert (WORKERS, ()) not in found
        assert (WORST, ()) not in found
        assert ends(folder) == {"killed": 1.0, "exit": 1.0}
        fold(folder)
    assert folder.files("metrics") == []


def test_gauges_of_the_living_are_added_up_or_the_worst_of_them(folder: RunFolder) -> None:
    totals_of = totals.Totals()
    for threads in (5.0, 9.0, 7.0):
        totals_of.add(totals.Series(WORKERS, (), (1.0,)))
        totals_of.add(totals.Series(WORST, (), (threads,)))
    assert totals_of.values == {(WORKERS, ()): [3.0], (WORST, ()): [9.0]}


def test_adding_up_again_and_again_changes_nothing(folder: RunFolder, dead: Dead) -> None:
    for count in range(1, 6):
        dead(2.0)
        fold(folder)
        fold(folder)
        assert errors(folder) == 2.0 * count
    assert folder.path is not None
    assert json.loads((folder.path / PAST).read_text())["workers"] == ["14-00000000"]  # only the last ones


def test_a_crash_before_the_boards_are_deleted_doubles_nothing(
    folder: RunFolder, dead: Dead, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead(3.0)
    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "remove", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fold(folder)
    assert len(folder.files("metrics")) == 1
    assert errors(folder) == 3.0
    dead(4.0)
    fold(folder)
    assert (errors(folder), folder.files("metrics")) == (7.0, [])


def test_a_worker_that_dies_while_others_are_added_up_is_not_lost(
    folder: RunFolder, dead: Dead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its board was deleted with those that had been added, and all it had counted was gone."""
    replace = totals._replace

    def another_dies(path: Path, past: totals._Past) -> None:
        replace(path, past)
        if past.workers == {first}:
            dead(5.0)

    monkeypatch.setattr(totals, "_replace", another_dies)
    first = dead(2.0)
    fold(folder)
    assert errors(folder) == 7.0
    fold(folder)
    assert errors(folder) == 7.0
    assert ends(folder)["killed"] == 2.0


def test_a_crash_while_the_file_is_written_loses_nothing(
    folder: RunFolder, dead: Dead, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dead(3.0)
    fold(folder)
    dead(4.0)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        fold(folder)
    assert "cannot add up" in caplog.text
    assert errors(folder) == 7.0
    fold(folder)
    assert errors(folder) == 7.0


def test_who_reads_while_others_add_up_never_sees_less(folder: RunFolder, dead: Dead) -> None:
    """A reader that took the old file and then missed a board that was just deleted would see a counter fall."""
    done = threading.Event()
    failures: list[BaseException] = []

    def die() -> None:
        try:
            for _ in range(60):
                dead(1.0)
                fold(folder)
        except BaseException as error:
            failures.append(error)
        finally:
            done.set()

    dead(1.0)
    worker = threading.Thread(target=die)
    worker.start()
    seen = [0.0]
    while not done.is_set():
        seen.append(errors(folder))
    worker.join()
    assert not failures
    assert seen == sorted(seen)
    assert errors(folder) == 61.0


def test_two_that_add_up_at_once_take_turns(folder: RunFolder, dead: Dead) -> None:
    for _ in range(40):
        dead(1.0)
    threads = [threading.Thread(target=fold, args=(folder,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    fold(folder)
    assert (errors(folder), folder.files("metrics")) == (40.0, [])


def test_labels_beyond_the_limit_go_to_other(folder: RunFolder, dead: Dead) -> None:
    most = BY_NAME[ERRORS].most
    for number in range(most + 20):
        dead(1.0, label=f"f{number}")
        if number % 100 == 0:
            fold(folder)
    fold(folder)
    values = read_all(folder, None).values
    found = {labels: value for (metric, labels), value in values.items() if metric == ERRORS}
    assert len(found) == most + 1
    assert found[OTHER, OTHER] == [20.0]


def test_whoever_answers_has_room_for_the_same_labels(folder: RunFolder, dead: Dead) -> None:
    """Each worker put its own last, so that a counter of many routes fell and rose with who was scraped."""
    most = BY_NAME[ERRORS].most
    own = Board(folder.path_of("metrics"), SCHEMA)
    for number in range(most):
        at = own.series(ERRORS, (f"own{number}", "SELECT t"), 1)
        assert at is not None
        own.cells[at] = 1.0
    dead(1.0, label="another's")
    one, other = read_all(folder, own).values, read_all(folder, None).values
    own.close()
    assert one == other
    assert one[ERRORS, (OTHER, OTHER)] == [1.0]


@pytest.mark.parametrize("text", ["", "[", "{}", '{"schema": "x"}', '{"schema": 1, "workers": 2, "series": [3]}'])
def test_a_broken_file_is_said_and_counts_nothing(folder: RunFolder, dead: Dead, text: str) -> None:
    assert folder.path is not None
    (folder.path / PAST).write_text(text)
    dead(3.0)
    assert errors(folder) == 3.0
    fold(folder)
    assert errors(folder) == 3.0


def test_a_series_that_does_not_fit_its_metric_is_left_out() -> None:
    found = totals.Totals()
    for series in (("unknown", (), (1.0,)), (ERRORS, ("f",), (1.0,)), (ERRORS, ("f", "s"), (1.0, 2.0))):
        found.add(totals.Series(*series))
    assert found.series() == []


def test_without_a_folder_there_is_nothing_to_add_up() -> None:
    alone = RunFolder(None)
    fold(alone)
    assert read_all(alone, None).values == {}
