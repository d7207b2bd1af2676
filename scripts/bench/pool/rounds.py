"""The order of a run: figure by figure, round by round, every subject in each round, in an order that rotates.

What disturbs a minute then disturbs all subjects alike, and nobody is always the first or the last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from ...progress import Progress
from ...stack.runfolder import RunFolder
from ..session import Worker, WorkerError
from .server import Peak, Server
from .subjects import Subject

WORKER = "scripts.bench.pool.worker"
LONG_ENOUGH = 5.0  # seconds for all checkouts after terminate; what takes longer has shown that it does

Measured = dict[str, dict[str, list[float]]]
Step = Callable[[Subject], Mapping[str, float]]


@dataclass(frozen=True)
class Plan:
    """How much is measured. Durations in seconds.

    Attributes:
        rounds: of most figures.
        slow_rounds: of those that open pools or start processes: storm, memory and recovery.
        seconds: of one round of contention; the other figures take a part of it.
        threads: the numbers of threads to show the cost for.
        timeout: how long a pool lets a caller wait.
        checkouts: after all backends were terminated.
        size: connections of each pool.
        crowd: threads in contention and storm.
        hold_ms: how long each of them holds a connection.
        idle: connections in the measurement of memory.
        budget: when it is behind this time, further rounds of a figure are left out; the first never is.
    """

    rounds: int = 5
    slow_rounds: int = 3
    seconds: float = 2.0
    threads: tuple[int, ...] = (1, 8, 64, 256)
    timeout: float = 10.0
    checkouts: int = 1000
    size: int = 8
    crowd: int = 64
    hold_ms: float = 2.0
    idle: int = 48
    budget: float = 480.0


@dataclass
class Outcome:
    """What was measured: per subject and figure one value per round, and what could not be.

    `cut` has a figure's name for each round that was left out because the machine was too slow for all of them.
    """

    measured: Measured = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)


class Rounds:
    """One run.

    Args:
        server: PostgreSQL.
        run: the folder of the run.
        plan: how much.
        python: the interpreter that has every subject's packages.
        progress: told how far it is.
    """

    def __init__(
        self, server: Server, run: RunFolder, plan: Plan, python: str, progress: Progress
    ) -> None:
        self._server = server
        self._run = run
        self._plan = plan
        self._python = python
        self._progress = progress
        self._workers: dict[str, Worker] = {}
        self._begun = 0.0
        self.outcome = Outcome()

    def measure(self, subjects: Sequence[Subject]) -> Outcome:
        """Measure the subjects; one that cannot be started is left out with its reason."""
        with ExitStack() as ending:
            ending.callback(self._stop_all)
            present = [subject for subject in subjects if self._is_started(subject)]
            rounds = list(self._rounds())
            self._begun = time.monotonic()
            for done, (text, number, step) in enumerate(rounds):
                if number and self._is_late(done / len(rounds)):
                    self.outcome.cut.append(text)
                    continue
                for place, subject in enumerate(rotated(present, number)):
                    self._progress.bar(done + place / len(present), len(rounds), f"{text}: {subject.label}")
                    self._record(text, subject, step)
        self._progress.clear()
        return self.outcome

    def _is_started(self, subject: Subject) -> bool:
        try:
            worker = self._workers[subject.key] = self._start(subject)
            self.outcome.versions.update(worker.ask("hello")["versions"])
        except WorkerError as error:
            self.outcome.left_out[subject.key] = str(error)
            self._progress(f"left out: {subject.label}: {error}")
            return False
        self.outcome.measured[subject.key] = {}
        return True

    def _start(self, subject: Subject) -> Worker:
        setup = {"dsn": self._server.dsn, "size": self._plan.size, "timeout": self._plan.timeout}
        return Worker(self._python, WORKER, subject.key, setup, self._run)

    def _rounds(self) -> Iterator[tuple[str, int, Step]]:
        for text, step, rounds in self._figures():
            for number in range(rounds):
                yield text, number, step

    def _is_late(self, done: float) -> bool:
        """Tell whether so much of the work has taken more than its share of the time."""
        return time.monotonic() - self._begun > self._plan.budget * done

    def _figures(self) -> Iterator[tuple[str, Step, int]]:
        plan = self._plan
        yield "checkout", self._plain("checkout", plan.seconds / 4), plan.rounds
        yield "checkout with a query", self._plain("query", plan.seconds / 5), plan.rounds
        yield f"{plan.crowd} threads on {plan.size} connections", self._contention, plan.rounds
        yield "connect storm", self._storm, plan.slow_rounds
        for threads in plan.threads:
            yield f"cost with {threads} threads", self._by_threads(threads), plan.rounds
        yield "memory and recovery", self._in_fresh_process, plan.slow_rounds

    def _record(self, text: str, subject: Subject, step: Step) -> None:
        try:
            figures = step(subject)
        except WorkerError as error:
            self.outcome.problems.append(f"{text}: {subject.label}: {error}")
            self._restart(subject)
            return
        for name, value in figures.items():
            self.outcome.measured[subject.key].setdefault(name, []).append(value)

    def _restart(self, subject: Subject) -> None:
        """Replace a worker that failed: what state its pool is in, nobody knows."""
        if subject.key in self._workers:
            self._workers[subject.key].stop()
            self._workers[subject.key] = self._start(subject)

    def _stop_all(self) -> None:
        for worker in self._workers.values():
            worker.stop()
        self._workers.clear()

    def _plain(self, job: str, seconds: float) -> Step:
        return lambda subject: self._workers[subject.key].ask(job, seconds + 60, seconds=seconds)

    def _by_threads(self, threads: int) -> Step:
        seconds = self._plan.seconds / 4

        def step(subject: Subject) -> Mapping[str, float]:
            return self._workers[subject.key].ask(
                "by_threads", seconds + 120, threads=threads, seconds=seconds
            )

        return step

    def _contention(self, subject: Subject) -> Mapping[str, float]:
        plan = self._plan
        peak = Peak(self._server, f"bench-{subject.key}-pool")
        figures = self._workers[subject.key].ask(
            "contention", plan.seconds + 120, peak.look, threads=plan.crowd, hold_ms=plan.hold_ms,
            seconds=plan.seconds,
        )  # fmt: skip
        return {**figures, "backends": peak.most}

    def _storm(self, subject: Subject) -> Mapping[str, float]:
        name = f"bench-{subject.key}-storm"
        peak, before = Peak(self._server, name), self._server.opened(name)
        figures = self._workers[subject.key].ask("storm", 120, peak.look, threads=self._plan.crowd)
        self._server.wait_until_gone(name)
        return {**figures, "storm_opened": self._server.opened(name) - before, "storm_backends": peak.most}

    def _in_fresh_process(self, subject: Subject) -> Mapping[str, float]:
        self._stop_all()  # their backends would be ended, and their pools would heal, along with these
        figures: dict[str, float] = {}
        with self._start(subject) as fresh:
            if subject.is_pool:
                figures.update(fresh.ask("memory", connections=self._plan.idle))
            fresh.ask("hello")
            self._server.terminate(f"bench-{subject.key}-pool")
            figures.update(fresh.ask("recovery", 120, checkouts=self._plan.checkouts, seconds=LONG_ENOUGH))
        return figures


def rotated(subjects: Sequence[Subject], number: int) -> list[Subject]:
    """Return the subjects in the order of a round: each round begins with another one."""
    start = number % max(len(subjects), 1)
    return [*subjects[start:], *subjects[:start]]
