"""Processors in simulated time: a machine whose cores are shared, and processes that use one core at a time.

Machine: processor sharing. All that is runnable goes on at the same rate, min(1, cores/runnable), as Linux's fair
scheduler gives it over a few milliseconds. Kept as one clock of attained work ("virtual time"), so that an arrival
or a departure costs O(log n), not O(n): a job that needs w is done when the clock has moved by w.
Process: one thread runs at a time. Of an interpreter, whoever waits asks the holder to let go after 5 ms
(`sys.getswitchinterval`), and I/O lets go at once; PgBouncer and an event loop go on to the end of a piece.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

import simpy

SWITCH_INTERVAL = 0.005  # seconds; CPython's default
NEGLIGIBLE = 1e-12


class Machine:
    """Cores that are shared evenly.

    Attributes:
        busy: core-seconds used so far.
    """

    def __init__(self, env: simpy.Environment, cores: int) -> None:
        self._env, self.cores = env, cores
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._attained = self._since = self.busy = 0.0
        self._number = self._version = 0

    def run(self, work: float, done: Callable[[], None]) -> None:
        """Call `done` when so many processor seconds were given to it."""
        self._advance()
        self._number += 1
        heapq.heappush(self._jobs, (self._attained + work, self._number, done))
        self._plan()

    def settle(self) -> float:
        """Return `busy` as of now."""
        self._advance()
        return self.busy

    def _rate(self) -> float:
        return min(1.0, self.cores / len(self._jobs)) if self._jobs else 0.0

    def _advance(self) -> None:
        passed = self._env.now - self._since
        self._since = self._env.now
        self._attained += passed * self._rate()
        self.busy += passed * min(len(self._jobs), self.cores)

    def _plan(self) -> None:
        """Wake up when the next job is done; an older plan is void by its version."""
        self._version += 1
        if not self._jobs:
            return
        version = self._version
        left = max(self._jobs[0][0] - self._attained, 0.0)
        event = self._env.timeout(left / self._rate())
        event.callbacks.append(lambda _: self._finish(version))

    def _finish(self, version: int) -> None:
        if version != self._version:
            return
        self._advance()
        # The first is done by definition: rounding must not leave it a remainder that time cannot express.
        ended = [heapq.heappop(self._jobs)]
        self._attained = max(self._attained, ended[0][0])
        while self._jobs and self._jobs[0][0] <= self._attained + NEGLIGIBLE:
            ended.append(heapq.heappop(self._jobs))
        self._plan()
        for _, _, done in ended:
            done()


class Process:
    """One thread at a time on a machine, first come first served, in slices if it is an interpreter.

    Args:
        machine: whose cores it runs on.
        slice_seconds: processor seconds after which a waiting thread gets its turn; infinite for none.

    Attributes:
        held: seconds of work done so far.
        in_work: pieces of work waiting or running.
    """

    def __init__(self, env: simpy.Environment, machine: Machine, slice_seconds: float = float("inf")) -> None:
        self._env, self._machine, self._slice = env, machine, slice_seconds
        self._queue: deque[tuple[float, simpy.Event]] = deque()
        self._runs = False
        self.held = 0.0

    @property
    def in_work(self) -> int:
        """Pieces of work waiting or running."""
        return len(self._queue) + self._runs

    def use(self, work: float) -> simpy.Event:
        """Return an event that comes when the work is done; of no work at once."""
        event = self._env.event()
        if work <= 0:
            event.succeed()
            return event
        self._queue.append((work, event))
        if not self._runs:
            self._next()
        return event

    def _next(self) -> None:
        if not self._queue:
            self._runs = False
            return
        self._runs = True
        left, event = self._queue.popleft()
        part = min(left, self._slice)

        def done() -> None:
            self.held += part
            if left - part > NEGLIGIBLE:
                self._queue.append((left - part, event))
            else:
                event.succeed()
            self._next()

        self._machine.run(part, done)


class Backends:
    """Processes of which each piece of work has its own, as PostgreSQL's.

    Attributes:
        held: seconds of work given so far.
    """

    def __init__(self, env: simpy.Environment, machine: Machine) -> None:
        self._env, self._machine, self.held = env, machine, 0.0

    def use(self, work: float) -> simpy.Event:
        """Return an event that comes when the work is done."""
        event = self._env.event()
        if work <= 0:
            event.succeed()
            return event
        self.held += work
        self._machine.run(work, lambda: _succeed(event))
        return event


def _succeed(event: Any) -> None:
    event.succeed()
