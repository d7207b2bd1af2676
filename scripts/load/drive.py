"""Run a scenario in engine processes of its own and bring back what they measured."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from .engine_process import Engine
from .histogram import Latencies
from .measured import Figures, Measured, Second
from .result import LoadError
from .scenario import Scenario
from .scenario_job import job_of
from .site import parse_site

SEED = 1
START_SECONDS = 30.0  # that an interpreter with Locust may take to come up, on a loaded machine
LATE_SECONDS = 2.0  # an engine that has not told about a second by then is told about without it

Look = Callable[[float], Mapping[str, float | None]]
Tick = Callable[[Second], None]


def run_load(
    scenario: Scenario,
    target: str,
    *,
    users: int,
    seconds: float,
    ramp: float = 0.0,
    warmup: float = 0.0,
    rate: float | None = None,
    even: bool = False,
    timeout: float = 30.0,
    processes: int = 1,
    seed: int = SEED,
    allow_remote: bool = False,
    insecure: bool = False,
    look: Look | None = None,
    on_tick: Tick | None = None,
) -> Measured:
    """Load a target by a scenario.

    Args:
        scenario: what the persons do.
        target: `http://127.0.0.1:8000`, or https.
        users: persons of the closed model; of the open one how many serve arrivals at once at the most.
        seconds: counted time; ramp and warm-up come before it.
        ramp: seconds in which the persons, or the arrivals, grow to the full number.
        rate: arrivals (tasks) per second of the open model; None is the closed model.
        even: arrivals in equal distances instead of at random (Poisson).
        timeout: seconds after which a request is given up.
        processes: engines; more than one where one core does not carry the users.
        seed: of the persons' choices.
        allow_remote: whether the target may be another machine.
        insecure: whether any certificate is taken.
        look: asked once a second for figures of the server; its answers come into the timeline.
        on_tick: told about each second.

    Raises:
        ValueError: an argument is out of range, or the target is not on this machine.
        LoadError: the generator could not run.
    """
    if users < 1 or seconds <= 0 or min(ramp, warmup) < 0 or timeout <= 0 or not 1 <= processes <= users:
        raise ValueError(
            f"users={users} seconds={seconds} ramp={ramp} warmup={warmup} timeout={timeout} processes={processes} "
            "is no run; give users and times above 0, and no more processes than users"
        )
    if rate is not None and not 0 < rate <= 1e6:
        raise ValueError(f"rate={rate} is no number of arrivals per second")
    site = parse_site(target, allow_remote)
    job = {
        "scenario": job_of(scenario), "target": site, "ramp": ramp, "warmup": warmup, "seconds": seconds,
        "timeout": timeout, "seed": seed, "of": processes, "insecure": insecure, "even": even, "check": False,
        "rate": rate / processes if rate else None,
    }  # fmt: skip
    with ExitStack() as stack:
        engines = [
            stack.enter_context(Engine({**job, "number": number, "users": share}))
            for number, share in enumerate(_shares(users, processes))
        ]
        timeline = _watch(engines, math.ceil(ramp + warmup + seconds), look, on_tick)
        limit = time.monotonic() + timeout + START_SECONDS
        results = [engine.result(limit - time.monotonic()) for engine in engines]
    return _measured(scenario, users, rate, seconds, timeline, results)


def try_steps(
    scenario: Scenario, target: str, *, timeout: float = 30.0, allow_remote: bool = False, insecure: bool = False
) -> list[dict[str, Any]]:
    """Do each step once, one after the other; returns what became of each.

    Returns:
        Dictionaries with step, status (0 when none came), seconds, kind ("" for a right answer), snippet.

    Raises:
        ValueError: the target is not on this machine.
        LoadError: the generator could not run.
    """
    job = {
        "scenario": job_of(scenario), "target": parse_site(target, allow_remote), "timeout": timeout, "seed": SEED,
        "number": 0, "of": 1, "users": 1, "insecure": insecure, "check": True,
    }  # fmt: skip
    with Engine(job) as engine:
        found: list[dict[str, Any]] = engine.result(START_SECONDS + timeout * len(scenario.steps))
    return found


def _shares(users: int, processes: int) -> list[int]:
    return [users // processes + (number < users % processes) for number in range(processes)]


def _watch(engines: list[Engine], seconds: int, look: Look | None, on_tick: Tick | None) -> list[Second]:
    """Collect each second of all engines."""
    timeline = []
    limit = time.monotonic() + START_SECONDS
    for number in range(1, seconds + 1):
        told = [engine.second(number, limit - time.monotonic()) for engine in engines]
        limit = time.monotonic() + 1.0 + LATE_SECONDS + START_SECONDS
        response = Latencies()
        for line in told:
            response.add(Latencies(line["response"].encode()))
        seen = look(float(number)) if look else {}
        users, failed = (sum(line[name] for line in told) for name in ("users", "failed"))
        timeline.append(Second(float(number), users, response, failed, seen))
        if on_tick:
            on_tick(timeline[-1])
    return timeline


def _measured(
    scenario: Scenario, users: int, rate: float | None, seconds: float, timeline: list[Second],
    results: list[dict[str, Any]],
) -> Measured:  # fmt: skip
    steps = {}
    for name in dict.fromkeys(step.name for step in scenario.steps):
        response, service = Latencies(), Latencies()
        errors: Counter[str] = Counter()
        for told in (result["steps"][name] for result in results if name in result["steps"]):
            response.add(Latencies(told["response"].encode()))
            service.add(Latencies(told["service"].encode()))
            errors.update(told["errors"])
        if len(response) or errors:
            steps[name] = Figures(response, service, dict(errors), seconds)
    starts = sum(result["starts"] for result in results)
    return Measured(
        users, rate, seconds, steps, timeline,
        generator_cpu=max(result["cpu"] for result in results),
        generator_lag=max(result["lag"] for result in results),
        late_starts=sum(result["late_starts"] for result in results) / starts if starts else 0.0,
        unfinished=sum(result["unfinished"] for result in results),
    )  # fmt: skip


__all__ = ["LoadError", "run_load", "try_steps"]
