"""A short calibrated run: the same mix at three rates, with a look at the processors of each part.

A minute and a half: first without a pause for what is possible, then at shares of it. A run that the generator or
somebody else's work disturbed gives no figures but a sentence.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from ..bench.noise import LOUD_STEAL, Listener
from ..capacity.calibrated import Level
from ..database import open_database
from ..errors import CommandError
from ..load import Measured, Scenario, Think, run_load
from ..load.measured import Figures
from ..load.site import address_of
from .measure_processes import Usage, postmaster_of

FULL_USERS, FULL_SECONDS = 8, 10.0
LIGHT_USERS = 6
# Of what is possible without a pause: where the background shows, where nobody waits yet, and where people do
# already. Beyond the first by as many people as the scenario has there, for the cost of a request depends on it.
SHARES = (0.08, 0.20, 0.46)
LIGHT_SECONDS = (20.0, 14.0, 20.0)
RAMP = 4.0  # seconds, of the heavier ones
MOST_PEOPLE = 1500  # of a run; they think less where the scenario would need more
WARMUP = 2.0
LEAST_ANSWERS = 300  # of a run; fifteen are beyond its p95
OTHERS = 0.05  # share of the machine that others may use
FAILED = 0.01
POINTS = 100  # quantiles of a shape


@dataclass(frozen=True)
class Run:
    """What was measured, and on what.

    Attributes:
        levels: from the lightest to the heaviest.
        workers: processes of the app that were seen.
        boot: processor seconds that a worker takes to begin; 0 where that is not known.
        parts: whose processor time was seen.
    """

    levels: Sequence[Level]
    workers: int
    boot: float
    parts: frozenset[str]


def measure(
    scenario: Scenario, site: str, dsn: str, progress: Callable[[str], None], *, is_new: bool = False,
    allow_remote: bool = False,
) -> Run:  # fmt: skip
    """Measure a target that runs.

    Args:
        is_new: whether it was started for this, so that what its workers have used is what beginning takes.

    Raises:
        CommandError: the run was disturbed, too short, or a part of it cannot be seen.
    """
    usage = Usage(address_of(site)[1], postmaster(dsn))
    _refuse_unseen(usage, dsn)
    boot = usage.boot() if is_new else 0.0
    listener = Listener()
    still = replace(scenario, think=Think("constant", 0.0))
    run_load(still, site, users=2, seconds=2.0, allow_remote=allow_remote)
    usage = Usage(address_of(site)[1], postmaster(dsn))  # anew: now its connections are open
    progress(f"calibrating: {FULL_USERS} users without a pause, {FULL_SECONDS:g} s")
    full = _level(still, site, usage, boot, FULL_USERS, 0.0, FULL_SECONDS, allow_remote)
    levels: list[Level] = []
    for share, seconds in zip(SHARES, LIGHT_SECONDS, strict=True):
        rate = share * full.rate
        people = min(max(round(rate * scenario.think.mean), LIGHT_USERS), MOST_PEOPLE)
        users = people if levels else LIGHT_USERS
        progress(f"calibrating: {users} users, {rate:.0f} requests/s, {seconds:g} s")
        slow = replace(scenario, think=Think("exponential", users / rate))
        ramp = RAMP if levels else 0.0
        levels.append(_level(slow, site, usage, boot, users, users / rate, seconds, allow_remote, ramp))
    steal = listener.heard().steal
    if steal > LOUD_STEAL:
        raise CommandError(
            f"the host gave {steal:.1%} of the processor time to other machines (at most {LOUD_STEAL:.0%}); "
            "measure again"
        )
    return Run(levels, usage.workers, boot, usage.parts)


def postmaster(dsn: str) -> int:
    """Return the first process of a DSN's server; 0 where it is not on this machine."""
    if not dsn:
        return 0
    with closing(open_database(dsn, "harden plan")) as conn:
        return postmaster_of(conn)


def _refuse_unseen(usage: Usage, dsn: str) -> None:
    if "app" not in usage.parts:
        raise CommandError(
            "the app's processes are not on this machine or not ours to see, so its processor time is unknown; "
            "run it there as root or the app's user, or give --metrics of its /metrics"
        )
    if "database" not in usage.parts:
        why = "is not on this machine" if dsn else "is not known"
        raise CommandError(
            f"the database {why}, so its processor time is missing; give --dsn of one on this machine, or "
            "--metrics with --database-ms"
        )


def _level(
    scenario: Scenario, site: str, usage: Usage, boot: float, users: int, think: float, seconds: float,
    allow_remote: bool, ramp: float = 0.0,
) -> Level:  # fmt: skip
    marks: list[float] = []

    def look(second: float) -> Mapping[str, float | None]:
        if second == ramp + WARMUP:
            usage.begin()
        elif second > ramp + WARMUP:
            usage.look()
        if second >= ramp + WARMUP:
            marks.append(time.monotonic())
        return {}

    measured = run_load(
        scenario, site, users=users, seconds=seconds, ramp=ramp, warmup=WARMUP, look=look,
        allow_remote=allow_remote,
    )
    passed = marks[-1] - marks[0]
    usage.seconds["app"] -= min(usage.begun * boot, usage.seconds["app"])
    used = {part: spent / passed for part, spent in usage.seconds.items()}
    _refuse_bad(measured, used)
    totals = measured.totals
    tasks = {
        name: (figures.answered / totals.answered, mean, shape_of(figures))
        for name, figures in measured.steps.items()
        if (mean := figures.response.mean) is not None
    }
    used["generator"] += used.pop("own")
    return Level(users, think, measured.rps, used, totals.response.mean or 0.0, tasks,
                 totals.response.percentile(95))  # fmt: skip


def _refuse_bad(measured: Measured, used: Mapping[str, float]) -> None:
    totals = measured.totals
    cores = len(os.sched_getaffinity(0))
    if totals.error_share > FAILED:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(totals.errors.items()))
        raise CommandError(f"{totals.error_share:.0%} of the requests failed ({kinds}); mend that first")
    if totals.answered < LEAST_ANSWERS:
        raise CommandError(
            f"{totals.answered} answers in {measured.seconds:g} s are too few for percentiles "
            f"({LEAST_ANSWERS} are needed): the target is too slow for a calibration of a minute"
        )
    if measured.generator_is_bottleneck:
        raise CommandError(f"the generator used {measured.generator_cpu:.0%} of a core: the figures are its own")
    refuse_others(used["others"], cores, "the calibration")


def refuse_others(used: float, cores: int, during: str) -> None:
    """Stop where work that is not part of the run took the machine.

    Args:
        used: cores that other processes used.

    Raises:
        CommandError: it was too much.
    """
    if used > OTHERS * cores:
        raise CommandError(
            f"other processes used {used:.2f} of {cores} cores during {during} (at most {OTHERS * cores:.2f}); "
            "stop them and measure again"
        )


def shape_of(figures: Figures) -> Sequence[float]:
    """Return latencies over their mean, in equal steps of probability from the least to the most."""
    response = figures.response
    mean = response.mean
    steps = min(POINTS, max(len(response) // 4, 1))
    found = [response.percentile(100.0 * n / steps) for n in range(steps + 1)]
    known = [value for value in found if value is not None]
    if not known or not mean:
        return (1.0,)
    middle = (sum(known) - (known[0] + known[-1]) / 2) / (len(known) - 1) if len(known) > 1 else known[0]
    return [value / middle for value in known]
