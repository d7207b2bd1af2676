"""Forked children: a function runs in one, and its result comes back through a pipe."""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

# Since Python 3.12 fork warns in a process with threads. Forking there is what these tests are about.
FORKS = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def in_child(work: Callable[[], Any], timeout: float = 10.0) -> Any:
    """Run the function in a forked child and return its result.

    The child ends by `os._exit`: pytest, atexit and the servers' owners must not run there.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _run(work, writer)
    os.close(writer)
    try:
        outcome, value = _read(reader, pid, timeout)
    finally:
        os.close(reader)
        os.waitpid(pid, 0)
    if outcome == "error":
        pytest.fail(f"in the child:\n{value}")
    return value


def _run(work: Callable[[], Any], writer: int) -> None:
    try:
        answer = pickle.dumps(("value", work()))
    except BaseException:
        answer = pickle.dumps(("error", traceback.format_exc()))
    try:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(answer)
    finally:
        os._exit(0)


def _read(reader: int, pid: int, timeout: float) -> tuple[str, Any]:
    end, received = time.monotonic() + timeout, b""
    while select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
        part = os.read(reader, 65536)
        if not part:
            return pickle.loads(received) if received else ("error", "it died without a word")
        received += part
    os.kill(pid, signal.SIGKILL)
    return "error", f"it hung for {timeout} s"
