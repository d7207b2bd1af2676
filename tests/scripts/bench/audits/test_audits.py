"""The audits' promises: bars that can fail, the slope of a soak, and a short run on the real shop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.bench.audits.bars import bars
from scripts.bench.audits.measure import Figures
from scripts.bench.audits.soak import Soak, slope
from scripts.bench.audits.table import lines

ROOT = Path(__file__).resolve().parents[4]
GOOD = Figures("shop", 200, 66.0, 0.004, 0.01, 0.02, 1000, 0, {}, 1.0, 0.999, 0, 4, 150.0, [])
SOAKED = Soak(60.0, 20_000, 0, (150.0, 151.0), 2.0, (60, 62), (8, 8))


def test_all_bars_hold_for_good_figures() -> None:
    found = bars([GOOD], SOAKED)
    assert len(found) == 9
    assert all(bar.holds for bar in found)


@pytest.mark.parametrize(
    "change",
    [{"p95": 0.3}, {"p95": None}, {"p99": 0.9}, {"failed": 11}, {"answered": 0}, {"waited_in_vain": 1},
     {"efficiency": 0.9}],
)  # fmt: skip
def test_each_promise_can_fail(change: dict[str, object]) -> None:
    assert [bar.holds for bar in bars([replace(GOOD, **change)], None)].count(False) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change", [{"memory_per_100k": 10.0}, {"files": (60, 90)}, {"connections": (8, 11)}, {"failed": 1}]
)
def test_each_promise_of_the_soak_can_fail(change: dict[str, object]) -> None:
    assert [bar.holds for bar in bars([], replace(SOAKED, **change))].count(False) == 1  # type: ignore[arg-type]


def test_nothing_is_promised_of_the_twin() -> None:
    assert bars([replace(GOOD, side="legacy", p95=99.0)], None) == []


def test_the_slope_is_that_of_the_line_and_one_outlier_is_nothing() -> None:
    points = [(float(x), 3.0 + 0.5 * x) for x in range(20)]
    assert slope(points) == pytest.approx(0.5)
    assert slope([*points, (20.0, 900.0)]) == pytest.approx(0.5)
    assert slope([(1.0, 1.0)]) == 0.0


def test_the_table_has_errors_and_warnings_by_name() -> None:
    bad = replace(GOOD, side="legacy", failed=3, error_kinds={"http 500": 3}, warnings=["look out"], p99=None)
    text = "\n".join(lines([GOOD, bad], SOAKED))
    assert "failed: legacy, 200 users: 3 x http 500" in text
    assert "warning: legacy, 200 users: look out" in text


def test_a_short_run_measures_both_sides_and_the_soak(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "launch.py"), "bench", "audits", "--users", "10", "--seconds", "3",
         "--soak", "8", "--json", str(tmp_path / "a.json"), "--html", str(tmp_path / "a.html")],
        capture_output=True, text=True, timeout=240, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "a.json").read_text())
    shop, legacy = result["figures"]
    assert (shop["failed"], legacy["failed"]) == (0, 0)
    assert shop["queries"] < 3 < legacy["queries"]
    assert shop["efficiency"] > 0.5 > legacy["efficiency"]
    assert shop["waited_in_vain"] == 0
    assert result["soak"]["requests"] > 100
    assert result["soak"]["failed"] == 0
    assert "legacy 10" in (tmp_path / "a.html").read_text()
