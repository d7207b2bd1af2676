"""The order of a list, as declared: `"-starts_at, name NULLS FIRST, id"`.

A list that is read page by page needs a total order, or rows of equal rank change places between two pages: so a
unique key ends every order. Knows nothing of statements or cursors. If this is wrong, pages repeat or skip rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from .errors import NodeError
from .sqltext import Token, code, excerpt, rendered, scan

MOST_COLUMNS = 8  # each nullable one doubles the forms that the statement of a later page can have
_TAIL = re.compile(r"(?:\s+(?P<way>asc|desc))?(?:\s+nulls\s+(?P<nulls>first|last))?$", re.IGNORECASE)


@dataclass(frozen=True)
class SortColumn:
    """One column of an order.

    Attributes:
        expression: SQL over the columns of the list's SELECT.
        descending: whether large values come first.
        nulls_first: whether NULLs come before all values.
        nullable: whether there can be any.
    """

    expression: str
    descending: bool = False
    nulls_first: bool = False
    nullable: bool = True

    def reversed(self) -> SortColumn:
        """Return the same column, read backwards."""
        return replace(self, descending=not self.descending, nulls_first=not self.nulls_first)

    def clause(self, expression: str) -> str:
        """Return the item of ORDER BY that sorts an expression as this column is sorted."""
        # PostgreSQL's default is written as nothing: then an index made by its default fits.
        nulls = "" if self.nulls_first == self.descending else f" NULLS {'FIRST' if self.nulls_first else 'LAST'}"
        return f"{expression}{' DESC' if self.descending else ''}{nulls}"


def parse_order(order: str, key: str, not_null: Iterable[str] = ()) -> tuple[SortColumn, ...]:
    """Read the declaration of an order.

    Args:
        order: columns or expressions with commas between; `-` in front or DESC behind turns one around, NULLS
            FIRST and NULLS LAST move its NULLs; else NULLs stand where PostgreSQL puts them, which is last, and
            first where descending.
        key: the columns that are unique and never NULL together, with commas between. Those that `order` does
            not name are put behind it, in its last column's direction: an index for one direction serves all.
        not_null: expressions of `order` that are never NULL; each saves a part of the statement.

    Raises:
        NodeError: no column, too many, one twice, a constant, or `not_null` names none of them.
    """
    columns = [_column(text) for text in _items(order)]
    keys = [_column(text) for text in _items(key)]
    if not keys:
        raise NodeError("key is empty; name the columns that are unique, as in key='id'")
    ways = columns[-1] if columns else keys[0]
    named = [column.expression for column in columns]
    for column in keys:
        if column.expression not in named:
            columns.append(replace(column, descending=ways.descending, nulls_first=ways.descending))
    _check([column.expression for column in columns], set(not_null))
    never_null = {*not_null, *(column.expression for column in keys)}
    return tuple(replace(column, nullable=column.expression not in never_null) for column in columns)


def _check(expressions: list[str], not_null: set[str]) -> None:
    for expression in sorted({each for each in expressions if expressions.count(each) > 1}):
        raise NodeError(f"the order names {expression!r} twice; once is enough")
    if len(expressions) > MOST_COLUMNS:
        raise NodeError(f"an order of {len(expressions)} columns with its key; {MOST_COLUMNS} at most")
    for expression in sorted(not_null - set(expressions)):
        raise NodeError(f"not_null names {expression!r}, which is not in the order: {', '.join(expressions)}")


def _items(text: str) -> list[str]:
    return [item for item in map(str.strip, _split(scan(text))) if item] if text.strip() else []


def _split(tokens: list[Token]) -> Iterator[str]:
    """Yield what stands between the commas outside of parentheses."""
    item: list[Token] = []
    for token in tokens:
        if token.kind == "hole" or token.is_mark(";"):
            raise NodeError("an order is columns and expressions with commas between, no {holes} and no ;")
        if token.is_mark(",") and not token.depth:
            yield "".join(rendered(item))
            item = []
        else:
            item.append(token)
    yield "".join(rendered(item))


def _column(text: str) -> SortColumn:
    tail = _TAIL.search(text)
    assert tail is not None  # it matches the empty end
    expression = text[: tail.start()].strip()
    minus = expression.startswith("-")
    if minus and tail["way"]:
        raise NodeError(f"{text!r} has a direction in front and one behind; write -column or column DESC")
    expression = expression[1:].strip() if minus else expression
    _refuse_constant(expression, text)
    descending = minus or (tail["way"] or "").lower() == "desc"
    nulls_first = tail["nulls"].lower() == "first" if tail["nulls"] else descending
    return SortColumn(expression, descending, nulls_first)


def _refuse_constant(expression: str, text: str) -> None:
    """Refuse what has no name in it: ORDER BY 1 is a position in SQL, and would be a constant here."""
    if not any(token.kind in ("word", "name") for token in code(scan(expression))):
        raise NodeError(f"{excerpt(text)!r} is no column; name a column of the SELECT, or an expression over some")
