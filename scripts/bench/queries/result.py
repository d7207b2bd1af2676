"""What came out of a run, for the renderers, and all that says how far to trust it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..noise import Noise
from ..output import Bar
from .listing import Lists
from .methods import Method
from .plan import Plan
from .profiles import Profiles
from .requests import Requests

LOUD_ROUNDS = 3.0  # the slowest tenth of our own calls over the quickest


@dataclass(frozen=True)
class Result:
    """A whole run.

    Attributes:
        date: ISO.
        command: what to type to measure again.
        machine: as the demo's report describes it.
        versions: of the packages that were compared.
        plan: how much was measured.
        noise: what disturbed it.
        methods: those that were asked for, in the order of the tables.
        profiles: by method, number of children and way to the server; None when that part was not asked for.
        requests: whole requests under Gunicorn; None as well then.
        lists: pages and exports; None as well then.
        left_out: label to reason.
    """

    date: str
    command: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    plan: Plan
    noise: Noise
    methods: tuple[Method, ...]
    profiles: Profiles | None
    requests: Requests | None
    lists: Lists | None
    left_out: Mapping[str, str]

    def ms(self, key: str, way: str, children: int) -> float | None:
        """Return the median milliseconds of a method, if that was measured."""
        cell = self.profiles.cell(way, children) if self.profiles else None
        return cell.ms[key].median if cell and key in cell.ms else None

    def ratio(self, key: str, way: str, children: int, to: str = "ours") -> float | None:
        """Return a method's time as a multiple of another one's."""
        above, below = self.ms(key, way, children), self.ms(to, way, children)
        return above / below if above is not None and below else None

    def unrest(self) -> float:
        """Return how much our own calls differ among themselves: the ninth decile over the first, at the worst."""
        found = [_deciles(cell.ms["ours"].rounds) for cell in (self.profiles.cells if self.profiles else ())]
        return max(found, default=1.0)

    def noise_line(self) -> str:
        """Say how quiet it was, as the machine and as the calls show it."""
        said = self.noise.verdict()
        if self.unrest() > LOUD_ROUNDS:
            said += f"; UNSTEADY: our own calls for one profile differ by x {self.unrest():.1f}"
        return said


def _deciles(values: Sequence[float]) -> float:
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 10], ordered[-1 - len(ordered) // 10]
    return high / low if low else 1.0


def render_json(result: Result, bars: Sequence[Bar]) -> str:
    """Return the whole run as JSON, each call included."""
    document = {
        "date": result.date,
        "command": result.command,
        "machine": result.machine,
        "versions": result.versions,
        "noise": {**asdict(result.noise), "unrest": result.unrest(), "verdict": result.noise_line()},
        "settings": asdict(result.plan),
        "methods": [{"key": method.key, "label": method.label} for method in result.methods],
        "profiles": asdict(result.profiles) if result.profiles else None,
        "requests": asdict(result.requests) if result.requests else None,
        "lists": asdict(result.lists) if result.lists else None,
        "bars": [asdict(bar) for bar in bars],
        "left_out": result.left_out,
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
