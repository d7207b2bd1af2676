"""Which bars are judged, and how."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scripts.bench.queries.bars import judge

from .sample import PLAN, lists, profiles, requests, result


def _held(**changed: Any) -> dict[str, bool]:
    return {bar.text: bar.holds for bar in judge(result(**changed))}


def test_the_sample_holds_every_bar() -> None:
    bars = _held()
    assert len(bars) == 12
    assert all(bars.values()), bars


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"profiles": profiles(statements=2)}, "statements at N = 0, 20: 1"),
        ({"profiles": profiles(n_plus_1=11.9)}, "socket, N = 20: at least 8 times faster than N+1"),
        ({"profiles": profiles(n_plus_1=11.2)}, "+0.5 ms, N = 20: at least 15 times faster than N+1"),
        ({"profiles": profiles(selectinload=7.4)}, "at least 5 times faster than SQLAlchemy selectinload"),
        ({"profiles": profiles(ours_kept=1.91)}, "with a kept plan ahead of psycopg 3"),
        ({"requests": requests(direct=0.89)}, "ours, planned each time: at least 90 % of the ideal"),
        ({"requests": requests(bouncer=0.84)}, "ours, PgBouncer: at least 85 % of the ideal"),
        ({"requests": requests(kept=1.09)}, "ours, kept plan: at least 110 % of the ideal"),
        ({"lists": lists(deep=1.51)}, "the page at row 200,000 by cursor: less than 1.5 times page 1"),
        ({"lists": lists(seconds=0.79)}, "400,000 rows as CSV: at most 1.3 times COPY"),
        ({"lists": lists(mib=5.1)}, "400,000 rows as CSV: within 5 MiB of idle"),
        ({"lists": lists(first_ms=51.0)}, "400,000 rows as CSV: first byte within 50 ms"),
    ],
)
def test_a_bar_that_is_missed_does_not_hold(changed: dict[str, Any], text: str) -> None:
    bars = _held(**changed)
    (found,) = [name for name in bars if text in name]
    assert bars[found] is False


def test_a_bar_is_not_judged_without_its_other_side() -> None:
    bare = profiles()
    bare.cells = [cell for cell in bare.cells if cell.way != "socket"]
    assert not [text for text in _held(profiles=bare) if "socket" in text]
    assert _held(profiles=None, requests=None, lists=None) == {}


def test_a_page_near_the_front_proves_nothing() -> None:
    assert not [text for text in _held(plan=replace(PLAN, depth=1000)) if "cursor" in text]
