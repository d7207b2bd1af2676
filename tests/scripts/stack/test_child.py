"""One server process: awaited, read, and stopped for sure."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.errors import CommandError
from scripts.stack import Stack
from scripts.stack.child import Child, PortTaken, clean_environment

from .running import is_gone, wait_until

DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ready', flush=True); time.sleep(600)"
)
FORGETFUL = """
import signal, time
told = []
def handle(*_):
    told.append(1)
    if len(told) > 1:
        raise SystemExit(7)
signal.signal(signal.SIGTERM, handle)
print("ready", flush=True)
while True:
    time.sleep(600)
"""
WITH_ANOTHER = "import subprocess; print('ready', subprocess.Popen(['sleep', '600']).pid, flush=True)"


@pytest.fixture
def stack(state: Path) -> Iterator[Stack]:
    with Stack() as running:
        yield running


def _start(stack: Stack, code: str) -> Child:
    child = Child("try", [sys.executable, "-c", code], stack.run, clean_environment(stack.run, {}))
    child.wait_until(lambda: child.says("ready") or not child.is_running(), 30)
    return child


def test_a_process_that_missed_the_word_is_told_again(stack: Stack) -> None:
    """Gunicorn's master waits 25 seconds for a worker that was told to end while it was forked."""
    child = _start(stack, FORGETFUL)
    child.stop(30)
    assert child.process.returncode == 7


def test_a_process_that_does_not_listen_is_made_to_end(stack: Stack) -> None:
    child = _start(stack, DEAF)
    child.stop(0.2)
    assert child.process.returncode == -signal.SIGKILL


def test_what_an_ended_process_has_started_ends_as_well(stack: Stack) -> None:
    child = _start(stack, WITH_ANOTHER)
    child.process.wait(30)
    other = int(child.last_line().split()[1])
    assert not is_gone(other)
    child.stop()
    wait_until(lambda: is_gone(other), "the end of the other one")
    child.stop()  # once more is no error


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("print('ERROR: this one'); print('goodbye'); raise SystemExit(3)", CommandError,
         "try ended with code 3: ERROR: this one"),
        ("raise SystemExit(3)", CommandError, "try ended with code 3: its log is empty"),
        ("print('bind: Address already in use'); raise SystemExit(1)", PortTaken, "try ended with code 1: bind: "),
    ],
)  # fmt: skip
def test_a_process_that_ends_early_is_reported_with_its_words(
    stack: Stack, code: str, kind: type[CommandError], message: str
) -> None:
    child = Child("try", [sys.executable, "-c", code], stack.run, clean_environment(stack.run, {}))
    with pytest.raises(CommandError) as caught:
        child.wait_until(lambda: False, 30)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(message)
    assert caught.value.log == child.log


def test_a_process_that_does_not_answer_is_given_up(stack: Stack) -> None:
    child = _start(stack, DEAF)
    with pytest.raises(CommandError, match=r"^try did not answer within 0 s: ready$"):
        child.wait_until(lambda: False, 0.1)
    child.stop(0.1)


def test_a_restart_is_not_judged_by_what_the_first_one_said(stack: Stack) -> None:
    _start(stack, "print('ready: Address already in use', flush=True)").process.wait(30)
    second = _start(stack, DEAF)
    assert not second.says("in use")
    assert second.last_line() == "ready"
    assert "in use" in second.log.read_text()
    second.stop(0.1)
