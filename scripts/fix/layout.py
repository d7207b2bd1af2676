"""How a file is laid out: its quotes, indented blocks, and where statements begin and end.

For fixers that move or wrap statements. If this is wrong, an edit changes a string that reaches over lines.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Sequence

from ..audit.finding import Place
from ..audit.model.code import Module
from .fixer import Edit
from .source import Source


def quote(source: Source) -> str:
    """Return the quote that most of the file's strings have; the double one when there is no telling."""
    counts = {"'": 0, '"': 0}
    try:
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
            text = token.string.lstrip("rRbBuUfF")
            if token.type == tokenize.STRING and text[:3] not in ('"""', "'''"):
                counts[text[0]] += 1
    except (tokenize.TokenError, SyntaxError):
        pass  # for a newer Python: a few strings say enough
    return "'" if counts["'"] > counts['"'] else '"'


def quoted(source: Source, text: str) -> str:
    """Return a name or a short text as a literal in the file's quotes; it has no quotes and no backslashes."""
    mark = quote(source)
    return f"{mark}{text}{mark}"


def indented(source: Source, first: int, last: int, step: str = "") -> list[Edit]:
    """Return the edits that indent whole lines by one level; empty lines and the insides of strings stay.

    Args:
        first, last: Lines, from 1, inclusive.
        step: What is put in front; one level of the file when empty.
    """
    inside = {
        line for node in ast.walk(source.tree) if isinstance(node, (ast.Constant, ast.JoinedStr))
        if isinstance(node, ast.JoinedStr) or isinstance(node.value, (str, bytes))
        for line in range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)
    }  # fmt: skip
    starts = [source.line_start(line) for line in range(first, last + 1)
              if line not in inside and source.line(line).strip()]  # fmt: skip
    return [Edit(source.path, start, start, step or source.step) for start in starts]


def has_own_lines(source: Source, node: ast.stmt) -> bool:
    """Whether a statement shares its lines with no other: nothing before it, and nothing but a comment behind."""
    start, end = source.span(node)
    before = source.text[source.line_start(node.lineno) : start]
    behind = source.text[end : source.line_start((node.end_lineno or node.lineno) + 1)].strip()
    is_carried = source.line(node.lineno - 1).endswith("\\") if node.lineno > 1 else False
    return not before.strip() and not is_carried and (not behind or behind.startswith("#"))


def block_of(module: Module, statement: ast.stmt) -> Sequence[ast.stmt]:
    """Return the statements among which one stands."""
    parent = module.parents[statement]
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and statement in block:
            return block
    return [statement]


def expression_at(module: Module, place: Place) -> ast.expr | None:
    """Return the outermost expression that a place stands for, of the audit's tree."""
    found = (node for node in ast.walk(module.tree) if isinstance(node, ast.expr) and module.place(node) == place)
    return next(found, None)
