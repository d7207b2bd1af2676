"""Plans on paper: how much of everything for more people than anybody measures, by the demands alone.

No waiting is computed here, only how full each part is. That decides at this size, and it is all that a
calibration of one machine can honestly say. Where one PostgreSQL ends, the plan goes on with parts of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .advise import DATABASE_FULLEST, needed_rate
from .calibrated import Calibrated

HOST_CORES = 16
LARGEST_DATABASE = 96  # cores; the largest common server. Locks and the WAL end a primary before more cores do
APP_FULLEST = 0.60  # one of three zones may be gone: 0.6 x 3/2 is 0.9
BOUNCER_FULLEST = 0.50  # of its one thread
SERVERS_PER_CORE = 4  # connections, as the sizing of `harden plan` has it


@dataclass(frozen=True)
class Paper:
    """Numbers of machines.

    Attributes:
        rate: answers per second.
        hosts: of HOST_CORES cores.
        bouncers: PgBouncer processes.
        database_cores: that all statements take, on one server or several.
        primary_cores: that the writes alone take.
        replicas: of LARGEST_DATABASE cores, where reads go to them; 0 when one server does all.
        shards: servers that share the writes; 1 where one primary does.
        connections: to PostgreSQL, in all.
    """

    users: int
    rate: float
    hosts: int
    bouncers: int
    database_cores: int
    primary_cores: int
    replicas: int
    shards: int
    connections: int


def on_paper(calibrated: Calibrated, users: int, writes: float) -> Paper:
    """Return the plan for so many people.

    Args:
        writes: share of the database's time that only a primary can do, 0 to 1.
    """
    rate, mean = needed_rate(calibrated, users), calibrated.demands.mean
    app = rate * (mean("app") + mean("after") + mean("beside")) / APP_FULLEST
    database = rate * mean("database") / DATABASE_FULLEST
    written = database * writes
    fits = database <= LARGEST_DATABASE
    cores = math.ceil(database)
    return Paper(
        users, rate, max(math.ceil(app / HOST_CORES), 2),
        max(math.ceil(rate * mean("bouncer") / BOUNCER_FULLEST), 2), cores, math.ceil(written),
        0 if fits else math.ceil((database - written) / LARGEST_DATABASE),
        1 if written <= LARGEST_DATABASE else math.ceil(written / LARGEST_DATABASE), cores * SERVERS_PER_CORE,
    )  # fmt: skip


def ends_at(calibrated: Calibrated, share: float = 1.0) -> float:
    """Return the number of people at which a share of the database's time fills the largest server."""
    need = calibrated.demands.mean("database") * share
    if need <= 0:
        return math.inf
    rate = LARGEST_DATABASE * DATABASE_FULLEST / need
    return rate * (calibrated.demands.think + calibrated.demands.mean("latency"))
