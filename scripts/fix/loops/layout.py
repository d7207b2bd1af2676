"""How the wrapped header looks: on one line where it fits, else in black's layout, in the file's quotes.

If this is wrong, the diff is ugly; what it means is checked by parsing it.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass

from ..source import Source
from .heads import NAME

WIDEST = 100
NARROWEST = 88
_SIMPLE = re.compile(r"'[^'\"\\]*'")


@dataclass(frozen=True)
class Pair:
    """A statement as the header names it, and its values."""

    sql: str
    values: str

    @property
    def text(self) -> str:
        """The pair on one line."""
        return f"({self.sql}, {self.values})"


def width(source: Source) -> int:
    """Return how long a file's lines may be: as long as the author has them, within what is usual."""
    longest = max((len(each) for each in source.text.splitlines()), default=0)
    return WIDEST if longest > NARROWEST else NARROWEST


def wrapped(source: Source, rows: ast.expr, pairs: Sequence[Pair]) -> tuple[str, str]:
    """Return what comes before and behind the rows in a header."""
    start, end = source.span(rows)
    text = source.text[start:end]
    opening, closing = ("(", ")") if isinstance(rows, ast.Tuple) and not text.startswith("(") else ("", "")
    one_line = f", {', '.join(each.text for each in pairs)})"
    if len(pairs) == 1 and _fits(source, rows, len(f"{NAME}({opening}{closing}") + len(one_line)):
        return f"{NAME}({opening}", f"{closing}{one_line}"
    indent = source.indent(rows)
    inner = indent + source.step
    lines = "".join(f"\n{_laid_out(each, inner, source)}," for each in pairs)
    return f"{NAME}(\n{inner}{opening}", f"{closing},{lines}\n{indent})"


def _fits(source: Source, rows: ast.expr, more: int) -> bool:
    if rows.lineno != rows.end_lineno:
        return False
    line = source.line(rows.lineno)
    code = line[: line.index(":", rows.col_offset) + 1] if ":" in line[rows.col_offset :] else line
    return len(code) + more <= width(source)


def _laid_out(pair: Pair, indent: str, source: Source) -> str:
    if len(indent) + len(pair.text) + 1 <= width(source):
        return f"{indent}{pair.text}"
    inner = indent + source.step
    return f"{indent}(\n{inner}{pair.sql},\n{inner}{pair.values},\n{indent})"


def code(node: ast.expr, source: Source) -> str:
    """Return an expression as text, with the file's quotes."""
    found = ast.unparse(node)
    if quote(source) == "'":
        return found
    made = found
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(found).readline))):
        if token.type == tokenize.STRING and _SIMPLE.fullmatch(token.string):
            start, end = token.start[1], token.end[1]
            made = f'{made[:start]}"{token.string[1:-1]}"{made[end:]}'
    return made


def quote(source: Source) -> str:
    """Return the quotes that a file uses more."""
    return "'" if source.text.count("'") > source.text.count('"') else '"'


def literal(sql: str, source: Source) -> str:
    """Return a text as a literal on one line."""
    mark = quote(source)
    other = '"' if mark == "'" else "'"
    if "\\" in sql or not sql.isprintable() or (mark in sql and other in sql):
        return repr(sql)
    chosen = other if mark in sql else mark
    return f"{chosen}{sql}{chosen}"


def definition(name: str, sql: str, source: Source) -> str:
    """Return the lines that give a long text a name."""
    marks = '"""' if '"""' not in sql and not sql.endswith('"') else "'''"
    lines = sql.split("\n")
    if len(lines) > 1 and marks not in sql and "\\" not in sql and all(_is_plain(each) for each in lines):
        return f"{name} = {marks}{sql}{marks}\n"
    one = f"{name} = {literal(sql, source)}\n"
    if len(one) <= width(source):
        return one
    step = source.step
    pieces = "".join(f"{step}{literal(each, source)}\n" for each in _pieces(sql, width(source) - len(step) - 4))
    return f"{name} = (\n{pieces})\n"


def _is_plain(line: str) -> bool:
    return line.replace("\t", " ").isprintable()


def _pieces(sql: str, longest: int) -> list[str]:
    """Cut a text at its spaces."""
    found = [""]
    for word in re.split(r"(?<= )", sql):
        if len(found[-1]) + len(word) > longest and found[-1]:
            found.append("")
        found[-1] += word
    return found
