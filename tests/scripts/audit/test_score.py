"""The score: what it may never do."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scripts.audit.finding import Confidence, Finding, Place, Severity
from scripts.audit.score import score, steps

from .made import FOUND

FINDINGS = st.builds(
    lambda rule, line, severity, confidence: replace(
        FOUND, rule=rule, name=rule, place=Place("a.py", line), severity=severity, confidence=confidence
    ),
    st.sampled_from(["H101", "H201", "H301"]), st.integers(1, 9),
    st.sampled_from(Severity), st.sampled_from(Confidence),
)  # fmt: skip


@given(st.lists(FINDINGS, min_size=1, max_size=30), st.data())
def test_mending_a_finding_never_lowers_the_score(findings: list[Finding], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(findings) - 1))
    assert score(findings[:gone] + findings[gone + 1 :]) >= score(findings)


@given(st.lists(FINDINGS, max_size=30))
def test_the_score_is_100_for_nothing_alone_and_ignores_the_order(findings: list[Finding]) -> None:
    assert 0 <= score(findings) <= 100
    assert (score(findings) == 100) == (not findings)
    assert score(findings) == score(reversed(findings))


def test_a_habit_of_a_large_project_costs_at_most_twice_what_one_slip_does() -> None:
    assert (score([FOUND]), score([FOUND] * 1000)) == (87, 75)


def test_the_first_step_is_severe_and_on_the_way_of_many_routes() -> None:
    slow = replace(FOUND, routes=("GET /a",))
    wide = replace(FOUND, rule="H101", name="connect-per-request", routes=("*",))
    small = replace(FOUND, rule="H902", name="unused-ignore", severity=Severity.low, routes=("*",))
    found = steps([slow, wide, small], 9)
    assert [each.worst.rule for each in found] == ["H101", "H201", "H902"]
    assert found[0].routes == 9 and found[0].after == score([slow, small])
