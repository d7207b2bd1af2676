"""A few failures are run once more; a fault stays one."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from scripts import run_tests

STEADY = "def test_steady():\n    pass\n"
BROKEN = "def test_broken():\n    assert False\n"
UNSTEADY = """
from pathlib import Path
def test_unsteady():
    seen = Path(__file__).with_name("seen")
    is_first = not seen.exists()
    seen.touch()
    assert not is_first
"""
MANY = (
    f"import pytest\n@pytest.mark.parametrize('n', range({run_tests.FEW + 1}))\n"
    "def test_many(n):\n    assert False\n"
)


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write test files, and run them as the whole suite is run; returns the exit code."""
    monkeypatch.setenv("PYTHONPATH", str(run_tests.ROOT))  # where the plugin is
    monkeypatch.setattr(run_tests, "ROOT", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run(**files: str) -> int:
        for name, text in files.items():
            (tmp_path / f"test_{name}.py").write_text(textwrap.dedent(text))
        return run_tests._run(["-q", "-n", "0"], retries=True)

    return run


def test_a_test_that_passes_at_its_second_run_is_named_and_the_run_is_green(suite: Any, capfd: Any) -> None:
    assert suite(one=STEADY, two=UNSTEADY) == 0
    said = capfd.readouterr().err
    assert "failed once and passed alone, look at it: test_two.py::test_unsteady" in said


def test_a_fault_fails_the_run(suite: Any) -> None:
    assert suite(one=STEADY, two=BROKEN) == 1


def test_a_fault_beside_an_unsteady_test_fails_the_run(suite: Any) -> None:
    assert suite(one=BROKEN, two=UNSTEADY) == 1


def test_many_failures_are_not_run_again(suite: Any, capfd: Any) -> None:
    assert suite(one=MANY) == 1
    assert "once more" not in capfd.readouterr().err


def test_a_file_that_cannot_be_read_fails_the_run(suite: Any) -> None:
    assert suite(one=STEADY, two="def test_(:\n") != 0


def test_a_green_run_stays_one(suite: Any, capfd: Any) -> None:
    assert suite(one=STEADY) == 0
    assert "once more" not in capfd.readouterr().err


DEADLY = """
import os
from pathlib import Path
def test_before():
    pass
def test_deadly():
    seen = Path(__file__).with_name("died")
    if not seen.exists():
        seen.touch()
        os._exit(1)
def test_after():
    pass
"""
HANGING = """
import time
from pathlib import Path
def test_hanging():
    seen = Path(__file__).with_name("hung")
    if not seen.exists():
        seen.touch()
        time.sleep(600)
"""


def test_a_run_that_dies_in_the_middle_goes_on_with_what_is_left(suite: Any, capfd: Any) -> None:
    assert suite(one=STEADY, two=DEADLY, zulu=STEADY) == 0
    assert "stopped before 3 test(s)" in capfd.readouterr().err


def test_what_failed_before_it_died_still_counts(suite: Any, capfd: Any) -> None:
    assert suite(alpha=BROKEN, two=DEADLY) == 1
    assert "once more, with nothing beside: 1 failed" in capfd.readouterr().err


def test_a_run_that_dies_again_is_red(suite: Any, tmp_path: Path) -> None:
    assert suite(two=DEADLY.replace("if not seen.exists():", "if True:")) == 1


def test_a_run_in_which_nothing_ends_is_stopped(suite: Any, capfd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_tests, "STALLED_AFTER", 4.0)
    assert suite(one=STEADY, two=HANGING) == 0
    said = capfd.readouterr().err
    assert "no test ended for" in said
    assert "stopped before 1 test(s)" in said


def test_a_hanging_test_is_ended_before_the_run_is() -> None:
    from tests.conftest import HANG_AFTER

    assert run_tests.STALLED_AFTER > HANG_AFTER + 30
