from typing import Any

from scripts.demo.report import parse_report
from scripts.demo.report.reading import find, limits

from .sample import FAILURES, make_document, make_run


def read(*runs: dict[str, Any], **changes: Any) -> dict[str, str]:
    return {finding.subject: finding.text for finding in find(parse_report(make_document(*runs, **changes)))}


def test_the_usual_findings() -> None:
    assert read(make_run("legacy", **FAILURES), make_run("hardened")) == {
        "errors": (
            "legacy 97 of 509 requests (http 500 x 91, reset x 6), worst 19.1 % in profile at 50 users; "
            "hardened none in 5,443 requests"
        ),
        "queries per request": "profile 61 -> 1",
        "connections opened": "14,312 -> 16 over all runs",
        "peak server connections": "52 -> 18 (max_connections 100)",
    }


def test_connections_are_summed_and_peaks_are_not() -> None:
    found = read()
    assert found["connections opened"] == "57,248 -> 64 over all runs"
    assert found["peak server connections"].startswith("52 -> 18")
    assert found["queries per request"] == "profile 61 -> 1, verify 61 -> 1"


def test_a_hardened_side_that_is_slower_is_said() -> None:
    found = read(make_run("legacy"), make_run("hardened", rps=40.0, p95_ms=1500.0))
    assert found["slower"] == (
        "profile at 50 users: 47.0 -> 40.0 requests per second; profile at 50 users: p95 1,410 -> 1,500 ms"
    )


def test_few_samples_are_said_with_their_number() -> None:
    found = read(make_run("legacy", requests=40, errors=8, few_samples=True), make_run("hardened"))
    assert found["few samples"].endswith("of legacy profile at 50 users (32)")


def test_a_busy_generator_is_said() -> None:
    found = read(make_run("legacy", generator_cpu=0.1), make_run("hardened", generator_cpu=0.93))
    assert found["load generator"].startswith("used 93.0 % of a core in hardened profile at 50 users")


def test_a_side_that_is_missing_is_said_and_compared_with_nothing() -> None:
    found = read(make_run("hardened"))
    assert found == {"errors": "hardened none in 5,443 requests", "one side only": "profile at 50 users"}


def test_what_was_not_counted_is_left_out() -> None:
    nothing: dict[str, Any] = {
        "queries_per_request": None,
        "connections_opened": None,
        "server_connections_peak": None,
    }
    assert set(read(make_run("legacy", **nothing), make_run("hardened", **nothing))) == {"errors"}


def test_the_limits_name_the_cores_and_the_seconds() -> None:
    text = " ".join(limit.text for limit in limits(parse_report(make_document())))
    assert "share 2 cores" in text
    assert "one run of 10 s" in text
    assert "woke up" not in text
    lonely = make_document(settings={})
    lonely["machine"]["cores"] = 1
    text = " ".join(limit.text for limit in limits(parse_report(lonely)))
    assert "share 1 core:" in text
    assert "Each figure is one run," in text


def test_a_generator_that_woke_late_is_said() -> None:
    runs = [make_run("legacy", generator_lag_ms=22.64), make_run("hardened", generator_lag_ms=4.0)]
    (machine, *_) = limits(parse_report(make_document(*runs)))
    assert machine.text.endswith("woke up to 22.6 ms late, so a latency may be too long by that.")
