"""The text report and the JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from scripts.bench.output import WIDTH
from scripts.bench.queries.bars import judge
from scripts.bench.queries.methods import METHODS
from scripts.bench.queries.plan import Plan
from scripts.bench.queries.profiles import Cell
from scripts.bench.queries.result import render_json
from scripts.bench.queries.table import render_table

from .sample import one, profiles, result

ALL = result()
TEXT = render_table(ALL, judge(ALL))
PROFILES = TEXT.partition("requests for")[0]


def test_each_method_stands_in_every_table_of_profiles() -> None:
    for method in METHODS:
        assert sum(line.startswith(f"{method.label}  ") for line in PROFILES.splitlines()) == 3, method.label


def test_no_line_is_too_wide_even_for_a_whole_run() -> None:
    everywhere = profiles()
    everywhere.cells = [
        Cell(way, 20, {method.key: one(12345.0) for method in METHODS}) for way in Plan().over
    ]
    wide = result(plan=Plan(), profiles=everywhere)
    assert max(map(len, render_table(wide, judge(wide)).splitlines())) <= WIDTH


def test_times_stand_beside_their_multiple_of_ours() -> None:
    lines = [line.split() for line in TEXT.splitlines() if line.startswith("SQLAlchemy selectinload")]
    assert lines[1][2:] == ["28.0", "7.00", "28.0", "7.00"]


def test_requests_stand_beside_their_share_of_the_ideal() -> None:
    (line,) = [line for line in TEXT.splitlines() if line.startswith("ours, kept plan ")]
    assert line.endswith("115 %")


def test_what_was_not_measured_is_a_dash_or_not_there() -> None:
    only = result(profiles=None, lists=None)
    text = render_table(only, judge(only))
    assert "\nmethod" not in text and "COPY" not in text and "empty Flask route" in text


def test_machine_date_network_and_what_is_missing_are_named() -> None:
    for part in (
        "machine: 2 cores (a <CPU>)", "psycopg2-binary 2.9", "measured 2026-11-22", "noise: quiet",
        "left out: PgBouncer: PgBouncer is not installed", "+0.5 ms was measured as +0.52 ms",
        "kept plan: over socket the leased connection kept none",
    ):  # fmt: skip
        assert part in TEXT


def test_an_unsteady_run_says_so() -> None:
    shaken = profiles()
    calls = replace(one(2.0), rounds=(1.0,) * 10 + (9.0,) * 10)
    shaken.cells = [Cell("socket", 20, {"ours": calls})]
    assert "UNSTEADY: our own calls for one profile differ by x 9.0" in result(profiles=shaken).noise_line()


def test_json_has_every_part_and_every_call() -> None:
    document = json.loads(render_json(ALL, judge(ALL)))
    assert document["profiles"]["cells"][0]["ms"]["ours"]["rounds"] == [2.0]
    assert document["profiles"]["asked"]["ours"]["20"]["statements"] == 1
    assert document["requests"]["shares"]["kept"]["median"] == 1.15
    assert document["lists"]["exports"]["400000"]["ours"]["mib"]["high"] == 0.6
    assert len(document["bars"]) == 12
