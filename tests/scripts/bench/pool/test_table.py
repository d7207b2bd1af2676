"""The text report."""

from __future__ import annotations

import json

from scripts.bench.noise import Noise
from scripts.bench.pool.bars import judge
from scripts.bench.pool.result import Result, render_json
from scripts.bench.pool.subjects import SUBJECTS
from scripts.bench.pool.table import WIDTH, render_table

from .sample import result, row

ALL = result(*(row(subject.key) for subject in SUBJECTS))


def _table(report: Result) -> str:
    return render_table(report, judge(report))


def test_each_subject_stands_in_every_section_within_the_width() -> None:
    text = _table(ALL)
    for subject in SUBJECTS:
        assert sum(line.startswith(f"{subject.label}  ") for line in text.splitlines()) == 4, subject.label
    assert max(map(len, text.splitlines())) <= WIDTH


def test_medians_stand_with_their_range_and_as_multiples_of_ours() -> None:
    text = _table(result(row("ours"), row("psycopg2", checkout_us=[9.0, 6.0, 1234.5])))
    (line, *_) = [line for line in text.splitlines() if line.startswith("psycopg2, polled")]
    assert line.split()[2:5] == ["9.00", "6.00..1230", "2.25"]


def test_a_figure_that_was_not_measured_is_a_dash() -> None:
    bare = row("connect")
    figures = {name: found for name, found in bare.figures.items() if name not in ("memory_kib", "jain")}
    text = _table(result(row("ours"), type(bare)(bare.key, bare.label, figures)))
    lines = [line for line in text.splitlines() if line.startswith("connect per request")]
    assert all(line.split().count("-") == 1 for line in (lines[1], lines[3]))


def test_machine_versions_date_and_what_is_missing_are_named() -> None:
    text = _table(ALL)
    for part in (
        "machine: 2 cores (a <CPU>)", "PostgreSQL 15.1", "psycopg2-binary 2.9", "measured 2026-11-22",
        "noise: quiet", "left out: DBUtils PooledDB: dbutils could not", "not measured: recovery: SQLAlchemy",
    ):  # fmt: skip
        assert part in text


def test_a_noisy_run_says_so() -> None:
    noisy = result(row("ours", checkout_us=[4.0, 4.1, 9.0]), noise=Noise(3.0, 3.0, 0.2, 2))
    assert "noise: NOISY: the machine was busy" in _table(noisy)
    assert "UNSTEADY: the rounds of one subject differ by x 2.2" in " ".join(_table(noisy).split())


def test_json_has_every_round() -> None:
    report = result(row("ours", checkout_us=[3.0, 1.0, 2.0]))
    (subject,) = json.loads(render_json(report, judge(report)))["subjects"]
    assert subject["figures"]["checkout_us"] == {"median": 2.0, "low": 1.0, "high": 3.0, "rounds": [3.0, 1.0, 2.0]}
