"""The text for terminals: excerpts, underlines, what a stranger's code may not do to a terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from scripts.audit.finding import Place
from scripts.audit.report import text

from ..made import FOUND, SOURCE, report


def test_a_finding_stands_with_its_source_evidence_other_places_and_help(tmp_path: Path) -> None:
    shown = text.render(report(tmp_path))
    assert shown.startswith(
        "H201 n-plus-one [high] a statement for each row: one() runs `SELECT 1`\n"
        " --> app.py:9:16\n"
        '9 |         name = one(row, "<script>alert(1)</script>")\n'
        "  |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  = the rows come from here:\n"
        " --> app.py:8:16\n"
        "8 |     for row in rows():\n"
        "  |                ------\n"
        "  = and 2 more places: app.py:10, app.py:3\n"
        "  = on the way of: GET /users/<int:id>\n"
        "  = help: Ask once.\n"
        "  = gain: 1 + N statements -> 2\n"
    )
    assert "1. n-plus-one (H201, high): 1 finding, 1 route, first app.py:9; readiness 87 -> 100" in shown
    assert "1 finding (1 high) in 1 file, 10 lines; readiness 87 of 100" in shown


def test_nothing_found_is_said(tmp_path: Path) -> None:
    assert text.render(report(tmp_path, ())) == "nothing found in 1 file, 10 lines; readiness 100 of 100\n"


def test_control_characters_of_the_code_reach_no_terminal(tmp_path: Path) -> None:
    found = replace(FOUND, message="\x1b[2J", place=Place("app.py", 11, 1))
    shown = text.render(report(tmp_path, [found], SOURCE + 'x = "\x1b]0;title\x07"\n'))
    assert "\x1b" not in shown and "\x07" not in shown


def test_wide_letters_are_underlined_by_two_columns(tmp_path: Path) -> None:
    found = replace(FOUND, place=Place("app.py", 11, 5, 11, 9), evidence=())
    shown = text.render(report(tmp_path, [found], SOURCE + "x = '日本'\n"))
    assert "11 | x = '日本'\n   |     ^^^^^^\n" in shown


def test_a_line_with_a_password_is_shown_without_it(tmp_path: Path) -> None:
    found = replace(FOUND, place=Place("app.py", 11, 1))
    shown = text.render(report(tmp_path, [found], SOURCE + "conn = connect(password='hunter2')\n"))
    assert "hunter2" not in shown and "connect(" in shown


def test_a_finding_beyond_the_file_or_without_one_is_shown_without_source(tmp_path: Path) -> None:
    found = [replace(FOUND, place=Place("gone.py", 7)), replace(FOUND, place=Place("app.py", 700))]
    shown = text.render(report(tmp_path, found))
    assert "--> gone.py:7:1" in shown and "--> app.py:700:1" in shown


def test_colours_change_nothing_but_the_colours(tmp_path: Path) -> None:
    made = report(tmp_path)
    assert re.sub(r"\x1b\[[\d;]*m", "", text.render(made, text.coloured)) == text.render(made)
