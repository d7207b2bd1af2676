"""A scenario as JSON and back, for the way to the engine's process."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .scenario import Scenario, Step, Task, Think
from .sources import Source


def job_of(scenario: Scenario) -> dict[str, Any]:
    """Return what `scenario_of` makes the same scenario of."""
    return asdict(scenario)


def scenario_of(job: dict[str, Any]) -> Scenario:
    """Return the scenario."""
    return Scenario(
        job["name"],
        [Task(each["name"], each["weight"], [Step(**step) for step in each["steps"]]) for each in job["tasks"]],
        Think(**job["think"]),
        job["headers"],
        {name: Source(**given) for name, given in job["values"].items()},
        [Step(**step) for step in job["login"]],
    )
