"""What a service has sent, read with care: it is shown in a terminal, so no control sign of it gets there.

Every field may be missing or of another type: then it is 0, "" or no row. If this is wrong, a statement in the
database of a service paints the screen of whoever looks.
"""

from __future__ import annotations

import math
from typing import Any

LONGEST = 2000  # signs of one text
RECENT = 30.0  # seconds that a rate is of
BARS = " ▁▂▃▄▅▆▇█"


def text(value: Any) -> str:
    """Return a text as one line of printable signs."""
    shown = value[:LONGEST] if isinstance(value, str) else "" if value is None else str(value)[:LONGEST]
    return " ".join("".join(sign if sign.isprintable() else " " for sign in shown).split())


def place(value: Any) -> str:
    """Return a line of code with the end of its path, which tells more than the beginning."""
    path, colon, rest = text(value).partition(":")
    parts = path.split("/")
    return f".../{'/'.join(parts[-2:])}{colon}{rest}" if len(parts) > 4 else f"{path}{colon}{rest}"


def number(value: Any) -> float:
    """Return a number; 0 for what is none."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e18 and math.isfinite(value) else 0.0


def rows(data: Any, name: str) -> list[dict[str, Any]]:
    """Return the rows of a list; what is no row is left out."""
    found = data.get(name) if isinstance(data, dict) else None
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def part(data: Any, name: str) -> dict[str, Any]:
    """Return a part of the data; empty where it is missing."""
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def series(data: Any, name: str) -> list[float]:
    """Return a series of counts per step, the oldest first."""
    found = part(data, "series").get(name)
    return [number(value) for value in found] if isinstance(found, list) else []


def per_second(data: Any, name: str) -> float:
    """Return a series' rate over the last half minute, without the step that is still filling."""
    step = number(part(data, "series").get("step"))
    counts = series(data, name)[:-1]
    if step <= 0 or not counts:
        return 0.0
    last = counts[-max(1, round(RECENT / step)) :]
    return sum(last) / (len(last) * step)


def spark(values: list[float], width: int) -> str:
    """Return the last values as a line of bars."""
    last = values[-width:] if width > 0 else []
    highest = max(last, default=0.0)
    if highest <= 0:
        return BARS[1] * len(last)
    return "".join(BARS[1 + round((len(BARS) - 2) * max(0.0, value) / highest)] for value in last)


def complaints(data: Any) -> list[str]:
    """Return what is wrong with the service, a line each; empty when all is well."""
    workers = rows(data, "workers")
    found = [] if workers else ["no worker answers"]
    for worker in workers:
        pid, state = f"worker {number(worker.get('pid')):.0f}", text(worker.get("health")) or "ok"
        if worker.get("is_stale") is True:
            found.append(f"{pid}: no word from it lately")
        elif state != "ok":
            found.append(f"{pid}: {state}")
    return found


def seconds(value: Any) -> str:
    """Return seconds as people read them: 850 us, 12.3 ms, 4.21 s, 3 min, 2 h."""
    span = number(value)
    if span < 0.001:
        return f"{span * 1e6:.0f} us" if span > 0 else "0"
    if span < 1:
        return f"{span * 1000:.3g} ms"
    if span < 120:
        return f"{span:.3g} s"
    return f"{span / 60:.0f} min" if span < 7200 else f"{span / 3600:.0f} h"


def count(value: Any) -> str:
    """Return a count with its thousands apart."""
    return f"{number(value):,.0f}"


def size(value: Any) -> str:
    """Return bytes as MiB or GiB."""
    mebibytes = number(value) / 2**20
    return f"{mebibytes:,.0f} MiB" if mebibytes < 10_000 else f"{mebibytes / 1024:,.1f} GiB"
