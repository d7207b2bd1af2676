"""The cheapest configuration that meets a target, and what ends it.

Tried in the order of their cost, by simulation; cost is the app's processor cores. PostgreSQL gets the fewest that
carry the load. A configuration that the bounds rule out is not played.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .bounds import stations_of
from .calibrated import Calibrated
from .outcome import Outcome
from .predict import predict
from .system import System

CORES = (1, 2, 4, 8, 16)  # of a host, as clouds sell them
MOST_HOSTS = 400
THREADS = (4, 8, 16, 32)
# Share of a station that may be used. Up to there predictions were checked; above it p95 of one and the same load
# doubled from run to run (docs/capacity.md), so that nothing can be recommended on it.
FULLEST = 0.60
DATABASE_FULLEST = 0.70  # the database is shared by all: a vacuum, a backup and a report come on top
MOST_TRIED = 12  # simulations


@dataclass(frozen=True)
class Advice:
    """A configuration and what it will do.

    Attributes:
        reached: what was predicted for it.
        next_station, next_users: what saturates first when there are more people, and how many that are.
    """

    system: System
    reached: Outcome
    next_station: str
    next_users: float


def advise(
    calibrated: Calibrated, users: int, p95: float, system: System, most_database_cores: int
) -> Advice | None:
    """Return the cheapest configuration with the p95 in seconds for so many people; None when there is none.

    Args:
        system: what the rest is taken from: PgBouncer and its pool.
        most_database_cores: that one PostgreSQL may have.
    """
    if calibrated.demands.mean("latency") - calibrated.demands.mean("generator") > p95:
        return None
    for tried, candidate in enumerate(_candidates(calibrated, users, system, most_database_cores)):
        if tried == MOST_TRIED:
            return None
        seen = predict(calibrated, candidate, users)
        reached = seen.percentile(95)
        if reached is not None and reached <= p95 and seen.throughput >= 0.97 * needed_rate(calibrated, users):
            return Advice(candidate, seen, *next_bottleneck(calibrated, candidate))
    return None


def needed_rate(calibrated: Calibrated, users: int) -> float:
    """Return the answers per second that so many people ask for when nobody waits."""
    return users / (calibrated.demands.think + calibrated.demands.mean("latency"))


def next_bottleneck(calibrated: Calibrated, system: System) -> tuple[str, float]:
    """Return the station that saturates first and with how many people, the background taken off."""
    at = {name: rate for name, rate in saturations(calibrated, system).items() if name != "generator"}
    station = min(at, key=lambda name: at[name])
    return station, at[station] * (calibrated.demands.think + calibrated.demands.mean("latency"))


def saturations(calibrated: Calibrated, system: System) -> dict[str, float]:
    """Return the most answers per second of each station."""
    app, database, rest = calibrated.demands.background
    taken = {"machine": app + database + rest, "app cores": app * system.hosts, "database cores": database}
    return {
        name: max(count - taken.get(name, 0.0), 0.0) / need
        for name, (need, count) in stations_of(calibrated.demands, system).items()
        if need > 0
    }


def _candidates(calibrated: Calibrated, users: int, system: System, most: int) -> Iterator[System]:
    """Yield what could carry it, the cheapest first; among equals fewer hosts."""
    rate = needed_rate(calibrated, users)
    database = _database_cores(calibrated, rate, system.database_cores, most)
    if database is None:
        return
    sizes = sorted((hosts * cores, hosts, cores) for cores in CORES for hosts in range(1, MOST_HOSTS + 1))
    for _, hosts, cores in sizes:
        found = _filled(calibrated, rate, replace(system, is_shared=False, hosts=hosts, cores=cores,
                                                  database_cores=database))  # fmt: skip
        at = saturations(calibrated, found)
        if min(at.get("app cores", 0.0), at["interpreters"]) * FULLEST >= rate:
            yield found


def _filled(calibrated: Calibrated, rate: float, system: System) -> System:
    """Choose workers, threads and PgBouncers for hosts: a worker per core, threads for twice the mean in work."""
    workers = max(system.cores, 2)
    in_work = 2 * rate * calibrated.demands.mean("latency") / (system.hosts * workers)
    threads = next((count for count in THREADS if count >= in_work), THREADS[-1])
    return replace(system, workers=workers, threads=threads, pool=threads,
                   bouncers=system.hosts if system.bouncers else 0)  # fmt: skip


def _database_cores(calibrated: Calibrated, rate: float, least: int, most: int) -> int | None:
    need = calibrated.demands.mean("database")
    background = calibrated.demands.background[1]
    cores = least
    while cores <= most:
        if rate * need + background <= DATABASE_FULLEST * cores:
            return cores
        cores *= 2
    return None
