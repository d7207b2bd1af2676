"""Budgets: what holds, what breaks, and what cannot be judged."""

from __future__ import annotations

import argparse

import pytest

from scripts.load import Figures, Measured
from scripts.load.budgets import judge, seconds_of, share_of
from scripts.load.histogram import Latencies


def measured(latencies: list[float], errors: dict[str, int] | None = None) -> Measured:
    kept = Latencies()
    for latency in latencies:
        kept.record(latency)
    figures = Figures(kept, kept, errors or {}, 10.0)
    return Measured(5, None, 10.0, {"one": figures}, [], 0.1, 0.001, 0.0, 0)


def test_a_budget_holds_up_to_its_limit() -> None:
    run = measured([0.1] * 1000)
    verdicts = judge(run, {"p95": 0.2, "p99": 0.05}, 0.0, 100.0)
    assert [verdict.holds for verdict in verdicts] == [True, False, True, True]


def test_a_percentile_with_too_few_samples_does_not_hold_and_says_why() -> None:
    [verdict] = judge(measured([0.1] * 99), {"p99": 10.0}, None, None)
    assert not verdict.holds
    assert verdict.reached == "unknown: 99 answers, p99 needs 100; run longer"


def test_errors_are_a_share_of_all_requests() -> None:
    run = measured([0.1] * 98, {"http 500": 2})
    [strict], [lax] = judge(run, {}, 0.01, None), judge(run, {}, 0.02, None)
    assert (strict.holds, lax.holds) == (False, True)
    assert (strict.text, strict.reached) == ("errors at most 1%", "2.00% (2 of 100)")


def test_a_run_without_a_request_keeps_no_budget_of_errors() -> None:
    [verdict] = judge(measured([]), {}, 1.0, None)
    assert verdict.reached == "no request was made"


@pytest.mark.parametrize("text", ["1", "101%", "-1%", "x%", "nan%"])
def test_shares_that_are_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        share_of(text)


def test_what_is_parsed() -> None:
    assert (share_of("0.5%"), share_of("100%"), seconds_of("300ms"), seconds_of("2s")) == (0.005, 1.0, 0.3, 2.0)
    with pytest.raises(argparse.ArgumentTypeError, match="is no time"):
        seconds_of("fast")
