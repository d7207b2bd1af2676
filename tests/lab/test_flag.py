"""`scripts/test --lab` runs what is skipped otherwise."""

from __future__ import annotations

import os

import pytest

from scripts import run_tests


@pytest.mark.parametrize(
    ("given", "run"),
    [
        (["--lab"], ["tests/lab"]),
        (["--lab", "-k", "cut"], ["tests/lab", "-k", "cut"]),
        (["tests/lab/test_shop.py", "--lab"], ["tests/lab/test_shop.py"]),
    ],
)
def test_the_flag_stands_for_the_tests_on_hosts(
    given: list[str], run: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARDEN_LAB", "0")
    assert run_tests._with_lab(given) == run
    assert os.environ["HARDEN_LAB"] == "1"


def test_without_the_flag_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARDEN_LAB", "0")
    assert run_tests._with_lab(["-k", "x"]) == ["-k", "x"]
    assert os.environ["HARDEN_LAB"] == "0"
