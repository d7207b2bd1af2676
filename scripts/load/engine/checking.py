"""Try each step of a scenario once, by one person, before anybody is let loose on the server."""

from __future__ import annotations

import time
from typing import Any

from locust.env import Environment

from ..scenario import Scenario
from .asking import ask
from .counting import Counting
from .person import Trip
from .running import person_class


def check(scenario: Scenario, job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what became of each step: name, status, seconds, kind of error ("" for none), begin of the body."""
    trip = Trip(scenario, Counting(0.0, 0.0), job["seed"], job["number"], job["of"])
    environment = Environment(user_classes=[person_class(trip, job)], host=job["target"])
    person: Any = environment.user_classes[0](environment)
    chance = trip.next_person()
    kept: dict[str, Any] = {name: source.draw(chance, 0) for name, source in scenario.values.items()}
    found: list[dict[str, Any]] = []
    for steps in [scenario.login, *(task.steps for task in scenario.tasks)]:
        values = dict(kept)
        for step in steps:
            began = time.perf_counter()
            outcome = ask(person.client, step, scenario.headers, values)
            found.append({
                "step": step.name, "status": outcome.status, "seconds": time.perf_counter() - began,
                "kind": outcome.kind, "snippet": outcome.snippet,
            })  # fmt: skip
            if outcome.kind:
                break
            values.update(outcome.saved)
        if steps is scenario.login:
            kept = values
            if found and found[-1]["kind"]:
                break  # nothing that needs the login can be right
    return found
