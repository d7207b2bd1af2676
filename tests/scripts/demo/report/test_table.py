from typing import Any

import pytest

from scripts.demo.report import parse_report, render_table

from .sample import FAILURES, make_document, make_run


def test_the_table_as_a_whole() -> None:
    document = make_document(
        make_run("legacy"),
        make_run("hardened"),
        make_run("legacy", users=200, p50_ms=3902.4, p95_ms=5120.7, **FAILURES),
        make_run("hardened", users=200, rps=525.4, p50_ms=367.3, p95_ms=466.9),
    )
    assert render_table(parse_report(document)).splitlines()[:5] == [
        "                   requests per second          p50 ms                p95 ms                errors",
        "                  ----------------------    --------------    ----------------------    --------------",
        "route    users   legacy hardened    gain   legacy hardened   legacy hardened    gain   legacy hardened",
        "profile     50     47.0      544  x 11.6      967     94.1    1,410      140  x 10.1      0 %      0 %",
        "profile    200     41.2      525  x 12.8    3,900      367    5,120      467  x 11.0   19.1 %      0 %",
    ]


def test_findings_stand_below_one_a_line() -> None:
    lines = render_table(parse_report(make_document(make_run("legacy"), make_run("hardened")))).splitlines()
    assert lines[4:] == [
        "",
        "gain: requests per second hardened / legacy, p95 legacy / hardened; above 1 is better",
        "errors: legacy none in 470 requests; hardened none in 5,443 requests",
        "queries per request: profile 61 -> 1",
        "connections opened: 14,312 -> 16 over all runs",
        "peak server connections: 52 -> 18 (max_connections 100)",
    ]


@pytest.mark.parametrize("route", ["p", "appointments", "GET /api/reports/revenue.csv"])
def test_no_line_is_wider_than_110_columns(route: str) -> None:
    huge: dict[str, Any] = {
        "rps": 98765.4,
        "p95_ms": 12.3,
        "error_kinds": {f"kind {n}": n for n in range(9)},
        "errors": 36,
    }
    document = make_document(
        make_run("legacy", route, 100000, p95_ms=98765.4, p50_ms=98765.4),
        make_run("hardened", route, 100000, **huge),
    )
    lines = render_table(parse_report(document)).splitlines()
    assert max(len(line) for line in lines) <= 110
    assert not [line for line in lines if line != line.rstrip()]


def test_what_is_missing_is_a_dash() -> None:
    nothing: dict[str, Any] = {"rps": 0.0, "p50_ms": None, "p95_ms": None, "requests": 0}
    rows = render_table(
        parse_report(make_document(make_run("legacy", **nothing), make_run("hardened", "verify")))
    ).splitlines()
    assert rows[3].split() == ["profile", "50", "0", "-", "-", "-", "-", "-", "-", "-", "-", "-"]
    assert rows[4].split()[2:5] == ["-", "544", "-"]
