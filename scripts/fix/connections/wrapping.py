"""Puts statements into a `try:`: their lines move in by one step, and nothing within them changes.

Lines that begin inside of a string stay where they are, or the string would be another. If this is wrong, a text
that the app sends or stores gets more spaces.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ..fixer import Edit
from ..source import Source


def is_plain(source: Source, block: Sequence[ast.stmt]) -> bool:
    """Whether each statement has its lines for itself: no `a(); b()`, no `if x: a()`, no line carried on."""
    return all(_is_alone(source, node) for node in block)


def _is_alone(source: Source, node: ast.stmt) -> bool:
    start, end = source.span(node)
    top = source.line_start(_top(node))
    behind = source.text[end : source.line_start((node.end_lineno or node.lineno) + 1)].strip()
    before = source.text[top:start].strip() if _top(node) == node.lineno else ""
    is_carried = source.text[:top].rstrip("\r\n").endswith("\\")
    return not before and not is_carried and (not behind or behind.startswith("#"))


def wrapped(source: Source, block: Sequence[ast.stmt]) -> list[Edit]:
    """Return the edits that put statements, with the comments between them, under a `try:`."""
    first, last = _top(block[0]), block[-1].end_lineno or block[-1].lineno
    at = source.line_start(first)
    indent = source.indent(block[0])
    inside = _inside_strings(source)
    edits = [Edit(source.path, at, at, f"{indent}try:\n{source.step}")]
    for line in range(first + 1, last + 1):
        text = source.line(line)
        if text.strip() and line not in inside and (text.startswith(indent) or not text.lstrip().startswith("#")):
            at = source.line_start(line)
            edits.append(Edit(source.path, at, at, source.step))
    return edits


def line_behind(source: Source, node: ast.stmt, text: str) -> Edit:
    """Return the edit that puts lines behind a statement; they end without a line end."""
    at = source.line_start((node.end_lineno or node.lineno) + 1)
    if source.text[at - 1] not in "\r\n":
        return Edit(source.path, at, at, f"\n{text}")
    return Edit(source.path, at, at, f"{text}\n")


def _top(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


@lru_cache(maxsize=8)
def _inside_strings(source: Source) -> frozenset[int]:
    """Return the lines that begin inside of a string."""
    return frozenset(_lines(source.text))


def _lines(text: str) -> Iterator[int]:
    opened: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(text, newline="").readline):
        kind = tokenize.tok_name[token.type]
        if kind == "STRING":
            yield from range(token.start[0] + 1, token.end[0] + 1)
        elif kind in ("FSTRING_START", "TSTRING_START"):
            opened.append(token.start[0])
        elif kind in ("FSTRING_END", "TSTRING_END"):
            yield from range(opened.pop() + 1, token.end[0] + 1)
