"""The process in which one subject is measured.

    python -m scripts.bench.pool.worker KEY

Reads jobs from stdin, one JSON object a line, and answers each by one line on stdout. The first line has the DSN
and sizes; a password has no place among arguments. Ends at the end of its input.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import platform
import sys
from collections.abc import Callable, Mapping
from typing import Any

from . import measure
from .subjects import BY_KEY, Handle, Subject

DRIVERS = ("psycopg2-binary", "psycopg2")


class Bench:
    """One subject under measurement.

    Args:
        subject: which.
        dsn: without application_name.
        size: of its pool.
        timeout: how long a caller waits at most.
    """

    def __init__(self, subject: Subject, dsn: str, size: int, timeout: float) -> None:
        self._subject = subject
        self._dsn = dsn
        self._size = size
        self._timeout = timeout
        self._handle: Handle | None = None
        self._jobs: dict[str, Callable[..., Mapping[str, Any]]] = {
            "hello": self._hello,
            "checkout": self._on_pool(measure.checkout),
            "query": self._on_pool(measure.query),
            "contention": self._on_pool(measure.contention),
            "by_threads": self._on_pool(measure.by_threads),
            "recovery": self._on_pool(measure.recovery),
            "storm": self._storm,
            "memory": self._memory,
        }

    def do(self, job: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run one job."""
        return self._jobs[job](**arguments)

    def _on_pool(self, figure: Callable[..., Mapping[str, Any]]) -> Callable[..., Mapping[str, Any]]:
        return lambda **arguments: figure(self._pool(), **arguments)

    def _pool(self) -> Handle:
        if self._handle is None:
            self._handle = self._subject.open(self._named("pool"), self._size, self._timeout)
        return self._handle

    def _named(self, what: str) -> str:
        return f"{self._dsn} application_name=bench-{self._subject.key}-{what}"

    def _hello(self) -> Mapping[str, Any]:
        measure.warm_up(self._pool(), self._size)
        names = [*DRIVERS, *(name.partition("[")[0] for name in self._subject.packages)]
        return {"python": platform.python_version(), "versions": _versions(names)}

    def _storm(self, threads: int) -> Mapping[str, Any]:
        return measure.storm(self._subject.open, self._named("storm"), threads, self._size, self._timeout)

    def _memory(self, connections: int) -> Mapping[str, Any]:
        return measure.memory(self._subject.open, self._named("memory"), connections, self._timeout)


def _versions(names: list[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def main(key: str) -> None:
    """Serve one subject until the input ends."""
    logging.disable(logging.CRITICAL)  # pools report each lost connection; here they are lost on purpose
    bench = Bench(BY_KEY[key], **json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply: Mapping[str, Any] = bench.do(request["job"], request["arguments"])
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
