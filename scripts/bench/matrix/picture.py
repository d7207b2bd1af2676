"""The ladder as one SVG file, for README and for the page: bars from zero, a step each."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from ...demo.report.figures import measured, percent, ratio
from .configs import LADDER
from .measure import Cell

WIDTH, ROW, TOP, LEFT, RIGHT = 760, 40, 46, 12, 190
STYLE = (
    "text{font:14px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#1d1b18}"
    ".s{fill:#5d5851;font-size:12.5px}.b{fill:#0072b2}.f{fill:#bb5008}.bg{fill:#fcfbf9}"
    ".w{fill:none;stroke:#1d1b18;stroke-width:1.5}"
    "@media (prefers-color-scheme:dark){text{fill:#ece7df}.s{fill:#aaa399}.b{fill:#56b4e9}.f{fill:#ef8f3f}"
    ".bg{fill:#171614}.w{stroke:#ece7df}}"
)


def ladder_svg(cells: Sequence[Cell], users: int, caption: str) -> str:
    """Return the picture.

    Args:
        cells: measured; those of the ladder are drawn.
        caption: machine and date, below.
    """
    by_config = {cell.config: cell for cell in cells}
    rows = [(text, by_config[config]) for text, config in LADDER if config in by_config]
    rates = [rps for _, cell in rows for rps in (cell.lowest, cell.rps, cell.highest) if rps] or [1.0]
    full = max(rates)
    height = TOP + ROW * len(rows) + 34
    title = f"Requests per second of one route, {users} users, from prototype to hardened"
    body = [f'<text x="{LEFT}" y="22" font-weight="600">{escape(title)}</text>']

    def across(rate: float) -> int:
        """Return where a rate's bar ends."""
        return LEFT + max(round((WIDTH - LEFT - RIGHT) * rate / full), 2)

    before = None
    for number, (text, cell) in enumerate(rows):
        y, end = TOP + number * ROW, across(cell.rps)
        gain = f", {ratio(cell.rps / before.rps)}" if before and before.rps else ""
        failed = f", {percent(cell.errors / cell.requests)} failed" if cell.errors else ""
        kind = "f" if cell.errors or number == 0 else "b"
        body.append(f'<text x="{LEFT}" y="{y + 10}" class="s">{escape(text)}</text>')
        body.append(f'<rect class="{kind}" x="{LEFT}" y="{y + 15}" width="{end - LEFT}" height="14" rx="2"/>')
        if cell.lowest and cell.highest:
            ends = across(cell.lowest), across(cell.highest)
            caps = "".join(f"M{x} {y + 18}v8" for x in ends)
            body.append(f'<path class="w" d="M{ends[0]} {y + 22}H{ends[1]}{caps}"/>')
            end = max(end, ends[1])
        body.append(f'<text x="{end + 6}" y="{y + 27}">{measured(cell.rps)}{escape(gain + failed)}</text>')
        before = cell
    lines = "; lines are min to max" if any(cell.lowest for _, cell in rows) else ""
    body.append(f'<text x="{LEFT}" y="{height - 10}" class="s">{escape(caption + lines)}</text>')
    said = "; ".join(f"{text}: {measured(cell.rps)}" for text, cell in rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">\n'
        f"<title>{escape(title)}</title>\n<desc>{escape(said)}</desc>\n<style>{STYLE}</style>\n"
        f'<rect class="bg" width="{WIDTH}" height="{height}"/>\n' + "\n".join(body) + "\n</svg>\n"
    )
