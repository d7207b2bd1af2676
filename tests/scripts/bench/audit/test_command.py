"""`harden bench audit` on a corpus of one small repository: scored, judged, shown, written."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from scripts import cli
from scripts.bench.audit import command
from scripts.bench.audit.bars import MACRO, judge
from scripts.bench.audit.labels import Label, Repository
from scripts.bench.audit.result import Reached, Result
from scripts.bench.audit.scoring import Row, score
from scripts.bench.audit.table import render_table

PAGE = Path(__file__).resolve().parents[4] / "docs" / "audit-proof.md"
APP = 'from flask import Flask\n\napp = Flask(__name__)\n\nif __name__ == "__main__":\n    app.run(debug=True)\n'


def _corpus(folder: Path) -> list[str]:
    """Write a corpus; returns the arguments that name it. One label is found, one is not, one report is wrong."""
    (folder / "checkouts" / "a+b").mkdir(parents=True)
    (folder / "checkouts" / "a+b" / "app.py").write_text(APP, encoding="utf-8")
    labels = [{"path": "app.py", "line": line, "rule": "debug-on"} for line in (6, 3)]
    labels.append({"path": "app.py", "line": 2, "rule": "dev-server"})
    entry = {"repo": "a/b", "commit": "1" * 40, "findings": labels, "neutral": [], "traps": []}
    (folder / "labels.json").write_text(json.dumps([entry]), encoding="utf-8")
    return ["--corpus", str(folder / "labels.json"), "--checkouts", str(folder / "checkouts")]


def test_a_run_shows_scores_misses_wrong_reports_and_bars(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    arguments = [*_corpus(tmp_path), "--tool", "ours", "--misses", "--false", "--json", str(out)]
    assert cli.main(["bench", "audit", *arguments]) == 0
    shown = capsys.readouterr().out
    assert "missed a/b debug-on app.py:3" in shown
    assert "wrong a/b dev-server app.py:6" in shown
    assert shown.count("FAILS ") == 3
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["tools"]["ours"]["raw"]["rules"]["debug-on"] == {
        "labels": 2, "hit": 1, "recall": 0.5, "macro": 0.5, "right": 1, "wrong": 0, "precision": 1.0, "traps": 0,
    }  # fmt: skip
    assert found["tools"]["ours"]["seconds"]["a/b"] > 0


def test_check_fails_when_a_bar_is_missed(tmp_path: Path) -> None:
    assert cli.main(["bench", "audit", *_corpus(tmp_path), "--tool", "ours", "--check"]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tool", "rufff"], "did you mean ruff"),
        (["--tool", "ruff", "--misses"], "add ours"),
        (["--fetch", "--checkouts", "."], "one of them"),
        (["--checkouts", "/no/such"], "not in /no/such"),
        (["--corpus", "/no/such.json"], "cannot read /no/such.json"),
        (["--semgrep-rules", "/no/such"], "there is no /no/such"),
    ],
)
def test_a_wrong_option_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.main(["bench", "audit", *arguments])
    except SystemExit as ended:
        code = int(str(ended.code))
    shown = capsys.readouterr()
    assert (code, shown.out, len(shown.err.splitlines())) == (2, "", 1)
    assert said in shown.err


def _labels(rule: str, count: int) -> tuple[Label, ...]:
    return tuple(Label(rule, "app.py", line, line, line) for line in range(1, count + 1))


def _result(rows: list[Row]) -> Result:
    """Return a run in which each rule has a hundred labels, and an amendment takes the first of one away."""
    findings = tuple(label for rule in MACRO for label in _labels(rule, 100))
    raw = score([Repository("a/b", "1", findings, (), ())], rows)
    amended = score([Repository("a/b", "1", findings[1:], findings[:1], ())], rows)
    reached = Reached("1.0", {"a/b": 2.0}, raw, amended)
    peer = Reached("2.0", {"a/b": 5.0}, score([Repository("a/b", "1", findings, (), ())], []), amended)
    found = {"ours": reached, "ruff": peer}
    return Result("2027-01-01", "harden bench audit", 1, 1, found, {"semgrep": "no rules"})


def _rows(rule: str, count: int) -> list[Row]:
    return [Row("a/b", "app.py", line, line, rule) for line in range(1, count + 1)]


def test_bars_hold_at_their_limits_and_fail_below() -> None:
    at = [row for rule, least in MACRO.items() for row in _rows(rule, round(100 * least))]
    assert all(bar.holds for bar in judge(_result(at).tools["ours"].raw))
    below = [row for rule, least in MACRO.items() for row in _rows(rule, round(100 * least) - 1)]
    failed = [bar for bar in judge(_result(below).tools["ours"].raw) if not bar.holds]
    assert len(failed) == len(MACRO)


def test_too_many_wrong_reports_fail_the_bar_of_precision() -> None:
    rows = [row for rule in MACRO for row in _rows(rule, 100)]
    wrong = [Row("a/b", "other.py", line, line, "n-plus-one") for line in range(60)]
    assert [bar.text for bar in judge(_result(rows + wrong).tools["ours"].raw) if not bar.holds] == [
        "precision over all rules at least 0.95"
    ]


def test_the_table_fits_and_says_what_amendments_change() -> None:
    shown = render_table(_result(_rows("n-plus-one", 100)), [])
    assert max(map(len, shown.splitlines())) <= 110
    assert "ours: n-plus-one: 100 of 100 (repo 1.0, prec 1.0, traps 0) -> 99 of 99" in shown
    assert "2.0 x1.00" in shown
    assert "5.0 x2.50" in shown
    assert "without semgrep: no rules" in shown


def test_every_option_and_bar_is_in_the_docs() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    page = PAGE.read_text(encoding="utf-8")
    for action in parser._actions:
        if action.dest != "help":
            assert f"`{action.option_strings[-1]}" in page, action.dest
    for rule, least in MACRO.items():
        assert f"| {rule} | {least:.2f} |" in page, rule
