"""Let persons loose for the time of a run: Locust spawns them, we count, and say once a second how it goes."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.queue import Queue
from locust.env import Environment

from ..scenario import Scenario
from .counting import Counting
from .person import Person, Trip, clock

LAG_EVERY = 0.02  # seconds
LOOK_EVERY = 0.05
SPAWN_AT_ONCE = 5000.0  # persons a second, where no ramp is asked for


class Lag:
    """How late timers fire: for so long an answer may lie in the socket before it is seen."""

    def __init__(self) -> None:
        self._samples: list[float] = []
        self._greenlet = gevent.spawn(self._watch)

    def _watch(self) -> None:
        while True:
            due = clock() + LAG_EVERY
            gevent.sleep(LAG_EVERY)
            self._samples.append(max(clock() - due, 0.0))

    def stop(self) -> float:
        """Return the 95th percentile in seconds."""
        self._greenlet.kill()
        ordered = sorted(self._samples)
        return ordered[int(len(ordered) * 0.95)] if ordered else 0.0


def person_class(trip: Trip, job: dict[str, Any]) -> type[Person]:
    """Return the class that Locust spawns, bound to a trip and a target."""
    members = {
        "abstract": False, "trip": trip, "host": job["target"], "insecure": job["insecure"],
        "network_timeout": job["timeout"], "connection_timeout": job["timeout"],
    }  # fmt: skip
    return type("BoundPerson", (Person,), members)


def run(scenario: Scenario, job: dict[str, Any], say: Callable[[dict[str, object]], None]) -> dict[str, Any]:
    """Run a load and return what was counted.

    Args:
        job: target, users, rate (None for the closed model), ramp, warmup, seconds, timeout, seed, number and of.
        say: told about each second.
    """
    start = clock()
    counting = Counting(start + job["ramp"] + job["warmup"], start + job["ramp"] + job["warmup"] + job["seconds"])
    trip = Trip(scenario, counting, job["seed"], job["number"], job["of"])
    if job["rate"]:
        trip.arrivals = Queue()
        gevent.spawn(_arrive, trip, start, job)
    runner = Environment(user_classes=[person_class(trip, job)], host=job["target"]).create_local_runner()
    gc.collect()
    gc.freeze()
    seconds = gevent.spawn(_seconds, trip, start, say)
    # In the open model persons only wait for arrivals, so all of them are there from the begin.
    slow = job["ramp"] and not job["rate"]
    runner.start(job["users"], max(job["users"] / job["ramp"], 0.1) if slow else SPAWN_AT_ONCE, wait=False)
    _sleep_until(counting.begin)
    cpu, lag = time.process_time(), Lag()
    _sleep_until(counting.end)
    cpu, lag_seconds = time.process_time() - cpu, lag.stop()
    unfinished = _drain(trip, job)
    seconds.kill()
    runner.quit()
    return {
        "steps": {name: tally.as_dict() for name, tally in counting.steps.items()},
        "cpu": cpu / job["seconds"],
        "lag": lag_seconds,
        "starts": counting.starts,
        "late_starts": counting.late_starts,
        "unfinished": unfinished,
    }


def _arrive(trip: Trip, start: float, job: dict[str, Any]) -> None:
    """Put intended starts into the queue: random arrivals (Poisson) or evenly spaced; a ramp grows linearly."""
    chance = random.Random(f"{job['seed']}-arrivals-{job['number']}")
    assert trip.arrivals is not None
    moment = start
    while True:
        share = min(max((moment - start) / job["ramp"], 0.05), 1.0) if job["ramp"] else 1.0
        rate = job["rate"] * share
        moment += 1 / rate if job["even"] else chance.expovariate(rate)
        if moment >= trip.deadline:
            return
        _sleep_until(moment)
        trip.counting.started(moment, late=trip.idle <= trip.arrivals.qsize())
        trip.arrivals.put(moment)


def _seconds(trip: Trip, start: float, say: Callable[[dict[str, object]], None]) -> None:
    number = 0
    while True:
        number += 1
        _sleep_until(start + number)
        say({"second": number, "users": trip.alive, **trip.counting.take_second()})


def _drain(trip: Trip, job: dict[str, Any]) -> int:
    """Wait for requests in flight; returns how many persons or arrivals never got an answer."""
    waiting = 0
    if trip.arrivals is not None:
        for _ in range(job["users"]):
            trip.arrivals.put(None)
    give_up = clock() + job["timeout"] + 1.0
    while trip.alive and clock() < give_up:
        gevent.sleep(LOOK_EVERY)
    if trip.arrivals is not None:
        while not trip.arrivals.empty():
            waiting += trip.arrivals.get() is not None
    return waiting + trip.alive


def _sleep_until(moment: float) -> None:
    while (left := moment - clock()) > 0:
        gevent.sleep(left)
