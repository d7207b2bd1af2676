"""What the virtual people of a run do: tasks with weights, the time they think, the values they are given.

Holds the description alone, checked and frozen; it reads no file (`scenario_file` does) and sends nothing (the
`engine` does). It must stay free of gevent and Locust, since the caller's process loads it. If it is wrong, the
load is not the one that was asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import CommandError
from .sources import Source

METHODS = ("get", "post", "put", "patch", "delete")
THINK_KINDS = ("constant", "uniform", "exponential", "every")


class ScenarioError(CommandError):
    """A scenario that cannot be run; one sentence with the place in it."""


@dataclass(frozen=True)
class Think:
    """The time between two steps of a person, in seconds.

    Attributes:
        kind: constant (`low`), uniform (`low` to `high`), exponential (mean `low`), or every (a schedule: steps
            begin `low` apart, however long the answers take).
    """

    kind: str = "constant"
    low: float = 0.0
    high: float = 0.0

    @property
    def mean(self) -> float:
        """Return the mean pause; for a schedule the distance of two beginnings."""
        return (self.low + self.high) / 2 if self.kind == "uniform" else self.low

    def __str__(self) -> str:
        shown = {
            "constant": f"{self.low:g}s", "uniform": f"{self.low:g}s to {self.high:g}s",
            "exponential": f"exp {self.low:g}s", "every": f"every {self.low:g}s",
        }  # fmt: skip
        return shown[self.kind]


@dataclass(frozen=True)
class Step:
    """One request, with `{name}` where a value belongs.

    Attributes:
        name: what its figures are listed under.
        path: path and query, or a whole address on the target's host.
        json: sent as JSON; None sends none. A string that is nothing but `{name}` keeps the value's type.
        form: sent as a form.
        expect: statuses that are right; empty for any below 400. Redirects are followed unless one is expected.
        contains: text that the body must have; "" for any.
        save: values to take from the answer, by name: `json:a.b.0`, `header:NAME` or `text:REGEX`.
    """

    name: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    expect: Collection[int] = ()
    contains: str = ""
    save: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """What a person does in one go: steps in order, with the time to think between them.

    Attributes:
        weight: how often it is chosen, beside the other tasks' weights.
    """

    name: str
    weight: float
    steps: Sequence[Step]


@dataclass(frozen=True)
class Scenario:
    """A whole scenario.

    Attributes:
        headers: sent with every step; a step's own go before them.
        values: where `{name}` comes from, drawn anew for each task.
        login: steps that each person does once, before its first task. Values that they use stay the person's.
    """

    name: str
    tasks: Sequence[Task]
    think: Think = field(default_factory=Think)
    headers: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Source] = field(default_factory=dict)
    login: Sequence[Step] = ()

    @property
    def steps(self) -> Sequence[Step]:
        """Return every step: the login's first, then the tasks' in their order."""
        return [*self.login, *(step for task in self.tasks for step in task.steps)]

    @property
    def mean_steps(self) -> float:
        """Return how many steps a task has on the average, by weight."""
        weight = sum(task.weight for task in self.tasks)
        return sum(task.weight * len(task.steps) for task in self.tasks) / weight
