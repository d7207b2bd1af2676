"""The other end of a worker: starts it, asks it, and does not wait for ever."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..stack.child import clean_environment
from ..stack.runfolder import RunFolder

ROOT = Path(__file__).resolve().parent.parent.parent
LOOK_EVERY = 0.02  # seconds; more often would take time from what is measured


class WorkerError(Exception):
    """A worker could not do a job; one sentence."""


class Worker:
    """A process that measures: it reads jobs from stdin, and answers each by a line on stdout.

    Args:
        python: the interpreter of the peers.
        module: what it runs.
        key: its only argument: what it measures.
        setup: its first line of input; a password has no place among arguments.
        run: the folder of the run.
    """

    def __init__(self, python: str, module: str, key: str, setup: Mapping[str, Any], run: RunFolder) -> None:
        self._log = run.logs / f"bench-{key}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [python, "-m", module, key],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT,
                env=clean_environment(run, {"PYTHONPATH": str(ROOT)}),
                start_new_session=True,  # Ctrl-C is for us
            )  # fmt: skip
        self._send(setup)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ask(
        self, job: str, within: float = 60.0, meanwhile: Callable[[], None] | None = None, **arguments: Any
    ) -> dict[str, Any]:
        """Have a job done and return its answer.

        Args:
            job: a name that the worker knows.
            within: how many seconds to wait.
            meanwhile: called again and again until the answer is there.
            **arguments: of the job.

        Raises:
            WorkerError: it failed, ended, or gave no answer in time.
        """
        self._send({"job": job, "arguments": arguments})
        reply: dict[str, Any] = json.loads(self._line(job, within, meanwhile))
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply

    def _line(self, job: str, seconds: float, meanwhile: Callable[[], None] | None) -> bytes:
        assert self._process.stdout is not None
        stdout = self._process.stdout.fileno()
        deadline = time.monotonic() + seconds
        said = b""
        while not said.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0:
                raise WorkerError(f"{job} gave no answer within {seconds:.0f} s")
            ready = select.select([stdout], [], [], min(left, LOOK_EVERY) if meanwhile else left)[0]
            if not ready and meanwhile:
                meanwhile()
            part = os.read(stdout, 65536) if ready else b""
            if ready and not part:
                raise WorkerError(f"it ended: {self._last_words()}")
            said += part
        return said

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(f"it ended: {self._last_words()}") from None

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a word"

    def stop(self) -> None:
        """End it, whatever it does."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
