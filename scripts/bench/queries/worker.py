"""The process in which all methods are measured, one call of each in turn.

    python -m scripts.bench.queries.worker profiles

Reads jobs from stdin, one JSON object a line, and answers each by one line on stdout; ends with its input. All
methods share the process, so that each round has one call of each within the same fraction of a second; what one
leaves to the collector is collected before the next one's turn.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import psycopg2

from . import methods
from .compare import difference
from .methods import BY_KEY, Handle, Route

REFERENCE = "ours"
PACKAGES = (  # each with its distribution's name
    ("psycopg2", "psycopg2"), ("psycopg2", "psycopg2-binary"), ("psycopg", "psycopg"),
    ("sqlalchemy", "sqlalchemy"), ("flask", "flask"),
)  # fmt: skip
PINGS = 100
Answer = Mapping[str, Any]


class Bench:
    """The methods under measurement.

    Args:
        dsn: straight to the server.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._handles: dict[str, Handle] = {}
        self._expected: dict[int, Any] = {}
        self.jobs: dict[str, Callable[..., Answer]] = {
            "hello": self._hello,
            "open": self._open,
            "warm": self._warm,
            "answer": self._answer,
            "rounds": self._rounds,
            "ping": self._ping,
            "function": self._function,
        }

    def _hello(self) -> Answer:
        return {"versions": _versions()}

    def _function(self) -> Answer:
        with psycopg2.connect(self._dsn) as conn, conn.cursor() as cursor:
            cursor.execute(methods.function_ddl())
        conn.close()
        return {}

    def _open(self, keys: Sequence[str], dsn: str, shared: bool) -> Answer:
        """Open methods over a way, in place of the one before; returns those that cannot be, with the reason."""
        for handle in self._handles.values():
            with suppress(Exception):  # a proxy that has ended took its connections along
                handle.close()
        self._handles, failed = {}, {}
        for key in keys:
            try:
                self._handles[key] = BY_KEY[key].open(Route(dsn, shared))
            except Exception as error:
                failed[key] = said(error)
        return {"failed": failed}

    def _warm(self, customer_id: int, times: int) -> Answer:
        """Let connections be made, caches fill, and plans be kept: drivers and PostgreSQL wait five calls each."""
        for handle in self._handles.values():
            for _ in range(times):
                handle.profile(customer_id)
        return {"plans": {key: handle.plans() for key, handle in self._handles.items()}}

    def _answer(self, key: str, customer_id: int) -> Answer:
        """Ask once and hold the answer against ours."""
        body = self._handles[key].profile(customer_id)
        value = json.loads(body)
        if key == REFERENCE:
            self._expected[customer_id] = value
        return {"bytes": len(body), "difference": difference(self._expected[customer_id], value)}

    def _rounds(self, customer_id: int, seconds: float, most: int) -> Answer:
        """Ask by each method in turn; returns the milliseconds of each call."""
        calls: dict[str, list[float]] = {key: [] for key in self._handles}
        gc.freeze()  # what is there now stays; a collection between two calls then takes no time
        end = time.perf_counter() + seconds
        for number in range(most):
            if number and time.perf_counter() > end:
                break
            for key in drawn(list(calls), number):
                calls[key].append(_timed(self._handles[key].profile, customer_id))
        return {"ms": calls}

    def _ping(self, dsn: str) -> Answer:
        """Return the milliseconds of the smallest query, which is what a way to the server costs each time."""
        conn = psycopg2.connect(dsn)
        conn.autocommit = True
        with conn.cursor() as cursor:
            found = sorted(_timed(cursor.execute, "SELECT 1") for _ in range(PINGS))
        conn.close()
        return {"ms": found[PINGS // 4]}  # others on the machine only ever add


def drawn(keys: Sequence[str], number: int) -> list[str]:
    """Return the order of a round: another one each time, so that nobody always follows the same neighbour."""
    return Random(number).sample(keys, len(keys))


def _timed(call: Callable[[Any], object], argument: Any) -> float:
    gc.collect()
    start = time.perf_counter()
    call(argument)
    return (time.perf_counter() - start) * 1000


def _versions() -> dict[str, str]:
    found = {}
    for name, distribution in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(distribution)
    return found


def said(error: Exception) -> str:
    """Return an error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def serve(jobs: Mapping[str, Callable[..., Answer]]) -> None:
    """Do jobs until the input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply: Answer = jobs[request["job"]](**request["arguments"])
        except Exception as error:
            reply = {"error": said(error)}
        print(json.dumps(reply), flush=True)


def main() -> None:
    """Serve until the input ends."""
    logging.disable(logging.CRITICAL)
    bench = Bench(**json.loads(sys.stdin.readline()))
    serve(bench.jobs)


if __name__ == "__main__":
    main()
