"""What keeps the number of a query's rows small: a LIMIT, one owner, one key, a list of keys, a window of time.

Judged by the statement's shape, not by any table's size. If it is wrong, lists of one user's things are reported,
or whole tables are not.
"""

from __future__ import annotations

import re

from ..sql.select import EQUAL, Filter, Select

_KEY = re.compile(r"(?:^|_)(?:u?uid|id|pk|key|code|slug)$|[a-z]Id$", re.IGNORECASE)
_BELOW, _ABOVE = ("<", "<="), (">", ">=")
GIVEN = ("placeholder", "hole")


def is_bounded(select: Select) -> bool:
    """Whether something in a query bounds its rows."""
    if select.has_limit or select.is_one_row:
        return True
    if select.arms:
        return all(is_bounded(arm) for arm in select.arms)
    if not select.tables and select.sources:
        return _is_picked(select, (select,)) or all(is_bounded(each) for each in select.sources)
    return is_chosen(select)


def is_chosen(select: Select, above: tuple[Select, ...] = ()) -> bool:
    """Whether a condition picks one owner's or one key's rows, here or in what it is joined with.

    Args:
        above: What is being looked at: a recursive WITH leads back to it, and says nothing new there.
    """
    if any(each is select for each in above):
        return False
    above = (*above, select)
    if _is_picked(select, above):
        return True
    inner = [*select.sources, *select.exists]
    return any(is_chosen(each, above) or each.has_limit for each in inner) or (
        bool(select.arms) and all(is_chosen(each, above) for each in select.arms)
    )


def _is_picked(select: Select, above: tuple[Select, ...]) -> bool:
    """Whether its own conditions pick one owner's or one key's rows, or a window of time."""
    required = [each for each in select.filters if not each.is_optional and not each.is_outer]
    if any(_picks(each, above) for each in required) or _is_window(required):
        return True
    sides = [each for each in select.filters if each.is_optional and not each.is_outer]
    return bool(sides) and not select.has_unknown_filter and all(_picks(each, above) for each in sides)


def _picks(each: Filter, above: tuple[Select, ...]) -> bool:
    if each.operator not in EQUAL:
        return False
    if each.by == "select":
        inner = each.inner
        return inner is not None and (
            is_chosen(inner, above) or inner.has_limit or (inner.is_one_row and _is_key(each))
        )
    if each.by == "literal":
        return each.operator == "=" and _is_key(each)
    return True


def _is_key(each: Filter) -> bool:
    return bool(_KEY.search(each.column.name))


def _is_window(filters: list[Filter]) -> bool:
    """Whether a column is held from both sides, or from some time ago until now."""
    below = {each.column for each in filters if each.operator in _BELOW}
    above = {each.column for each in filters if each.operator in _ABOVE}
    recent = any(each.by == "past" and each.operator in _ABOVE for each in filters)
    return recent or bool(below & above) or any(each.operator == "between" for each in filters)


def is_search(select: Select) -> bool:
    """Whether its rows are what matches a pattern that is given."""
    return any(
        each.operator in ("like", "ilike", "~", "~*", "@@", "%") and each.by in GIVEN for each in select.filters
    )
