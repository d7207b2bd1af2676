"""Texts that are put together from constants."""

from __future__ import annotations

import ast

import pytest

from scripts.fix.loops.folding import folded, text


@pytest.mark.parametrize(
    ("code", "becomes"),
    [
        ("'SELECT ' + 'a'", "SELECT a"),
        ("'%s = %%s AND %d' % ('a', 2)", "a = %s AND 2"),
        ("'{} {0}'.format('a')", "a a"),
        ("'{{{name}}}'.format(name='b')", "{b}"),
        ("', '.join(['a', 'b', ''])", "a, b, "),
        ("f'x'", "x"),
        ("' a '.strip()", "a"),
        ("sql.SQL('SELECT {}').format(sql.Identifier('a\"b'))", None),
        ("'SELECT {}'.format(sql.Identifier('a\"b'))", 'SELECT "a""b"'),
        ("'{:>9}'.format('a')", None),
        ("'%s %s' % ('a',)", None),
        ("'%(a)s' % {'a': 1}", None),
        ("'a' + name", None),
        ("f'{name}'", None),
        ("'a' * 1000", None),
    ],
)
def test_only_plain_placeholders_of_constants_are_filled_in(code: str, becomes: str | None) -> None:
    assert text(folded(ast.parse(code, mode="eval").body)) == becomes


def test_lengths_and_small_sums_are_numbers() -> None:
    assert ast.unparse(folded(ast.parse("len([a, b])", mode="eval").body)) == "2"
    assert ast.unparse(folded(ast.parse("3 - 1", mode="eval").body)) == "2"
    assert text(folded(ast.parse("'%s, ' * 2", mode="eval").body)) == "%s, %s, "
