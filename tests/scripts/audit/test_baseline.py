"""Baselines: what stays known when code moves, and what becomes new."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.audit import baseline
from scripts.audit.finding import Finding, Place
from scripts.errors import CommandError

from .made import FOUND, SOURCE, result


def _known(folder: Path, *findings: Finding) -> Path:
    path = folder / "audit.json"
    baseline.write(result(folder, findings), path)
    return path


def _at(line: int) -> Finding:
    return replace(FOUND, place=Place("app.py", line, 1))


def test_a_finding_whose_lines_moved_is_known(tmp_path: Path) -> None:
    known = baseline.read(_known(tmp_path, _at(9)))
    moved = result(tmp_path, [_at(11)], "\n\n" + SOURCE.replace("name = one", "name  =  one"))
    assert baseline.compared(moved, known) == ((), 0)


def test_a_second_one_of_the_same_words_is_new(tmp_path: Path) -> None:
    known = baseline.read(_known(tmp_path, _at(9)))
    line = SOURCE.splitlines()[8]
    twice = result(tmp_path, [_at(9), _at(10)], SOURCE.replace(line, f"{line}\n{line}"))
    assert [each.place.line for each in baseline.compared(twice, known).new] == [10]


@pytest.mark.parametrize(("old", "new"), [("one(row", "two(row"), ("def users", "def people")])
def test_another_line_or_function_is_new(tmp_path: Path, old: str, new: str) -> None:
    known = baseline.read(_known(tmp_path, _at(9)))
    left = baseline.compared(result(tmp_path, [_at(9)], SOURCE.replace(old, new)), known)
    assert (len(left.new), left.gone) == (1, 1)


def test_the_file_is_sorted_and_the_same_each_time(tmp_path: Path) -> None:
    first = _known(tmp_path, _at(9), _at(3), _at(8)).read_bytes()
    assert first == _known(tmp_path, _at(8), _at(9), _at(3)).read_bytes()


def test_the_digest_of_a_password_line_does_not_depend_on_the_password(tmp_path: Path) -> None:
    texts = []
    for password in ("hunter2", "letmein"):
        made = result(tmp_path, [_at(11)], SOURCE + f"connect(password='{password}')\n")
        texts.append(baseline.written(made))
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "findings": [{}]}', "[" * 100_000]
)
def test_what_is_no_baseline_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "audit.json"
    path.write_text(text)
    with pytest.raises(CommandError, match=r"^[^\n]*--write-baseline[^\n]*$"):
        baseline.read(path)


def test_a_missing_baseline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        baseline.read(tmp_path / "none.json")
