"""Formulas for closed systems: asymptotic bounds, exact mean value analysis, Seidmann's for several cores.

They take no distributions and no shared cores, and are exact only for what they assume (exponential or
processor-sharing stations); the simulation takes both. Used for a first guess, to size systems that are too
large to play, and as the oracle of the simulation's tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .demands import Demands
from .system import System


@dataclass(frozen=True)
class Bounds:
    """Where a system saturates.

    Attributes:
        station: which one first.
        throughput: answers per second that it lets through at the most.
        users: from where on there is no more to be had: (D + Z) / Dmax (Denning and Buzen, "The Operational
            Analysis of Queueing Network Models", ACM Computing Surveys 10, 1978).
        at: the most of each station, answers per second.
    """

    station: str
    throughput: float
    users: float
    at: dict[str, float]


def bounds_of(demands: Demands, system: System) -> Bounds:
    """Return the asymptotic bounds of a system."""
    needs = stations_of(demands, system)
    at = {name: count / need for name, (need, count) in needs.items() if need > 0}
    station = min(at, key=lambda name: at[name])
    return Bounds(station, at[station], at[station] * (demands.mean("latency") + demands.think), at)


def stations_of(demands: Demands, system: System) -> dict[str, tuple[float, int]]:
    """Return each station's need per request in processor seconds, and how many servers it has."""
    mean = demands.mean
    app = mean("app") + mean("after") + system.boot_per_request
    generator = mean("generator") + mean("generator_after")
    workers = system.hosts * system.workers
    found = {"interpreters": (app, workers), "generator": (generator, 1)}
    if system.bouncers:
        found["PgBouncer"] = (mean("bouncer"), system.bouncers)
    if system.is_shared:
        whole = app + mean("database") + mean("bouncer") + mean("beside") + generator
        found["machine"] = (whole, system.cores)
    else:
        found["app cores"] = (app + mean("beside"), system.hosts * system.cores)
        found["database cores"] = (mean("database"), system.database_cores)
    # A thread is held for the whole request; a generator's part is outside.
    found["threads"] = (mean("latency") - mean("generator"), system.slots)
    return found


def exact_mva(demands: Sequence[float], think: float, users: int) -> tuple[float, float]:
    """Return throughput and mean time in the system of a closed network of single servers.

    Reiser and Lavenberg, "Mean-Value Analysis of Closed Multichain Queuing Networks", JACM 27, 1980.

    Args:
        demands: seconds at each station.
        think: seconds.
        users: one or more.
    """
    queues = [0.0] * len(demands)
    rate = spent = 0.0
    for count in range(1, users + 1):
        times = [need * (1 + queue) for need, queue in zip(demands, queues, strict=True)]
        spent = sum(times)
        rate = count / (think + spent)
        queues = [rate * time for time in times]
    return rate, spent


def seidmann_mva(stations: Sequence[tuple[float, int]], think: float, users: int) -> tuple[float, float]:
    """Return throughput and mean time where stations have several servers, approximately.

    A station of c servers and demand d stands as a queue of d/c and a delay of d(c-1)/c (Seidmann, Schweitzer and
    Shalev-Oren, "Computerized Closed Queueing Network Models of Flexible Manufacturing Systems", 1987).

    Args:
        stations: seconds and number of servers of each.
    """
    delay = sum(need * (count - 1) / count for need, count in stations)
    rate, spent = exact_mva([need / count for need, count in stations], think + delay, users)
    return rate, spent + delay
