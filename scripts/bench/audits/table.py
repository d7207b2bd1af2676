"""The text: both sides for each number of users, then what the soak showed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...demo.report.figures import measured, percent
from .measure import Figures
from .soak import Soak

HEAD = (
    "users", "side", "requests/s", "p50 ms", "p95 ms", "p99 ms", "failed", "queries", "opened none", "peak", "MiB",
)  # fmt: skip
WIDTHS = (7, 9, 12, 10, 10, 10, 9, 9, 13, 6, 7)


def lines(figures: Sequence[Figures], soaked: Soak | None) -> Iterator[str]:
    """Yield the table's lines."""
    yield _row(HEAD)
    for each in sorted(figures, key=lambda one: (one.users, one.side)):
        yield _row((
            f"{each.users:,}", each.side, measured(each.rps), _ms(each.p50), _ms(each.p95), _ms(each.p99),
            "0" if not each.failed else percent(each.error_share), measured(each.queries),
            percent(each.efficiency), str(each.peak), measured(each.rss_mb),
        ))  # fmt: skip
    for each in figures:
        for kind, count in sorted(each.error_kinds.items()):
            yield f"failed: {each.side}, {each.users} users: {count} x {kind}"
        for warning in each.warnings:
            yield f"warning: {each.side}, {each.users} users: {warning}"
    if soaked:
        yield ""
        yield (
            f"soak: {soaked.requests:,} requests in {soaked.seconds:.0f} s without replacing a worker; "
            f"memory {soaked.memory_mb[0]:.0f} -> {soaked.memory_mb[1]:.0f} MiB, files {soaked.files[1]:.0f}, "
            f"connections {soaked.connections[1]:.0f}"
        )


def _ms(seconds: float | None) -> str:
    return measured(None if seconds is None else seconds * 1000)


def _row(cells: Sequence[str]) -> str:
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
