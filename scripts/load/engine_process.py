"""The other end of an engine: starts it, reads its lines, and does not wait for ever."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from .result import LoadError

# The folder that holds `scripts`: the child starts there, so that no other `scripts` is imported.
_ROOT = Path(__file__).resolve().parents[2]


class Engine:
    """One process of `scripts.load.engine`, stopped at the end of the `with` block.

    Args:
        job: what it is to do; sent by stdin, since it may hold passwords.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job

    def __enter__(self) -> Engine:
        self._said = tempfile.TemporaryFile()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "scripts.load.engine"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, cwd=_ROOT, bufsize=0,
            start_new_session=True,  # Ctrl-C is for us; the end of its stdin stops it
        )  # fmt: skip
        self._rest = b""
        self._send(json.dumps(self._job).encode() + b"\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._said):
            if stream is not None:
                stream.close()

    def second(self, number: int, limit: float) -> dict[str, Any]:
        """Return what it counted in a second; the number is the one that comes next."""
        told = self._message(limit, f"told nothing about second {number}")
        if told.get("second") != number:
            raise LoadError(f"the generator told about {sorted(told)} instead of second {number}")
        return told

    def result(self, limit: float) -> Any:
        """Return its result; seconds that are still told about are passed over."""
        deadline = time.monotonic() + limit
        while "result" not in (told := self._message(deadline - time.monotonic(), "did not end")):
            pass
        return told["result"]

    def _message(self, limit: float, problem: str) -> dict[str, Any]:
        deadline = time.monotonic() + limit
        assert self._child.stdout is not None
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._child.stdout], [], [], left)[0]:
                raise LoadError(f"the generator {problem} within {limit:.0f} s and was stopped")
            part = os.read(self._child.stdout.fileno(), 1 << 16)
            if not part:
                raise LoadError(self._last_words())
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        if "failure" in told:
            raise LoadError(f"the generator could not run: {told['failure']}")
        return told

    def _send(self, line: bytes) -> None:
        rest = memoryview(line)
        assert self._child.stdin is not None
        try:
            while rest:
                rest = rest[self._child.stdin.write(rest) :]
        except BrokenPipeError:
            pass  # it died at the start; what it said is on its stderr

    def _last_words(self) -> str:
        code = self._child.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        last = lines[-1] if lines else "it said nothing"
        if "No module named" in last:
            return f"{last}: the generator needs it; run pip install locust hdrhistogram"
        return f"the generator ended with code {code}: {last}"
