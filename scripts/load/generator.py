"""The generator's process: `python -m scripts.load.generator`, started by `closed.run_closed` alone.

One line of JSON on stdin is the job; one JSON object on stdout is the result. Stdin stays open for as long as
the caller lives: its end means that the caller is gone, and the process stops at once. Nothing is left
behind, whatever killed the caller.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable
from typing import Any

import uvloop

from .connection import BUFFER_BYTES, Connection
from .result import nearest_rank
from .user import Endpoint, Phase, Tally, User, clock

LAG_INTERVAL = 0.02
SPARE_FILES = 64


class Lag:
    """How late timers fire: the time that an answer may lie in the socket before it is seen."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.samples: list[float] = []
        self._schedule()

    def _schedule(self) -> None:
        self._due = clock() + LAG_INTERVAL
        self._timer = self._loop.call_later(LAG_INTERVAL, self._fire)

    def _fire(self) -> None:
        self.samples.append(max(clock() - self._due, 0.0))
        self._schedule()

    def stop(self) -> float:
        """Return the 95th percentile in seconds."""
        self._timer.cancel()
        return nearest_rank(sorted(self.samples), 95) or 0.0


def make_endpoint(job: dict[str, Any]) -> Endpoint:
    """Turn a job's target and requests into what users need."""
    socket_path, host, port = job["socket_path"], job["host"], job["port"]

    def connect(loop: asyncio.AbstractEventLoop, connection: Connection) -> Awaitable[Any]:
        if socket_path:
            return loop.create_unix_connection(lambda: connection, socket_path)
        return loop.create_connection(lambda: connection, host, port)

    requests = [(payload.encode("ascii"), frozenset(expect)) for payload, expect in job["requests"]]
    return Endpoint(connect, requests, memoryview(bytearray(BUFFER_BYTES)))


async def run_phase(users: list[User], seconds: float, quota: int | None, drain: float) -> Tally:
    """Let all users ask until time or quota is over, then wait `drain` seconds for what is in flight."""
    loop = asyncio.get_running_loop()
    everyone_done: asyncio.Future[None] = loop.create_future()
    waiting = len(users)

    def finished() -> None:
        nonlocal waiting
        waiting -= 1
        if waiting == 0 and not everyone_done.done():
            everyone_done.set_result(None)

    phase = Phase(clock() + seconds, quota, finished)
    for user in users:
        user.begin(phase)
    await asyncio.wait([everyone_done], timeout=seconds + drain)
    for user in users:
        if user.is_busy:
            user.give_up()
    return phase.tally


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Warm up, measure, and return what was counted."""
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), _stop_if_orphaned)
    endpoint = make_endpoint(job)
    users = [User(loop, endpoint, offset) for offset in range(job["users"])]
    drain = job["drain_timeout"]
    warmup = Tally()
    if job["warmup_requests"]:
        warmup = await run_phase(users, drain, job["warmup_requests"], drain)
    elif job["warmup_seconds"]:
        warmup = await run_phase(users, job["warmup_seconds"], None, drain)
    gc.collect()
    gc.freeze()
    # What is left to collect is a few objects per new connection; full collections would show up as latency.
    gc.set_threshold(50_000, 50, 1000)
    lag = Lag(loop)
    cpu, start = time.process_time(), clock()
    tally = await run_phase(users, job["seconds"], None, drain)
    cpu, wall = time.process_time() - cpu, clock() - start
    for user in users:
        user.leave()
    return {
        "elapsed": max(tally.last_answer - start, job["seconds"]),
        "latencies": base64.b64encode(tally.latencies.tobytes()).decode(),
        "errors": tally.errors,
        "connections": tally.connections,
        "reopened": tally.reopened,
        "retried": tally.retried,
        "received_bytes": tally.received_bytes,
        "warmup_answered": len(warmup.latencies),
        "warmup_errors": warmup.errors,
        "generator_cpu": cpu / wall,
        "generator_lag": lag.stop(),
    }


def allow_files(users: int) -> None:
    """Raise the soft limit of open files to what the users need.

    Raises:
        OSError: The hard limit is below that.
    """
    needed = users + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise OSError(f"{users} users need {needed} open files, the limit is {hard}; see ulimit -Hn")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _stop_if_orphaned() -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        # No result is wanted any more and the kernel closes the sockets: nothing is worth a tidy shutdown.
        os._exit(1)


def main() -> int:
    """Read the job, run it, write the result."""
    line = _read_line(sys.stdin.fileno())
    if not line:
        return 1
    job = json.loads(line)
    try:
        allow_files(job["users"])
        result = uvloop.run(run(job))
    except OSError as error:
        result = {"failure": str(error)}
    json.dump(result, sys.stdout)
    return 0


def _read_line(descriptor: int) -> bytes:
    """Read up to a newline without a buffer, which would swallow the end of the pipe."""
    parts = []
    while part := os.read(descriptor, 65536):
        parts.append(part)
        if part.endswith(b"\n"):
            return b"".join(parts)
    return b""


if __name__ == "__main__":
    sys.exit(main())
