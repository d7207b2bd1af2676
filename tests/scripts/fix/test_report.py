"""What is said, beside the diff."""

from __future__ import annotations

import json

from scripts.fix.fixer import Change, Context, Edit, Fixer, Left
from scripts.fix.report import Report, document, shown, text
from scripts.fix.result import Result

from .fixing import fixed_by

APP = "from flask import Flask\napp = Flask(__name__)\napp.debug = True\n"
SECRET = "Sup3r-x9"


def _result(answer: Change | None = None, reason: str = "why", suggestion: str = "") -> Result:
    def fix(context: Context) -> list[Change | Left]:
        found = context.of("debug-on")
        return [answer] if answer and found else [Left(each, reason, suggestion) for each in found]

    return fixed_by((Fixer(("debug-on",), "t", 1, ("x",), fix),), {"app.py": APP}, "debug-on").result


def test_secrets_in_a_suggestion_or_a_reason_are_hidden() -> None:
    result = _result(
        reason=f'it has password="{SECRET}"', suggestion=f'connect(host="h", password="{SECRET}")\nx = 1'
    )
    for made in (text(Report(result)), document(Report(result))):
        assert SECRET not in made and "***" in made
        assert "x = 1" in made


def test_what_a_terminal_would_obey_is_taken_out() -> None:
    assert shown("a\x1b[31mb\tc") == "a [31mb c"


def test_a_suggestion_stands_below_its_reason() -> None:
    assert "    app.py:3 why\n        | a = 1\n        |   b\n" in text(Report(_result(suggestion="a = 1\n  b")))


def test_lines_are_those_of_the_files_as_they_are_now() -> None:
    """Before they are written those of before, and afterwards those of afterwards."""

    def fix(context: Context) -> list[Change | Left]:
        source = context.source("app.py")
        found = context.of("debug-on")
        if "x = 1" in source.text:
            return [Left(each, "why") for each in found]
        return [Change((each,), each.place, "t", (Edit("app.py", 0, 0, "x = 1\n"),)) for each in found]

    result = fixed_by((Fixer(("debug-on",), "t", 1, ("x",), fix),), {"app.py": APP}, "debug-on").result
    assert "left alone:\n  debug-on (H402): 1\n    app.py:3 why" in text(Report(result))
    assert "left alone:\n  debug-on (H402): 1\n    app.py:4 why" in text(Report(result, is_written=True))
    lines = [json.loads(document(Report(result, written)))["left"][0]["line"] for written in (False, True)]
    assert lines == [3, 4]


def test_nothing_to_fix_says_so() -> None:
    assert text(Report(_result())).endswith("\nnothing to fix; 1 left alone\n")
