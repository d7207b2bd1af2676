"""From measured runs to demands: what grows with the requests, what is there without them, what is only waiting.

Processor time per second is a line over the request rate: its slope is a request's need, its foot is the
background (timers, statistics, heartbeats). At 30 requests a second the foot is half of all; taken for a request's
need, it would halve the capacity. What is left of the latency without contention is waiting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from .demands import Demands, TaskDemand
from .simulate import simulate
from .system import System

SHARED = ("app", "after", "database", "bouncer", "beside", "generator", "generator_after")  # on one machine
APART = ("app", "after", "beside")  # on a host of the app alone
FULLEST = 0.95  # beyond that the formula grows without bounds, and a closed system does not
WORK = ("app", "database", "bouncer", "beside", "generator")  # of a request until its answer
GROWS = ("app", "database", "bouncer", "beside", "generator")
JAMMED = (1.0, 0.5, 0.3, 0.2, 0.14, 0.1, 0.07, 0.05)  # shares of the requests that are tried
HALVINGS = 7  # of a run's mean latency: a delay is found to within 1 % of it
ANSWERS = 6_000  # simulated for each
SHORTEST, LONGEST, WARMUP = 10.0, 60.0, 5.0  # seconds


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
        p95: seconds; None where it is not known.
    """

    users: int
    think: float
    rate: float
    used: Mapping[str, float]
    latency: float
    tasks: Mapping[str, tuple[float, float, Sequence[float]]]
    p95: float | None = None


@dataclass(frozen=True)
class Calibrated:
    """Demands, and how much more than the stations explain a request is held up when they are busy.

    Attributes:
        demands: of a request when nearly nobody else is there.
        variability: the V of Kingman's formula, fitted: what bursts, the scheduler and caches add.
    """

    demands: Demands
    variability: float = 0.0

    def without_generator(self) -> Calibrated:
        """Return what people on machines of their own make of it."""
        demands = self.demands.scaled(generator=0.0, generator_after=0.0)
        app, database, _ = demands.background
        return Calibrated(replace(demands, background=(app, database, 0.0)), self.variability)

    def at(self, rate: float, system: System) -> Demands:
        """Return the demands at a rate of answers per second."""
        work = sum(self.demands.mean(part) for part in WORK)
        return with_jam(self.demands, self.variability * congestion(self.demands, rate, system) * work)


def congestion(demands: Demands, rate: float, system: System) -> float:
    """Return the U of Kingman's formula for several servers, of the machine that the app runs on.

    Sakasegawa, "An approximation formula Lq = a rho^b / (1 - rho)", Annals of the Institute of Statistical
    Mathematics 29, 1977; as in Hopp and Spearman, "Factory Physics".
    """
    work = sum(demands.mean(part) for part in (SHARED if system.is_shared else APART)) + system.boot_per_request
    foot = sum(demands.background) if system.is_shared else demands.background[0]
    full = min((rate / system.hosts * work + foot) / system.cores, FULLEST)
    return float(full ** (math.sqrt(2 * (system.cores + 1)) - 1) / (system.cores * (1 - full)))


def with_wait(demands: Demands, wait: float) -> Demands:
    """Return demands whose mean waiting is another; it is shared out as the latencies are."""
    whole = demands.mean("latency") - demands.mean("wait")
    tasks = [replace(task, wait=wait * (task.latency - task.wait) / whole) for task in demands.tasks]
    return replace(demands, tasks=tasks)


def with_jam(demands: Demands, jam: float) -> Demands:
    """Return demands that are held up for so long on the average, each task as its work is."""
    mean = sum(demands.mean(part) for part in WORK)
    if mean <= 0:
        return demands
    return replace(demands, tasks=[
        replace(task, jam=jam * sum(getattr(task, part) for part in WORK) / mean) for task in demands.tasks
    ])  # fmt: skip


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
    shaped = levels[0]
    tasks = [
        _task(name, share, mean / shaped.latency, shape, lines, queries.get(name, 1.0))
        for name, (share, mean, shape) in shaped.tasks.items()
    ]
    background = (
        lines["app"][1] + lines["beside"][1], lines["database"][1], lines["bouncer"][1] + lines["generator"][1],
    )  # fmt: skip
    demands = _within(Demands(tasks, think, think_range, background), levels[0])
    demands = with_wait(demands, _fitted(demands, system, levels[0], with_wait))
    held_up = [(congestion(demands, level.rate, system), _fitted(demands, system, level, with_jam))
               for level in levels[1:]]  # fmt: skip
    squares = math.fsum(x * x for x, _ in held_up) * sum(demands.mean(part) for part in WORK)
    variability = math.fsum(x * y for x, y in held_up) / squares if squares else 0.0
    return _with_tail(Calibrated(demands, variability), system, levels[-1])


def _with_tail(calibrated: Calibrated, system: System, level: Level) -> Calibrated:
    """Choose how few requests are held up, so that the heaviest run's p95 comes out."""
    if not calibrated.variability or not level.p95:
        return calibrated
    wanted = level.p95

    def off(share: float) -> float:
        demands = replace(calibrated.at(level.rate, system), think=level.think, think_range=None, jammed=share)
        seconds = min(max(ANSWERS / level.rate, SHORTEST), LONGEST)
        seen = simulate(demands, system, users=level.users, seconds=seconds, warmup=WARMUP).percentile(95)
        return abs((seen or 0.0) - wanted)

    return replace(calibrated, demands=replace(calibrated.demands, jammed=min(JAMMED, key=off)))


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


def _fitted(demands: Demands, system: System, level: Level, delay: Callable[[Demands, float], Demands]) -> float:
    """Return the delay, in seconds, with which the model has the run's mean latency; by bisection."""
    asked = replace(demands, think=level.think, think_range=None)
    seconds = min(max(ANSWERS / level.rate, SHORTEST), LONGEST)
    low, high = 0.0, level.latency
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        seen = simulate(delay(asked, middle), system, users=level.users, seconds=seconds, warmup=WARMUP)
        low, high = (middle, high) if seen.mean < level.latency else (low, middle)
    return (low + high) / 2 if low > 0 else 0.0
