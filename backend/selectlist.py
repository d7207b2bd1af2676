"""Finds the parts of a SELECT that a nested query needs: its columns' names, its FROM clause.

Column names follow PostgreSQL's FigureColname (src/backend/parser/parse_target.c), as far as tokens can tell;
where they cannot, a name is unknown and nothing is said of it. Knows nothing of nodes or connections.
If this is wrong, a sound query is refused when the app starts.
"""

from __future__ import annotations

from typing import NamedTuple

from .errors import NodeError
from .sqltext import Token, code, excerpt

STARTS = ("select", "with", "values", "table")
WRITES = {"insert": "into", "delete": "from", "merge": "into"}
AFTER_LIST = (
    "from", "where", "group", "having", "window", "union", "intersect", "except", "order", "limit", "offset",
    "fetch", "for",
)  # fmt: skip
AFTER_FROM = AFTER_LIST[1:]
# Words that end an expression or stand between its parts; one of them before the last word: that is no alias.
_BETWEEN = (
    "and", "or", "not", "is", "in", "like", "ilike", "similar", "to", "between", "from", "distinct", "collate",
    "at", "time", "zone", "isnull", "notnull", "over", "operator", "when", "then", "else", "case", "any", "all",
    "some", "symmetric", "escape",
)  # fmt: skip
_OPERATOR_WORDS = ("and", "or", "not", "is", "in", "like", "ilike", "similar", "between", "isnull", "notnull")
_OPERATORS = "+-*/<>=~!@#%^&|?"
_CONSTANTS = ("null", "true", "false", "end", "default")
# Not named after themselves, or not calls at all.
_NO_CALLS = ("case", "cast", "array", "row", "trim", "extract", "overlay", "position", "normalize", "grouping")


class Select(NamedTuple):
    """One SELECT, split.

    Attributes:
        before: what precedes it, WITH as a rule.
        columns: the tokens of each column, without spaces.
        sources: the FROM clause without its first word; empty when there is none.
    """

    before: list[Token]
    columns: list[list[Token]]
    sources: list[Token]


def check_statement(tokens: list[Token], sql: str) -> None:
    """Refuse what is no single SELECT.

    Raises:
        NodeError: another statement, several, or none.
    """
    words = code(tokens)
    first = next((token for token in words if not token.is_mark("(")), None)
    if first is None or not first.is_word(*STARTS):
        begins = "is empty" if first is None else f"begins with {first.text[:20]!r}"
        raise NodeError(f"a nested query is one SELECT, and «{excerpt(sql)}» {begins}")
    for place, one in enumerate(words[:-1]):
        if one.is_mark("(") and _is_write(words[place + 1 : place + 3]):
            raise NodeError(f"{words[place + 1].text.upper()} inside «{excerpt(sql)}»: a nested query reads only")
        if one.is_mark(";"):
            raise NodeError(f"«{excerpt(sql)}» is more than one statement; a nested query is one SELECT")


def _is_write(begin: list[Token]) -> bool:
    """Tell whether a statement that writes begins so; a column may be called `update`."""
    if len(begin) < 2 or begin[0].kind != "word":
        return False
    if begin[0].is_word("update"):
        return begin[1].kind in ("word", "name") and not begin[1].is_word(*_BETWEEN)
    return begin[1].is_word(WRITES.get(begin[0].text.lower(), ""))


def split(tokens: list[Token]) -> Select | None:
    """Split a statement at its outermost SELECT; None where that is VALUES, TABLE, or in parentheses."""
    places = [place for place, token in enumerate(tokens) if token.kind != "space"]
    words = [tokens[place] for place in places]
    begin = _first(words, ("select",), 0)
    if begin is None:
        return None
    start = _skip_distinct(words, begin + 1)
    end = _first(words, AFTER_LIST, start) or len(words)
    sources: list[Token] = []
    if end < len(words) and words[end].is_word("from"):
        until = _first(words, AFTER_FROM, end + 1)
        sources = tokens[places[end] + 1 : places[until] if until else len(tokens)]
    return Select(tokens[: places[begin]], _items(words[start:end]), sources)


