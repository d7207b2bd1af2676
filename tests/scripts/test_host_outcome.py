"""How verbs on a host end: a code, one line for each problem, and the log that says more."""

from __future__ import annotations

import pytest

from deploy.description import DescriptionError
from deploy.host.errors import GateError, HostError
from scripts.host_outcome import told


def _raising(error: Exception) -> int:
    def act() -> int:
        raise error

    return told(act)


@pytest.mark.parametrize(("error", "code"), [
    (HostError("no room\nat all", ["a line"]), 2), (GateError("no room at all", ["a line"]), 1),
])  # fmt: skip
def test_what_was_undone_is_1_and_what_a_person_must_change_is_2(
    error: HostError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _raising(error) == code
    assert capsys.readouterr().err == "  | a line\nharden: error: no room at all\n"


def test_every_problem_of_a_description_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _raising(DescriptionError(["one", "two"])) == 2
    assert capsys.readouterr().err == "harden: error: one\nharden: error: two\n"


def test_a_file_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _raising(OSError(28, "No space left on device", "/var/lib/harden/shop/lock")) == 2
    said = "harden: error: /var/lib/harden/shop/lock: No space left on device; nothing more was done\n"
    assert capsys.readouterr().err == said
