"""The text: the ladder from prototype to hardened, what each step brings over all, and every cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...demo.report.figures import measured, percent, ratio
from .configs import LADDER
from .effects import Effect, effects
from .measure import Cell

WIDTH, SPREAD = 61, 16


def lines(cells: Sequence[Cell], users: int, seconds: float) -> Iterator[str]:
    """Yield the report's lines."""
    yield f"profile with 20 appointments, {users} users without a pause, {seconds:g} s a cell"
    yield ""
    heads = f"{'p95 ms':>10}{'queries':>9}{'failed':>9}"
    yield f"{'step by step':{WIDTH}}{'requests/s':>12}{'min..max':>{SPREAD}}{heads}"
    by_config = {cell.config: cell for cell in cells}
    before = None
    for text, config in LADDER:
        if (cell := by_config.get(config)) is None:
            continue
        gain = f" ({ratio(cell.rps / before.rps)})" if before and before.rps else ""
        yield f"{(text + gain)[:WIDTH]:{WIDTH}}" + _figures(cell, is_spread=True)
        before = cell
    found = effects(cells)
    if any(effect.pairs > 1 for effect in found):
        yield ""
        yield f"{'each step, everything else equal':{WIDTH}}{'requests/s':>12}{'spread':>18}{'pairs':>10}"
        yield from (_effect(effect) for effect in found)
        yield ""
        yield f"{'every cell: server / pool / way / queries':{WIDTH}}{'requests/s':>12}{heads}"
        for cell in cells:
            yield f"{cell.config.name:{WIDTH}}" + _figures(cell)
    kinds = sorted({kind for cell in cells for kind in cell.error_kinds})
    if kinds:
        yield ""
        yield f"failed: {', '.join(kinds)}"


def _figures(cell: Cell, *, is_spread: bool = False) -> str:
    failed = percent(cell.errors / cell.requests) if cell.errors else "0"
    queries = measured(cell.queries)
    spread = "" if cell.lowest is None else f"{measured(cell.lowest)}..{measured(cell.highest)}"
    shown = f"{spread:>{SPREAD}}" if is_spread else ""
    return f"{measured(cell.rps):>12}{shown}{measured(cell.p95_ms):>10}{queries:>9}{failed:>9}"


def _effect(effect: Effect) -> str:
    spread = f"x {measured(effect.low)} to {measured(effect.high)}"
    pairs = f"{effect.pairs} of {effect.pairs + effect.left_out}" if effect.left_out else str(effect.pairs)
    return f"{effect.text:{WIDTH}}{ratio(effect.median):>12}{spread:>18}{pairs:>10}"
