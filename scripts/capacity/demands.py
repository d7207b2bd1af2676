"""What one request of each task needs from each station, in seconds.

The demands are what a model stands on: a wrong one gives a smooth and wrong curve. So a part that was not measured
is not 0 but missing, and is refused where a `Demands` is made.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate


@dataclass(frozen=True)
class TaskDemand:
    """The mean needs of one kind of request.

    Attributes:
        name: of the step that makes it.
        weight: how often it is asked, beside the others.
        app: processor seconds in the app's worker, under its interpreter lock.
        database: processor seconds in PostgreSQL's backend.
        bouncer: processor seconds in PgBouncer.
        beside: processor seconds of other processes on the app's machine, such as Redis.
        generator: processor seconds of the load generator within the latency; 0 for real people.
        wait: seconds without a processor: network, disk, locks.
        jam: mean seconds, exponential, that it is held up by what no station here explains.
        after: processor seconds of the worker after the answer was sent.
        generator_after: processor seconds of the generator after it had the answer.
        queries: mean statements per request.
        shape: latencies of single requests over their mean, ascending, in equal steps of probability; a request
            is drawn from it, and all its needs are scaled by it. (1.0,) makes all alike, () exponential ones.
    """

    name: str
    weight: float
    app: float
    database: float = 0.0
    bouncer: float = 0.0
    beside: float = 0.0
    generator: float = 0.0
    wait: float = 0.0
    jam: float = 0.0
    after: float = 0.0
    generator_after: float = 0.0
    queries: float = 1.0
    shape: Sequence[float] = (1.0,)

    @property
    def latency(self) -> float:
        """Seconds that it takes when nobody else is there."""
        return self.app + self.database + self.bouncer + self.beside + self.generator + self.wait

    def draw(self, chance: random.Random) -> float:
        """Return by how much one request's needs are scaled."""
        if not self.shape:
            return chance.expovariate(1.0)
        if len(self.shape) == 1:
            return self.shape[0]
        place = chance.random() * (len(self.shape) - 1)
        low = int(place)
        return self.shape[low] + (self.shape[low + 1] - self.shape[low]) * (place - low)


@dataclass(frozen=True)
class Demands:
    """The mix of requests, and how long people think in between.

    Attributes:
        think: mean seconds; `think_low` to `think_high` when uniform, else exponential.
        background: cores that are used without any request: by an app's host, by the database, and by the rest
            (generator and PgBouncer) where all share a machine.
        jammed: share of the requests that `jam` falls on; the rest goes through.
    """

    tasks: Sequence[TaskDemand]
    think: float
    think_range: tuple[float, float] | None = None
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    jammed: float = 1.0
    _sums: Sequence[float] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.tasks or sum(task.weight for task in self.tasks) <= 0:
            raise ValueError("demands of no task are no demands; give one task with a weight above 0")
        object.__setattr__(self, "_sums", list(accumulate(task.weight for task in self.tasks)))

    def pick(self, chance: random.Random) -> TaskDemand:
        """Return the next task by weight."""
        return self.tasks[min(bisect(self._sums, chance.random() * self._sums[-1]), len(self.tasks) - 1)]

    def pause(self, chance: random.Random) -> float:
        """Return how long a person thinks, in seconds."""
        if self.think_range is not None:
            return chance.uniform(*self.think_range)
        return chance.expovariate(1 / self.think) if self.think > 0 else 0.0

    def mean(self, part: str) -> float:
        """Return the mean of a part over the mix, in seconds (queries: a number)."""
        total: float = sum(task.weight * getattr(task, part) for task in self.tasks)
        return total / self._sums[-1]

    def scaled(self, **factors: float) -> Demands:
        """Return demands with some parts multiplied, by name."""
        tasks = [
            replace(task, **{part: getattr(task, part) * factor for part, factor in factors.items()})
            for task in self.tasks
        ]
        return replace(self, tasks=tasks)
