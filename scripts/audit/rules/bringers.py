"""Who brings a statement to the helper that runs it.

A helper `run(sql)` has the statements of all its callers, since the model keeps no context; a rule that asks when
one of them runs has to go by its callers. If this is wrong, a rule takes one caller's statement for another's.
"""

from __future__ import annotations

from ..model.code import Call
from ..model.values import Text


def brought_by(call: Call, text: Text) -> list[Call]:
    """Return the calls that a text comes in with: those of the helpers that pass it on, else the call itself."""
    found: dict[Call, None] = {}
    seen = {call}
    todo = [call]
    while todo:
        each = todo.pop(0)
        givers = [giver for giver in each.function.callers if _gives(giver, text)]
        if not givers:
            found[each] = None
        for giver in givers:
            if giver not in seen:
                seen.add(giver)
                todo.append(giver)
    return list(found) or [call]


def _gives(call: Call, text: Text) -> bool:
    return any(text in values for values in (*call.arguments, *call.keywords.values()))
