"""What a run says of itself: warnings before the figures, and nothing that was not measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.load import Figures, Measured
from scripts.load.histogram import Latencies


def kept(*seconds: float) -> Latencies:
    latencies = Latencies()
    for value in seconds:
        latencies.record(value)
    return latencies


QUIET = Measured(
    5, None, 10.0,
    {"a": Figures(kept(0.1, 0.2), kept(0.1, 0.1), {}, 10.0), "b": Figures(kept(0.3), kept(0.3), {}, 10.0)},
    [], generator_cpu=0.3, generator_lag=0.001, late_starts=0.0, unfinished=0,
)  # fmt: skip


def test_a_quiet_run_has_nothing_to_warn_of() -> None:
    assert QUIET.warnings() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"generator_cpu": 0.9}, "the generator used 90% of a core"),
        ({"generator_lag": 0.05}, "woke up 50 ms late"),
        ({"late_starts": 0.3}, "30% of the arrivals found nobody of 5 idle"),
        ({"steps": {}}, "nothing was answered"),
    ],
)
def test_what_spoils_the_figures_is_said(change: dict[str, object], said: str) -> None:
    [warning] = replace(QUIET, **change).warnings()  # type: ignore[arg-type]
    assert said in warning


def test_totals_add_the_steps_and_what_never_ended() -> None:
    run = replace(QUIET, unfinished=2)
    assert (run.answered, run.failed, run.errors) == (3, 2, {"never answered": 2})
    assert run.rps == pytest.approx(0.3)
    assert run.percentile(100) == pytest.approx(0.3, rel=0.001)
    assert run.percentile(95) is None


def test_the_report_has_nulls_for_what_is_unknown() -> None:
    told = QUIET.as_dict()
    assert told["totals"]["p99_ms"] is None
    assert told["totals"]["p50_ms"] == pytest.approx(200, rel=0.01)
    assert told["totals"]["service_p50_ms"] == pytest.approx(100, rel=0.01)
    assert told["steps"]["b"]["answered"] == 1
    assert told["model"] == "closed"
