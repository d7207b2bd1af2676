"""From measured runs to demands: what grows with the requests, what is there without them, what is only waiting.

Processor time per second is a line over the request rate: its slope is a request's need, its foot is the
background (timers, statistics, heartbeats). At 30 requests a second the foot is half of all; taken for a request's
need, it would halve the capacity. What is left of the latency without contention is waiting.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from .demands import Demands, TaskDemand
from .simulate import simulate
from .system import System

GROWS = ("app", "database", "bouncer", "beside", "generator")
FITS = 3  # rounds in which the waiting is fitted; the third changed means by less than 1 %
SECONDS = 40.0  # simulated in each


class CalibrationError(ValueError):
    """Runs from which no demands can be had; one sentence with the reason and the next step."""


@dataclass(frozen=True)
class Level:
    """One measured run.

    Attributes:
        users, think: of the run; think in seconds, exponential, 0 for none.
        rate: answers per second.
        used: processor seconds per second, by part; those of workers that began are not in it.
        latency: mean seconds.
        tasks: of each step its share of the requests, mean latency, and quantiles of it in equal steps.
    """

    users: int
    think: float
    rate: float
    used: Mapping[str, float]
    latency: float
    tasks: Mapping[str, tuple[float, float, Sequence[float]]]


@dataclass(frozen=True)
class Calibrated:
    """Demands that follow the request rate.

    Attributes:
        waits: (answers per second, mean seconds of waiting) from light to heavier.
    """

    demands: Demands
    waits: Sequence[tuple[float, float]]

    def without_generator(self) -> Calibrated:
        """Return what people on machines of their own make of it."""
        demands = self.demands.scaled(generator=0.0, generator_after=0.0)
        app, database, _ = demands.background
        return Calibrated(replace(demands, background=(app, database, 0.0)), self.waits)

    def at(self, rate: float) -> Demands:
        """Return the demands at a rate of answers per second."""
        return with_wait(self.demands, _between(self.waits, rate))


def with_wait(demands: Demands, wait: float) -> Demands:
    """Return demands whose mean waiting is another; it is shared out as the latencies are."""
    whole = demands.mean("latency") - demands.mean("wait")
    tasks = [replace(task, wait=wait * (task.latency - task.wait) / whole) for task in demands.tasks]
    return replace(demands, tasks=tasks)


def _between(points: Sequence[tuple[float, float]], place: float) -> float:
    """Interpolate; beyond the ends the end's value goes on."""
    if place <= points[0][0]:
        return points[0][1]
    for (low, first), (high, second) in pairwise(points):
        if place <= high:
            return first + (second - first) * (place - low) / (high - low)
    return points[-1][1]


def lines_of(levels: Sequence[Level]) -> dict[str, tuple[float, float]]:
    """Return slope (seconds per request) and foot (cores) of each part, by least squares over the rates."""
    rates = [level.rate for level in levels]
    middle = math.fsum(rates) / len(rates)
    spread = math.fsum((rate - middle) ** 2 for rate in rates)
    if spread <= 0:
        raise CalibrationError("the runs had the same rate, so background and requests cannot be told apart")
    found = {}
    for part in GROWS:
        used = [level.used.get(part, 0.0) for level in levels]
        mean = math.fsum(used) / len(used)
        slope = math.fsum((r - middle) * (u - mean) for r, u in zip(rates, used, strict=True)) / spread
        foot = mean - slope * middle
        if foot < 0 or slope < 0:  # nothing goes on below zero: all of it is the requests'
            slope, foot = math.fsum(used) / math.fsum(rates), 0.0
        found[part] = (slope, foot)
    return found


def calibrate(
    levels: Sequence[Level], system: System, queries: Mapping[str, float], think: float,
    think_range: tuple[float, float] | None = None,
) -> Calibrated:  # fmt: skip
    """Return demands that reproduce the runs.

    Args:
        levels: from the lightest to the heaviest, two at least.
        system: on which they ran.
        queries: statements per request, by step; 1 where one is missing.
        think, think_range: of the people that are to be predicted.
    """
    lines = lines_of(levels)  # of runs whose replaced workers are counted apart
    shaped = levels[min(1, len(levels) - 1)]
    tasks = [
        _task(name, share, mean / shaped.latency, shape, lines, queries.get(name, 1.0))
        for name, (share, mean, shape) in shaped.tasks.items()
    ]
    background = (
        lines["app"][1] + lines["beside"][1], lines["database"][1], lines["bouncer"][1] + lines["generator"][1],
    )  # fmt: skip
    demands = _within(Demands(tasks, think, think_range, background), levels[0])
    light = [level for level in levels if level.think > 0] or [levels[0]]
    waits = [(level.rate, _fitted(demands, system, level)) for level in light]
    return Calibrated(demands, waits)


def _task(
    name: str, share: float, size: float, shape: Sequence[float], lines: Mapping[str, tuple[float, float]],
    queries: float,
) -> TaskDemand:  # fmt: skip
    """Share the processor time out as the latencies are: nothing tells it apart by task from outside."""
    return TaskDemand(name, share, **{part: lines[part][0] * size for part in GROWS}, queries=queries, shape=shape)


def _within(demands: Demands, lightest: Level) -> Demands:
    """Move to after the answer what does not fit into the lightest run's latency: the generator's first."""
    over = demands.mean("latency") - lightest.latency
    if over <= 0:
        return demands
    parts = {}
    for part, after in (("generator", "generator_after"), ("app", "after")):
        mean = demands.mean(part)
        moved = min(max(over, 0.0), 0.7 * mean)
        parts[part] = (after, moved / mean if mean else 0.0)
        over -= moved
    tasks = list(demands.tasks)
    for part, (after, share) in parts.items():
        tasks = [
            replace(task, **{part: getattr(task, part) * (1 - share), after: getattr(task, part) * share})
            for task in tasks
        ]
    return replace(demands, tasks=tasks)


def _fitted(demands: Demands, system: System, level: Level) -> float:
    """Return the waiting, in seconds, with which the model has the run's mean latency."""
    wait = max(level.latency - demands.mean("latency"), 0.0)
    for _ in range(FITS):
        asked = replace(with_wait(demands, wait), think=level.think, think_range=None)
        seen = simulate(asked, system, users=level.users, seconds=SECONDS, warmup=2.0)
        wait = max(wait + level.latency - seen.mean, 0.0)
    return wait
