"""From a text that is put together to the edits that bind its values.

All of a statement is bound or nothing. PostgreSQL's grammar has to take the statement with placeholders; what it
does not take has a name, a direction or a clause where a value was thought to be. If this is wrong, a fixed
statement asks for something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..fixer import Edit
from .bound import bare, elements, escapes, is_number, quoted, unescaped
from .literals import Item, Unreadable, Value
from .positions import COLUMN, EQUAL, LIST, positions
from .quoting import Group, groups
from .template import Template

_PLACEHOLDER = re.compile(r"%(?:%|s|\((?P<name>\w+)\)s)")
NO_VALUE = "a table, a column, ASC/DESC or a clause is put in, which cannot be bound"


@dataclass(frozen=True)
class Bound:
    """A statement whose values are bound.

    Attributes:
        edits: Of the text itself.
        values: The source of what is bound, in the order of the placeholders; those that the call gave already are
            among them.
        is_plain: Whether a value without quotes around it went in that may be a string.
        is_doubtful: Whether one went in where '007' or '9.99' may be something else than the number.
    """

    edits: tuple[Edit, ...]
    values: tuple[str, ...]
    is_plain: bool
    is_doubtful: bool


@dataclass(frozen=True)
class Knowledge:
    """What is known of values beyond their text.

    Attributes:
        is_text, is_number: Whether a value is one for certain.
    """

    is_text: Callable[[Value], bool]
    is_number: Callable[[Value], bool]


def rewritten(path: str, made: Template, given: Sequence[str], known: Knowledge) -> Bound:
    """Return what binds a text's values.

    Args:
        given: What the call binds already.

    Raises:
        Unreadable: Something in it cannot be bound; nothing is then.
    """
    found = [_widened(made.items, each) for each in groups(made.items)]
    where = positions(_sample(made.items, found, bool(given)))
    if where is None:
        raise Unreadable(NO_VALUE)
    numbers = iter(range(1, len(found) + 1))
    bound, is_plain, is_doubtful = [], False, False
    for each in found:
        number = next(numbers)
        if each.is_quoted:
            bound.append(_quoted(made, each, bool(given), known))
            continue
        text, is_open = _bare(made.items, each, where.get(number, ""), known)
        is_plain = is_plain or is_open
        is_doubtful = is_doubtful or (is_open and where.get(number) == COLUMN)
        bound.append(text)
    values = _in_order(made.items, found, bound, given)
    return Bound(tuple(_edits(path, made, found, bool(given))), values, is_plain, is_doubtful)


def _widened(items: Sequence[Item], group: Group) -> Group:
    """Take the parentheses of `IN (...)` around a joined list along: a tuple brings its own."""
    value = items[group.first].value
    if value is None or not elements(value):
        return group
    first, last = group.first - 1, group.last + 1
    while first >= 0 and items[first].char.isspace():
        first -= 1
    while last < len(items) and items[last].char.isspace():
        last += 1
    if first < 0 or last >= len(items) or (items[first].char, items[last].char) != ("(", ")"):
        raise Unreadable("a joined list stands outside of `IN (...)`")
    return Group(first, last, is_quoted=False)


def _sample(items: Sequence[Item], found: Sequence[Group], has_more: bool) -> str:
    """Return the statement as PostgreSQL's grammar may read it: `$1` for a bare value, `'x'` for a quoted one."""
    made, at = "", 0
    for number, group in enumerate(found, 1):
        made += _text(items[at : group.first], has_more)
        is_list = not group.is_quoted and group.last > group.first
        made += "'x'" if group.is_quoted else f"(${number})" if is_list else f"${number}"
        at = group.last + 1
    return made + _text(items[at:], has_more)


def _text(items: Sequence[Item], has_more: bool) -> str:
    text = "".join(item.char for item in items)
    return _PLACEHOLDER.sub(lambda match: "%" if match[0] == "%%" else "NULL", text) if has_more else text


def _bare(items: Sequence[Item], group: Group, where: str, known: Knowledge) -> tuple[str, bool]:
    """Return what is bound for a value without quotes, and whether it may be a string."""
    if not where:
        raise Unreadable(NO_VALUE)
    if group.last > group.first:
        inner = next(item.value for item in items[group.first : group.last + 1] if item.value)
        if where != LIST:
            raise Unreadable("a joined list stands outside of `IN (...)`")
        return elements(inner), True
    value = items[group.first].value
    if value is None or escapes(value.node):
        raise Unreadable("a value is escaped by hand; bind it as it is, without that")
    if value.kind == "number" or is_number(value) or known.is_number(value):
        return bare(value), False
    if where == LIST:
        raise Unreadable("the value in `IN (...)` may be a list joined by commas; bind `IN %s` and a tuple")
    if where not in (COLUMN, EQUAL):
        raise Unreadable("a value stands where its type matters and is not known; convert it with `int()` first")
    return bare(value), True


def _quoted(made: Template, group: Group, has_more: bool, known: Knowledge) -> str:
    inside = group.inside(made.items)
    if has_more and any(item.char == "%" for item in inside):
        raise Unreadable("a string with % in it stands beside parameters")
    for item in inside:
        if item.value:
            unescaped(item.value)
    return quoted(inside, made.mark, known.is_text)


def _in_order(
    items: Sequence[Item], found: Sequence[Group], bound: Sequence[str], given: Sequence[str]
) -> tuple[str, ...]:
    """Put what the call gives already among the new values, by the order of the text."""
    if not given:
        return tuple(bound)
    left = list(given)
    made: list[str] = []
    at = 0
    for group, value in zip(found, bound, strict=True):
        made.extend(_taken(items[at : group.first], left))
        made.append(value)
        at = group.last + 1
    made.extend(_taken(items[at:], left))
    if left:
        raise Unreadable("the text has fewer placeholders than values are given")
    return tuple(made)


def _taken(items: Sequence[Item], left: list[str]) -> list[str]:
    marks = [each for each in _PLACEHOLDER.finditer("".join(item.char for item in items)) if each[0] != "%%"]
    if any(each["name"] for each in marks) or len(marks) > len(left):
        raise Unreadable("values are given by name already; give these by name as well")
    taken = left[: len(marks)]
    del left[: len(marks)]
    return taken


def _edits(path: str, made: Template, found: Sequence[Group], has_more: bool) -> list[Edit]:
    dropped = {index for group in found for index in range(group.first, group.last + 1)}
    gone = {item.start for index, item in enumerate(made.items) if index in dropped and item.char}
    edits = [each for each in made.edits if each.start not in gone]
    for group in found:
        inside = made.items[group.first : group.last + 1]
        tails = [item.tail for item in inside if item.tail]
        if len(tails) > 1:
            raise Unreadable("a quoted string is put together over several lines")
        edits.append(Edit(path, inside[0].start, inside[-1].end, "%s" + "".join(tails)))
    for index, item in enumerate(made.items):
        if item.char == "%" and index not in dropped and not has_more:
            edits.extend(_doubled(path, item))
    return edits


def _doubled(path: str, item: Item) -> list[Edit]:
    """Return the edit that doubles a literal %; it is doubled already where `%` took its values."""
    if item.end - item.start > 2:
        raise Unreadable("a % is written as an escape")
    return [Edit(path, item.start, item.start, "%")] if item.end - item.start == 1 else []
