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
    monkeypatch.setattr(run_tests, "ROOT", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run(**files: str) -> int:
        for name, text in files.items():
            (tmp_path / f"test_{name}.py").write_text(textwrap.dedent(text))
        return run_tests._run(["-q", "-p", "no:xdist"], retries=True)

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