def is_in_list(words: list[Token], at: int) -> bool:
    """Tell whether the token at a place stands in a SELECT list itself: in no function, and in no later clause."""
    depth = words[at].depth
    for place in range(at - 1, -1, -1):
        if words[place].depth < depth:
            return False
        if words[place].depth == depth and _is_clause(words, place, ("select", *AFTER_LIST)):
            return words[place].is_word("select")
    return False


def column_name(column: list[Token]) -> str | None:
    """Return the name a column gets: "" when it gets none, None when that cannot be told.

    Args:
        column: its tokens, without spaces.
    """
    last = column[-1]
    if last.is_mark("*"):
        return None
    if last.kind in ("string", "number", "parameter"):
        return "" if len(column) == 1 or _has_operator(column) else None
    if len(column) == 1:
        return _single(last)
    before = column[-2]
    if last.kind in ("word", "name") and not last.is_word(*_CONSTANTS):
        if before.is_word("as"):
            return _folded(last)
        if before.is_mark("."):
            return _folded(last) if _is_chain(column) else ("" if _has_operator(column) else None)
        if not before.is_mark(*_OPERATORS, ":") and not before.is_word(*_BETWEEN):
            return _folded(last)
    if _has_operator(column):
        return ""
    is_call = column[0].kind in ("word", "name") and column[1].is_mark("(")
    return _folded(column[0]) if is_call and not column[0].is_word(*_NO_CALLS) else None


def _single(only: Token) -> str | None:
    if only.is_word("null"):
        return ""
    if only.kind == "hole":
        return only.text
    return _folded(only) if only.kind in ("word", "name") and not only.is_word(*_CONSTANTS) else None


def _folded(token: Token) -> str:
    """Return the name that a word or a quoted name stands for."""
    if token.kind == "word":
        return token.text.lower()
    return token.text[token.text.index('"') + 1 : -1].replace('""', '"').replace("%%", "%")


def _is_chain(column: list[Token]) -> bool:
    """Tell whether it is a column with its table, as in `a.b`."""
    return all(
        part.is_mark(".") if place % 2 else part.kind in ("word", "name") for place, part in enumerate(column)
    )


def _has_operator(column: list[Token]) -> bool:
    """Tell whether the whole is an operation, which has no name."""
    if column[0].is_word("case"):
        return False
    outer = min(token.depth for token in column)
    return any(
        token.depth == outer and (token.is_mark(*_OPERATORS, "%%") or token.is_word(*_OPERATOR_WORDS))
        for token in column
    )


def _first(words: list[Token], sought: tuple[str, ...], start: int) -> int | None:
    """Return where the first of these words stands outside of parentheses."""
    for place in range(start, len(words)):
        if not words[place].depth and _is_clause(words, place, sought):
            return place
    return None


def _is_clause(words: list[Token], place: int, sought: tuple[str, ...]) -> bool:
    """Tell whether one of these words begins its clause here, and is no column's name."""
    if not words[place].is_word(*sought):
        return False
    previous = words[place - 1] if place else words[place]
    return not previous.is_mark(".") and not previous.is_word("as") and not _is_compared(words, place)


def _is_compared(words: list[Token], place: int) -> bool:
    """Tell whether this is the FROM of IS [NOT] DISTINCT FROM."""
    if not words[place].is_word("from"):
        return False
    return place > 1 and words[place - 1].is_word("distinct") and words[place - 2].is_word("is", "not")


def _skip_distinct(words: list[Token], start: int) -> int:
    if start < len(words) and words[start].is_word("all"):
        return start + 1
    if start >= len(words) or not words[start].is_word("distinct"):
        return start
    if start + 1 >= len(words) or not words[start + 1].is_word("on"):
        return start + 1
    closing = (at for at in range(start + 2, len(words)) if words[at].is_mark(")") and not words[at].depth)
    return next(closing, start + 1) + 1


def _items(words: list[Token]) -> list[list[Token]]:
    """Split at the commas outside of parentheses."""
    items: list[list[Token]] = [[]]
    for token in words:
        if token.is_mark(",") and not token.depth:
            items.append([])
        else:
            items[-1].append(token)
    return [item for item in items if item]
