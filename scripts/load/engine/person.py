"""A virtual person: logs in once, then does tasks, thinking in between, until the run ends.

The closed model: a person asks again when it has read the answer. The open model: persons wait for arrivals that
come at a rate, whatever the server does. Latency counts from the moment at which a request was meant to start, so
that a slow answer cannot hide the ones that it kept waiting ("coordinated omission", Gil Tene; README of wrk2).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import gevent
from gevent.queue import Queue
from locust import FastHttpUser, task
from locust.exception import StopUser

from ..scenario import Scenario, Step, Task, Think
from ..templates import names_in
from .asking import ask
from .counting import Counting, started_at

clock = time.perf_counter
LOGIN_AGAIN = 1.0  # seconds until a failed login is tried again; a dead server must not be hammered
PAUSE_AFTER_FAILURE = 0.05  # seconds, the least before a person asks again: else refusals measure the generator


class Trip:
    """What all persons of a process share.

    Attributes:
        counting: where answers go.
        arrivals: intended starts of the open model, None at its end; None in the closed one.
        deadline: no step begins at or after it.
        alive: persons that have not ended.
        idle: persons that wait for an arrival.
    """

    def __init__(self, scenario: Scenario, counting: Counting, seed: int, number: int, of: int) -> None:
        self.scenario = scenario
        self.counting = counting
        self.deadline = counting.end
        self.arrivals: Queue[float | None] | None = None
        self.alive = self.idle = 0
        self.seed = seed
        self._turns = count(number, of)  # no two processes count the same numbers
        self._people = count()
        used = [[step.path, step.headers, step.json, step.form or {}] for step in scenario.login]
        self.own = frozenset(names_in(used))

    def next_turn(self) -> int:
        """Return a number for the values of a task."""
        return next(self._turns)

    def next_person(self) -> random.Random:
        """Return a random generator for a person, the same ones in each run with this seed."""
        return random.Random(f"{self.seed}-{next(self._people)}-{next(self._turns)}")


class Person(FastHttpUser):
    """Lives one person's life; the engine makes a subclass that has the trip."""

    abstract = True
    concurrency = 1
    trip: Trip

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._chance = self.trip.next_person()
        self._values: dict[str, Any] = {}
        self._for_tasks = frozenset(self.trip.scenario.values) - self.trip.own
        self._ok = True

    @task
    def live(self) -> None:
        """Do everything, then leave."""
        trip = self.trip
        trip.alive += 1
        try:
            self._draw(trip.own)
            if trip.arrivals is None:
                self._closed()
            else:
                self._open(trip.arrivals)
        finally:
            trip.alive -= 1
        raise StopUser

    def _closed(self) -> None:
        think = self.trip.scenario.think
        # Persons that all begin at once would all click at once for a while.
        intended = clock() + self._chance.random() * think.mean
        for step in self._clicks():
            if not self._wait_until(intended):
                return
            self._do(step, started_at(intended, clock()))
            intended = intended + think.low if think.kind == "every" else clock() + self._pause(think)
            if not self._ok:
                intended = max(intended, clock() + PAUSE_AFTER_FAILURE)

    def _clicks(self) -> Iterator[Step]:
        """Yield steps without end; what a failed step's task had left is not done."""
        yield from self._login()
        while True:
            self._draw(self._for_tasks)
            for step in self._chosen().steps:
                yield step
                if not self._ok:
                    break

    def _login(self) -> Iterator[Step]:
        """Yield the login's steps until all have gone well."""
        steps = self.trip.scenario.login
        done = 0
        while done < len(steps):
            yield steps[done]
            if self._ok:
                done += 1
            else:
                done = 0
                gevent.sleep(LOGIN_AGAIN)

    def _chosen(self) -> Task:
        tasks = self.trip.scenario.tasks
        return self._chance.choices(tasks, [each.weight for each in tasks])[0]

    def _open(self, arrivals: Queue[float | None]) -> None:
        for step in self._login():
            if clock() >= self.trip.deadline:
                return
            self._do(step, clock())
        self.trip.idle += 1
        while (intended := arrivals.get()) is not None:
            self.trip.idle -= 1
            began = started_at(intended, clock())
            self._draw(self._for_tasks)
            for number, step in enumerate(self._chosen().steps):
                if number:
                    began = clock() + self._pause(self.trip.scenario.think)
                    if not self._wait_until(began):
                        break
                self._do(step, began)
                if not self._ok:
                    break
            self.trip.idle += 1

    def _do(self, step: Step, intended: float) -> None:
        sent = clock()
        outcome = ask(self.client, step, self.trip.scenario.headers, self._values)
        done = clock()
        self._ok = not outcome.kind
        if outcome.kind:
            self.trip.counting.failed(step.name, intended, outcome.kind)
        else:
            self.trip.counting.answered(step.name, intended, sent, done)
            self._values.update(outcome.saved)

    def _draw(self, names: frozenset[str]) -> None:
        turn = self.trip.next_turn()
        sources = self.trip.scenario.values
        for name in sorted(names & sources.keys()):
            self._values[name] = sources[name].draw(self._chance, turn)

    def _pause(self, think: Think) -> float:
        if think.kind == "uniform":
            return self._chance.uniform(think.low, think.high)
        return self._chance.expovariate(1 / think.low) if think.kind == "exponential" else think.low

    def _wait_until(self, moment: float) -> bool:
        """Sleep until then; returns False when the run has ended by then."""
        gevent.sleep(max(min(moment, self.trip.deadline) - clock(), 0))
        return moment < self.trip.deadline
