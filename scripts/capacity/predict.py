"""Predict a load: the rate and the demands depend on each other, so both are found together.

A system of many hosts is played as one of its equal shares: people, hosts, PgBouncers and the database's cores
divided alike. A small system waits longer than a large one of the same load, so that errs on the safe side.
"""

from __future__ import annotations

from dataclasses import replace

from .calibrated import Calibrated
from .outcome import Outcome
from .simulate import simulate
from .system import System

ANSWERS = 12_000  # simulated per prediction: so that p99 stands on 120 of them
SHORTEST, LONGEST = 20.0, 400.0  # seconds
WARMUP = 3.0  # usual pauses; after so many the beginning is forgotten
LARGEST = 1500  # people that are played one by one


def predict(calibrated: Calibrated, system: System, users: int, seed: int = 1) -> Outcome:
    """Return what so many people will see."""
    demands = calibrated.demands
    rate = users / (demands.think + demands.mean("latency"))
    share = _share(system, users)
    small = replace(
        system, hosts=system.hosts // share, database_cores=max(system.database_cores // share, 1),
        bouncers=max(system.bouncers // share, 1) if system.bouncers else 0,
    )  # fmt: skip
    people = max(users // share, 1)
    seconds = min(max(ANSWERS * share / max(rate, 1e-9), SHORTEST), LONGEST)
    warmup = max(WARMUP * demands.think, 5.0)
    seen = simulate(calibrated.at(rate, system), small, users=people, seconds=seconds, warmup=warmup, seed=seed)
    return replace(seen, users=users, throughput=seen.throughput * users / people)


def _share(system: System, users: int) -> int:
    """Return into how many equal systems it is divided: as few as leave a number that can be played."""
    possible = [n for n in range(1, system.hosts + 1) if system.hosts % n == 0 and system.database_cores >= n]
    return next((n for n in possible if users / n <= LARGEST), possible[-1])
