"""What the model says, as text: demands, loads, the comparison, the advice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..capacity.advise import next_bottleneck
from ..capacity.calibrated import Calibrated
from ..capacity.outcome import Outcome
from ..capacity.paper import HOST_CORES, LARGEST_DATABASE, Paper, ends_at
from ..capacity.system import System
from .measure_answer import Answer
from .measure_check import Point

PARTS = {"app": "app", "database": "PostgreSQL", "bouncer": "PgBouncer", "beside": "beside (Redis ...)"}
FULL = 0.95  # used share from which a station is called saturated


def milliseconds(seconds: float | None) -> str:
    """Return a latency for a table; "-" for too few samples."""
    return "-" if seconds is None else f"{seconds * 1000:.1f}"


def demands(calibrated: Calibrated) -> Iterator[str]:
    """Yield what a request needs."""
    found = calibrated.demands
    needs = [f"{title} {found.mean(part) * 1000 + after * 1000:.2f}" for part, title in PARTS.items()
             if (after := found.mean("after") if part == "app" else 0.0) or found.mean(part)]  # fmt: skip
    yield f"a request needs, in ms of processor: {', '.join(needs)}; waits {found.mean('wait') * 1000:.2f} ms"
    yield f"without requests {sum(found.background):.2f} cores are used"


def predictions(calibrated: Calibrated, system: System, seen: Sequence[Outcome]) -> Iterator[str]:
    """Yield a table of loads."""
    yield f"predicted for {system}"
    yield f"{'users':>9} {'req/s':>9} {'p50 ms':>9} {'p95 ms':>9} {'p99 ms':>9}  used"
    for each in seen:
        figures = " ".join(f"{milliseconds(each.percentile(p)):>9}" for p in (50, 95, 99))
        yield f"{each.users:>9} {each.throughput:>9.1f} {figures}  {used(each)}"
    station, users = next_bottleneck(calibrated, system)
    yield f"saturates first: {station}, from about {users:,.0f} users"


def caveat(points: Sequence[Point]) -> Iterator[str]:
    """Yield what a reader must know of the percentiles: without a check that held, they are no promise."""
    missed = [point for point in points if not point.holds]
    if missed:
        shown = ", ".join(str(point.users) for point in missed)
        yield f"warning: the model missed at {shown} users: do not size by its percentiles there"
    elif not points:
        yield "warning: p95 and p99 are not checked; use --check"


def used(outcome: Outcome) -> str:
    """Return the two busiest stations."""
    first = sorted(outcome.utilisation.items(), key=lambda pair: -pair[1])[:2]
    shown = ", ".join(f"{name} {share:.0%}" for name, share in first)
    return f"{shown} (saturated)" if first and first[0][1] >= FULL else shown


def comparison(points: Sequence[Point]) -> Iterator[str]:
    """Yield predictions beside measurements."""
    yield "predicted and measured, at users that were not used for the calibration"
    yield (
        f"{'users':>9} {'req/s':>9} {'measured':>9} {'off':>6} {'p95 ms':>9} {'measured':>9} {'off':>6}  {'runs'}"
    )
    for point in points:
        off = point.p95_off
        yield (
            f"{point.users:>9} {point.predicted.throughput:>9.1f} {point.rps:>9.1f} "
            f"{point.throughput_off:>+6.0%} {milliseconds(point.predicted.percentile(95)):>9} "
            f"{milliseconds(point.percentile(95)):>9} {'-' if off is None else f'{off:+.0%}':>6}"
            f"  {' '.join(milliseconds(one) for one in point.percentiles(95))}{'' if point.holds else '  outside'}"
        ).rstrip()
    held = sum(point.holds for point in points)
    yield f"{held} of {len(points)} within 10 % of the throughput and 25 % of p95"


def paper(calibrated: Calibrated, plans: Sequence[Paper], writes: float) -> Iterator[str]:
    """Yield plans by the demands alone, and where one PostgreSQL ends."""
    yield f"on paper, {writes:.0%} of the database's time being writes; hosts of {HOST_CORES} cores"
    yield f"{'users':>11} {'req/s':>9} {'hosts':>6} {'PgBouncer':>9} {'DB cores':>8} {'replicas':>8} {'shards':>6}"
    for plan in plans:
        yield (
            f"{plan.users:>11,} {plan.rate:>9,.0f} {plan.hosts:>6} {plan.bouncers:>9} {plan.database_cores:>8} "
            f"{plan.replicas:>8} {plan.shards:>6}"
        )
    yield f"one PostgreSQL of {LARGEST_DATABASE} cores ends at about {ends_at(calibrated):,.0f} users"
    if writes > 0:
        yield f"one primary with its reads on replicas ends at about {ends_at(calibrated, writes):,.0f} users"


def advice(answer: Answer) -> Iterator[str]:
    """Yield the recommendation."""
    wanted = f"{answer.users:,} users with p95 at most {answer.target * 1000:g} ms"
    if answer.advice is None:
        demands = answer.calibrated.without_generator().demands
        yield f"no configuration was found for {wanted}"
        light = demands.mean("latency") - demands.mean("generator")
        yield f"    a request alone takes {light * 1000:.1f} ms on the average; one PostgreSQL may be what ends it"
        return
    system, seen, before = answer.advice.system, answer.advice.reached, answer.start.database_cores
    yield f"cheapest for {wanted}: {system}"
    yield (
        f"    predicted {seen.throughput:,.1f} requests/s, p95 {milliseconds(seen.percentile(95))} ms, "
        f"{used(seen)}; machines of their own, without a generator"
    )
    if system.database_cores > before:
        yield f"    PostgreSQL needs {system.database_cores} cores instead of {before}"
    yield f"    next bottleneck: {answer.advice.next_station}, from about {answer.advice.next_users:,.0f} users"


def answer(found: Answer) -> Iterator[str]:
    """Yield all of it: predictions, the comparison where there was a check, the advice."""
    yield from predictions(found.calibrated, found.system, found.seen)
    yield from caveat(found.points)
    if found.points:
        yield ""
        yield from comparison(found.points)
    yield ""
    yield from advice(found)
