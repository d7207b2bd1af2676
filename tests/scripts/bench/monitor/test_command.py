"""`harden bench monitor`: that it measures what it says, small; what came out is judged and shown."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from scripts import cli
from scripts.bench.monitor import command
from scripts.bench.monitor.bars import judge
from scripts.bench.monitor.lines import ask
from scripts.bench.monitor.plan import BATCHES, PARTS, QUICK, STATEMENTS, Plan
from scripts.bench.monitor.result import Cell, Result
from scripts.bench.monitor.table import render_table
from scripts.bench.monitor.ways import WAYS
from scripts.bench.noise import Noise

PAGE = Path(__file__).resolve().parents[4] / "docs" / "bench-monitor.md"
SMALL = Plan(rounds=2, queries=5, wrapper_rounds=2, texts=4000, http_pairs=2, http_rounds=1,
             http_seconds=0.3, http_warm_up=0.2)  # fmt: skip
MACHINE = {
    "cores": 2, "cpu": "a processor", "memory_gib": 4.0, "os": "Linux", "python": "3.11", "postgresql": "15",
}  # fmt: skip


def _samples(added: float, batch: int, request: float) -> dict[str, list[float]]:
    """Return a cell's samples: what is watched costs so much more, and a request itself so much."""
    more = {"plain": 0.0, "lease": 2000.0, "outside": 2000.0 + added, "request": 2000.0 + added + request / batch}
    return {way.key: [base + more.get(way.key, added) for base in (20_000.0, 30_000.0)] for way in WAYS}


def _result(
    added: float = 1000.0, grown: int = 2**20, watched: float = 99.0, plan: Plan = QUICK, request: float = 30_000.0
) -> Result:
    """Return a run in which a watched query costs so many nanoseconds more, and a request itself so many."""
    cells = tuple(Cell(name, batch, _samples(added, batch, request)) for name in STATEMENTS for batch in BATCHES)
    return Result(
        "2027-01-01", "harden bench monitor", MACHINE, {"psycopg2": "2.9"}, plan, Noise(0.1, 0.2, 0.0, 2), cells,
        {"outside": [100.0], "request": [700.0]}, grown, {"watched": [watched, 99.0], "unwatched": [100.0, 100.0]},
    )  # fmt: skip


def test_the_smallest_run_measures_every_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "QUICK", SMALL)
    out = tmp_path / "out.json"
    assert cli.main(["bench", "monitor", "--quick", "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert all(way.label in shown for way in WAYS)
    assert shown.count("holds ") + shown.count("FAILS ") == 4
    found = json.loads(out.read_text(encoding="utf-8"))
    assert {len(values) for cell in found["cells"] for values in cell["samples"].values()} == {2}
    assert len(found["cells"]) == len(STATEMENTS) * len(BATCHES)
    assert min(value for cell in found["cells"] for value in cell["samples"]["plain"]) > 0
    assert min(found["rates"]["watched"]) > 0
    assert len(found["rates"]["watched"]) == SMALL.http_pairs


def test_each_round_is_held_against_its_own_plain_cursor() -> None:
    cell = Cell("cheap", 5, {"plain": [10_000.0, 50_000.0, 20_000.0], "request": [11_000.0, 51_500.0, 22_000.0]})
    assert cell.added_us("request") == 1.5
    assert cell.base_us() == 20.0
    assert cell.added_us("proxy") is None


def test_bars_hold_below_their_limits_and_fail_above() -> None:
    assert [bar.holds for bar in judge(_result(added=200.0))] == [True] * 4
    failing = judge(_result(added=1600.0, grown=11 * 2**20, watched=90.0))
    assert [bar.holds for bar in failing] == [False] * 4
    assert [bar.holds for bar in judge(_result(added=1000.0))] == [True, False, True, True]


def test_what_a_request_costs_and_what_each_of_its_queries_is_told_apart() -> None:
    each, request = _result(added=1200.0, request=25_000.0).of_each_query("cheap") or (0.0, 0.0)
    assert (round(each, 6), round(request, 6)) == (1.2, 25.0)


def test_what_was_not_measured_is_neither_judged_nor_shown() -> None:
    result = Result("2027-01-01", "x", MACHINE, {}, QUICK, Noise(0.1, 0.2, 0.0, 2))
    assert judge(result) == []
    assert "us" not in render_table(result, []).split("machine")[0]


def test_the_table_fits_in_110_columns() -> None:
    result = _result()
    assert max(map(len, render_table(result, judge(result)).splitlines())) <= 110


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--parts", "memry"], "memory"), (["--json", "/no/such/x"], "folder")]
)
def test_a_wrong_option_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.main(["bench", "monitor", *arguments])
    except SystemExit as ended:
        code = int(str(ended.code))
    shown = capsys.readouterr()
    assert (code, shown.out) == (2, "")
    assert said in shown.err


def test_every_option_part_and_way_is_in_the_docs() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    page = PAGE.read_text(encoding="utf-8")
    options = [action.option_strings[-1] for action in parser._actions if action.dest != "help"]
    for word in (*options, *PARTS):
        assert f"`{word}" in page, word
    for way in WAYS:
        assert way.label in page


@pytest.mark.parametrize("times", BATCHES)
def test_the_lines_ask_as_often_as_they_should_and_repeat_nothing(times: int) -> None:
    places: Counter[int] = Counter()

    class Counting:
        def execute(self, *_: object) -> None:
            places[sys._getframe(1).f_lineno] += 1

        def fetchall(self) -> None:
            pass

    ask(Counting(), "SELECT %s", times)
    assert (places.total(), max(places.values())) == (times, min(times, 5))
