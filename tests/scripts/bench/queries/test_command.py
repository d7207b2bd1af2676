"""`harden bench queries` for real, as small as it gets, with methods that need nothing installed."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from scripts import cli
from scripts.bench.queries import command
from scripts.bench.queries.bars import judge
from scripts.bench.queries.methods import BY_KEY
from scripts.bench.queries.page import render_page
from scripts.bench.queries.plan import QUICK, Plan
from scripts.bench.queries.requests import SERVED
from scripts.bench.queries.result import Result, render_json
from scripts.bench.queries.table import render_table
from scripts.progress import Progress

TINY = Plan(
    children=(0, 3), over=("socket", "pgbouncer", "1ms"), seconds=0.1, rounds=3, size="small", http_rounds=1,
    http_seconds=0.2, http_warm_up=0.1, users=4, page_rounds=3, depth=200, exports=(5000,), export_rounds=1,
)  # fmt: skip
KEYS = ("ours", "ours-kept", "ours-function", "n-plus-1", "cte")


@pytest.fixture(scope="module")
def result() -> Result:
    """One tiny run of all parts."""
    return command._measure(TINY, [BY_KEY[key] for key in KEYS], Progress())


def test_every_method_was_timed_over_every_way(result: Result) -> None:
    assert result.profiles
    for way in TINY.over:
        for number in TINY.children:
            cell = result.profiles.cell(way, number)
            assert cell and tuple(cell.ms) == KEYS
            assert all(len(figure.rounds) >= 1 for figure in cell.ms.values())


def test_the_server_and_the_proxy_counted(result: Result) -> None:
    assert result.profiles
    asked = {key: [found[number] for number in TINY.children] for key, found in result.profiles.asked.items()}
    assert [each.statements for each in asked["n-plus-1"]] == [1, 10]
    assert [each.round_trips for each in asked["n-plus-1"]] == [1, 10]
    for key in ("ours", "ours-kept", "ours-function", "cte"):
        assert [(each.statements, each.round_trips) for each in asked[key]] == [(1, 1), (1, 1)], key


def test_a_network_takes_its_time(result: Result) -> None:
    assert result.profiles and result.profiles.added_ms.keys() == {"1ms"}
    calls = result.profiles.cell("1ms", 3)
    assert calls and calls.ms["n-plus-1"].low > 8  # ten round trips of a millisecond, less what tuning is off by


def test_requests_have_a_share_of_the_ideal(result: Result) -> None:
    assert result.requests
    keys = {served.key for served in SERVED}
    assert keys <= result.requests.rates.keys()
    if result.requests.ideal:
        assert result.requests.shares.keys() == keys - {"empty"}
        assert result.requests.ideal.median < result.requests.rates["empty"].median


def test_lists_were_measured(result: Result) -> None:
    assert result.lists
    assert set(result.lists.pages) == {"cursor-first", "cursor-deep", "offset-first", "offset-deep"}
    ways = result.lists.exports[5000]
    assert set(ways) == {"copy", "ours", "fetchall"}
    assert all(each.seconds.low > 0 and each.first_ms.low > 0 for each in ways.values())


def test_reports_show_every_part_and_no_password(result: Result) -> None:
    bars = judge(result)
    texts = render_table(result, bars), render_page(result, bars), render_json(result, bars)
    for text in texts:
        assert "CTE per level" in text and "password=" not in text
    assert "ours, PgBouncer, function" in texts[0] and "5,000 rows as CSV" in texts[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "psycopg"], "'psycopg' is no method; did you mean psycopg3?"),
        (["--methods", "n-plus-1,"], "'' is no method; there are ours"),
        (["--parts", "page"], "'page' is no part; did you mean pages?"),
        (["--children", "20,many"], "'many' is no number of appointments (0 to 2000)"),
        (["--children", "2001"], "no number of appointments"),
        (["--over", "wifi"], "'wifi' is no way to the server; give socket, tcp, pgbouncer, or a network"),
        (["--over", "0ms"], "'0ms' is no way"),
        (["--over", "500ms"], "(up to 100ms)"),
        (["--html", "/nowhere/out.html"], "the folder of /nowhere/out.html does not exist"),
    ],
)
def test_bad_arguments_are_one_line_and_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = cli.main(["bench", "queries", *arguments])
    except SystemExit as ended:
        code = int(str(ended.code))
    shown = capsys.readouterr()
    assert (code, shown.out) == (2, "")
    assert said in shown.err and len(shown.err.strip().splitlines()) == 1


def _plan(*arguments: str) -> Plan:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command._plan(parser.parse_args(arguments))


def test_without_options_the_whole_run_is_planned() -> None:
    assert _plan() == Plan()
    assert _plan("--quick") == QUICK


def test_quick_measures_every_number_over_the_first_way_alone() -> None:
    numbers = [("socket", number) for number in (0, 20, 200, 2000)]
    assert QUICK.cells() == [*numbers, ("tcp", 20), ("pgbouncer", 20), ("0.5ms", 20), ("2ms", 20)]


def test_what_was_asked_for_is_measured_in_a_quick_run_too() -> None:
    plan = _plan("--quick", "--children", "20,0,20", "--over", "tcp,3.5ms", "--parts", "profiles")
    assert plan.cells() == [("tcp", 0), ("tcp", 20), ("3.5ms", 0), ("3.5ms", 20)]
    assert (plan.parts, plan.seconds) == (("profiles",), QUICK.seconds)


def test_without_the_usual_number_the_first_one_stands_for_it() -> None:
    assert replace(QUICK, children=(3, 9)).cells()[-1] == ("2ms", 3)


def test_every_option_and_part_is_in_the_docs() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "bench-queries.md").read_text(encoding="utf-8")
    for word in ("--quick", "--parts", "--methods", "--children", "--over", "--json", "--html",
                 "profiles", "requests", "pages", "exports", *BY_KEY):  # fmt: skip
        assert f"`{word}" in page, word
