"""What the audits promise, each beside what was measured; one that does not hold is said as plainly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..output import Bar
from .measure import Figures
from .soak import Soak

P95, P99, ERRORS, EFFICIENCY = 0.300, 0.800, 0.01, 0.90
MEMORY_PER_100K = 10.0  # MiB; an hour at 28 requests a second
REALISTIC, MOST = 200, 500  # users: to which the latencies are promised, and to which no request fails


def bars(figures: Sequence[Figures], soaked: Soak | None) -> list[Bar]:
    """Return a bar for each promise and number of users, and those of the soak."""
    found = [bar for each in figures if each.side == "shop" for bar in _of(each)]
    return [*found, *(_soaked(soaked) if soaked else ())]


def _of(each: Figures) -> Iterator[Bar]:
    who = f"{each.users} users"
    yield Bar(f"{who}: p95 below {P95 * 1000:.0f} ms", _milliseconds(each.p95), _below(each.p95, P95))
    yield Bar(f"{who}: p99 below {P99 * 1000:.0f} ms", _milliseconds(each.p99), _below(each.p99, P99))
    share = f"{each.error_share:.2%} ({each.failed} of {each.answered + each.failed:,})"
    yield Bar(f"{who}: errors below {ERRORS:.0%}", share, each.answered > 0 and each.error_share < ERRORS)
    if each.waited_in_vain is not None:
        text = f"{each.waited_in_vain} waited in vain"
        yield Bar(f"{who}: no pool exhausted", text, each.waited_in_vain == 0)
    if each.efficiency is not None:
        text = f"{each.efficiency:.2%} of requests opened no connection"
        yield Bar(f"{who}: connection efficiency over {EFFICIENCY:.0%}", text, each.efficiency > EFFICIENCY)


def _soaked(soaked: Soak) -> Iterator[Bar]:
    grown = f"{soaked.memory_per_100k:+.1f} MiB per 100,000 requests, of {soaked.memory_mb[1]:.0f} MiB"
    yield Bar(f"soak: memory grows by less than {MEMORY_PER_100K:g} MiB per 100,000 requests", grown,
              soaked.memory_per_100k < MEMORY_PER_100K)  # fmt: skip
    before, after = soaked.files
    yield Bar("soak: open files do not grow", f"{before:.0f}, then {after:.0f}", after <= before * 1.05 + 4)
    before, after = soaked.connections
    yield Bar("soak: connections do not grow", f"{before:.0f}, then {after:.0f}", after <= before + 2)
    yield Bar("soak: no request fails", f"{soaked.failed} of {soaked.requests:,}", soaked.failed == 0)


def _below(value: float | None, limit: float) -> bool:
    return value is not None and value < limit


def _milliseconds(value: float | None) -> str:
    return "too few answers" if value is None else f"{value * 1000:.1f} ms"
