import dataclasses
import json
from array import array
from typing import Any

import pytest

from scripts.demo.report import ReportError, Run, parse_report, render_json
from scripts.demo.report.reading import GENERATOR_LIMIT
from scripts.load import Result
from scripts.load.result import SATURATED_CPU

from .sample import make_document, make_run


def test_runs_are_paired_by_route_and_users_whatever_their_order() -> None:
    report = parse_report(
        make_document(
            make_run("hardened", "verify", 200),
            make_run("hardened", "profile", 50),
            make_run("legacy", "verify", 50),
            make_run("legacy", "verify", 200),
        )
    )
    assert [(pair.route, pair.users, len(pair.runs)) for pair in report.pairs] == [
        ("verify", 50, 1),
        ("verify", 200, 2),
        ("profile", 50, 1),
    ]
    assert report.lead is report.pairs[1]


def test_gains_are_above_one_when_hardened_is_better() -> None:
    (pair,) = parse_report(make_document(make_run("legacy"), make_run("hardened"))).pairs
    assert pair.throughput_gain == pytest.approx(11.57, abs=0.01)
    assert pair.p95_gain == pytest.approx(10.11, abs=0.01)


@pytest.mark.parametrize("changes", [{"rps": 0.0}, {"p95_ms": None}])
def test_a_gain_over_nothing_is_no_number(changes: dict[str, Any]) -> None:
    (pair,) = parse_report(make_document(make_run("legacy", **changes), make_run("hardened"))).pairs
    assert None in (pair.throughput_gain, pair.p95_gain)


@pytest.mark.parametrize("name", ["machine", "date", "command", "settings", "runs"])
def test_a_missing_part_is_named(name: str) -> None:
    document = make_document()
    del document[name]
    with pytest.raises(ReportError, match=f"lacks '{name}'"):
        parse_report(document)


def test_a_missing_figure_is_named_with_its_run() -> None:
    run = make_run("hardened")
    del run["p95_ms"]
    with pytest.raises(ReportError, match="run 2 lacks p95_ms"):
        parse_report(make_document(make_run("legacy"), run))


def test_what_else_a_run_says_is_ignored() -> None:
    report = parse_report(make_document(make_run("legacy", mean_ms=900.0, generator_cpu=0.06)))
    assert report.runs[0].generator_cpu == 0.06


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (make_document(make_run("Legacy")), "run 1 has side 'Legacy'; it is legacy or hardened"),
        (make_document(make_run("legacy"), make_run("legacy")), "two legacy runs of profile at 50 users"),
        (make_document(runs=[]), "no runs"),
        (make_document(date="22.11.2026"), "'22.11.2026' is not a date such as"),
        (make_document(date=None), "None is not a date such as"),
    ],
)
def test_contradictions_stop_the_report(document: dict[str, object], message: str) -> None:
    with pytest.raises(ReportError, match=message):
        parse_report(document)


def test_json_is_the_document_with_its_gains() -> None:
    document = make_document(make_run("legacy"), make_run("hardened"))
    parsed = json.loads(render_json(parse_report(document)))
    (gain,) = parsed.pop("gains")
    assert parsed == document
    assert (gain["route"], gain["users"]) == ("profile", 50)
    assert gain["throughput"] == pytest.approx(11.57, abs=0.01)


def test_json_that_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        render_json(parse_report(make_document(make_run("legacy", rps=float("nan")))))


def test_a_load_result_lacks_only_what_the_database_knows() -> None:
    result = Result(1, 1.0, 1.0, array("d", [0.1]), {}, 1, 0, 0, 0, 0, {}, 0.1, 0.0)
    names = {field.name for field in dataclasses.fields(Run)}
    assert names - set(result.as_dict()) == {
        "side", "route", "queries_per_request", "connections_opened", "server_connections_peak",
    }  # fmt: skip


def test_the_report_and_the_generator_agree_on_when_it_is_the_bottleneck() -> None:
    assert GENERATOR_LIMIT == SATURATED_CPU
