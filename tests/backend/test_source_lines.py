"""What stands in a file about a line: statements, comments, loops; and nothing where there is nothing to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.source_lines import Source, source_of

TEXT = '''@route(
    "/x",  # on the decorator
)
def profile(cur):
    # above
    cur.execute(
        """SELECT
        # in a text, harden: no comment
        """,  # at the end
    )
    for row in cur.fetchall():
        load(row)
        def later():
            load(row)
        if row:
            load(
                row)
    while more():
        pass
    found = [
        load(row)
        for row in rows()
        if fits(row)
    ]
    match found:
        case []:
            load(1)
    return [(row, 1) for row in found]
    # harden: is in here
'''


@pytest.mark.parametrize(
    ("line", "span"),
    [(2, (1, 5)), (6, (6, 10)), (8, (6, 10)), (11, (11, 11)), (12, (12, 12)), (16, (16, 17)), (18, (18, 18)),
     (21, (20, 24)), (27, (27, 27)), (99, (99, 99))],
)  # fmt: skip
def test_a_line_s_statement_is_the_smallest_and_of_a_compound_one_the_head(
    line: int, span: tuple[int, int]
) -> None:
    assert Source(TEXT).statement(line) == span


def test_a_line_runs_again_within_its_own_function_only() -> None:
    again = [number for number in range(1, len(TEXT.splitlines()) + 1) if Source(TEXT).is_in_loop(number)]
    assert again == [12, 15, 16, 17, 18, 19, 21, 23]


def test_comments_are_those_of_the_statement_and_right_above_it() -> None:
    source = Source(TEXT)
    assert list(source.comments_on(7)) == ["# at the end", " # above"]
    assert list(source.comments_on(1)) == ["# on the decorator", " # above"]
    assert list(source.comments_on(12)) == []


@pytest.mark.parametrize("text", ["", "def f(:", "\0", "{% for x in y %}", "x = '\ud800'", "(" * 5000])
def test_what_is_no_python_has_nothing_to_say(text: str) -> None:
    source = Source(text)
    assert (source.statement(3), source.is_in_loop(3), list(source.comments_on(3))) == ((3, 3), False, [])


def test_a_file_that_is_not_there_has_nothing_to_say(tmp_path: Path) -> None:
    assert not source_of(str(tmp_path / "gone.py")).spans
    assert not source_of("").spans


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.integers(-5, 300))
def test_no_text_makes_it_fail(text: str, line: int) -> None:
    source = Source(text + "\n# harden: x")
    first, last = source.statement(line)
    assert first <= line <= last
    list(source.comments_on(line))
    source.is_in_loop(line)
