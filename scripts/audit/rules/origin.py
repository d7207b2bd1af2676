"""Which call brings a statement: through helpers like `query(sql)`, up to the call that passes the text.

A text is told from another's by where it is made. If this is wrong, a finding stands at the helper's execute
instead of at the call that a person would mend.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ..model.code import Call
from ..model.values import Text, Value, statements

DEEPEST = 6  # helpers around helpers


def origins(call: Call, text: Text) -> list[Call]:
    """Return the calls that pass a text to an execute, the farthest first called; the execute when none does."""
    found: dict[Call, None] = {}
    todo = [(call, 0)]
    seen = {call}
    while todo:
        each, depth = todo.pop(0)
        above = [caller for caller in each.function.callers if caller not in seen and _passes(caller, text)]
        if not above or depth == DEEPEST or text.site is None:
            found[each] = None
            continue
        seen.update(above)
        todo.extend((caller, depth + 1) for caller in above)
    return list(found)


def _passes(call: Call, text: Text) -> bool:
    return any(other.site == text.site for other in statements(_given(call)))


def _given(call: Call) -> Iterator[Value]:
    return chain.from_iterable([*call.arguments, *call.keywords.values()])


def by_origin(call: Call) -> dict[Call, list[Text]]:
    """Return the statements of an execute by the call that brings them."""
    found: dict[Call, list[Text]] = {}
    for text in statements(call.sql):
        for origin in origins(call, text):
            found.setdefault(origin, []).append(text)
    return found
