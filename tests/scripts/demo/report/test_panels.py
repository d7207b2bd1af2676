from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.demo.report import panels, parse_report
from scripts.demo.report.shapes import PANEL_WIDTH, CountScale, LinearScale, LogScale, Panel

from .sample import make_document, make_run


def draw(name: str, *runs: dict[str, Any]) -> list[Panel]:
    drawn: list[Panel] = getattr(panels, name)(parse_report(make_document(*runs)))
    return drawn


def test_bars_are_in_proportion_over_all_panels() -> None:
    first, second = draw("throughput", make_run("legacy", "a", rps=100.0), make_run("hardened", "b", rps=400.0))
    assert second.bars[0].width == pytest.approx(4 * first.bars[0].width, abs=0.2)
    assert {bar.side for bar in first.bars} == {"legacy"}


def test_each_bar_has_its_side_and_value_in_words() -> None:
    (panel,) = draw("throughput", make_run("legacy"), make_run("hardened"))
    assert [words.text for words in panel.words] == [
        "50 users", "\u00d7\u00a011.6", "legacy", "47.0", "hardened", "544",
    ]  # fmt: skip
    assert panel.description == "requests per second: 50 users legacy 47.0, hardened 544."


def test_errors_are_drawn_only_when_there_are_some() -> None:
    assert draw("errors", make_run("legacy"), make_run("hardened")) == []
    (panel,) = draw("errors", make_run("legacy", errors=47), make_run("hardened"))
    assert [bar.width > 0 for bar in panel.bars] == [True, False]
    assert "legacy 10.0 %, hardened 0 %" in panel.description


def test_latency_marks_stand_in_the_order_of_the_percentiles() -> None:
    (panel,) = draw("latency", make_run("legacy"), make_run("hardened"))
    for side in ("legacy", "hardened"):
        marks = {dot.shape: dot.x for dot in panel.dots if dot.side == side}
        assert marks["disc"] < marks["diamond"] < marks["ring"] < marks["tick"]
    assert "legacy p50 967, p95 1,410, p99 1,890, longest 2,110 milliseconds" in panel.description


def test_latency_without_answers_is_said_and_not_drawn() -> None:
    nothing: dict[str, Any] = {"rps": 0.0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "max_ms": None}
    (panel,) = draw("latency", make_run("legacy", **nothing), make_run("hardened"))
    assert {dot.side for dot in panel.dots} == {"hardened"}
    assert "no answers" in [words.text for words in panel.words]


def test_database_panels_say_before_and_after() -> None:
    queries, opened, peak = draw("database", make_run("legacy"), make_run("hardened"))
    assert [words.text for words in queries.words if words.kind == "value"] == ["61\u00a0→\u00a01"]
    assert [words.text for words in opened.words if words.kind == "value"] == ["14,312\u00a0→\u00a016"]
    assert "max_connections 100" in [words.text for words in peak.words]


def test_counts_that_were_not_taken_are_not_drawn() -> None:
    queries, *_ = draw("database", make_run("legacy", queries_per_request=None), make_run("hardened"))
    assert [dot.side for dot in queries.dots] == ["hardened"]


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=6))
def test_everything_stays_within_the_panel(values: list[float]) -> None:
    runs = [
        make_run("legacy", users=number, rps=value, p50_ms=value, p95_ms=value, p99_ms=value, max_ms=value,
                 queries_per_request=value, connections_opened=int(value), server_connections_peak=int(value))
        for number, value in enumerate(values)
    ]  # fmt: skip
    report = parse_report(make_document(*runs))
    for panel in panels.throughput(report) + panels.latency(report) + panels.database(report):
        xs = [dot.x for dot in panel.dots] + [bar.x + bar.width for bar in panel.bars]
        xs += [x for line in panel.lines for x in (line.x1, line.x2)]
        assert all(0 <= x <= PANEL_WIDTH for x in xs)
        assert all(0 <= words.y <= panel.height for words in panel.words)


def test_a_log_scale_holds_all_values_between_whole_decades() -> None:
    scale = LogScale([4.6, 2105.0], 0, 100)
    assert scale.ticks == [1, 10, 100, 1000, 10000]
    assert (scale.x(1), scale.x(100), scale.x(10000)) == (0, 50, 100)
    assert LogScale([], 0, 100).ticks == [1, 10]
    assert LogScale([100.0], 0, 100).ticks == [100, 1000]


def test_a_count_scale_has_a_place_for_none_at_all() -> None:
    scale = CountScale([0, 61], 0, 100)
    assert scale.ticks == [0, 1, 10, 100]
    assert (scale.x(0), scale.x(100)) == (0, 100)
    assert 0 < scale.x(1) < scale.x(10) < 100


def test_a_linear_scale_is_in_proportion() -> None:
    scale = LinearScale([18, 100], 0, 50)
    assert (scale.x(0), scale.x(18), scale.x(100)) == (0, 9, 50)
    assert LinearScale([], 0, 50).ticks == [0, 1]
