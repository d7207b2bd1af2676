"""The statements that a call of a loop gets to, each with the calls on the way, so that its values can be said.

If this is wrong, a statement of the loop is not announced, or a branch that never runs is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from ...audit.model.code import Call, Function
from ...audit.model.project import STATEMENTS, Project
from ...audit.rules.branches import UNKNOWN, is_open
from .arguments import arguments, bind
from .reader import Reader
from .terms import Frame, Object, Unknown, stored

DEEPEST = 6  # calls on the way
MOST = 200  # statements and calls looked at for one call of the loop


@dataclass(frozen=True)
class Sending:
    """A statement as one way through the code sends it.

    Attributes:
        start: The call in the loop.
        frame: The function that `call`, the execute, is in.
    """

    start: Call
    call: Call
    frame: Frame


def sendings(project: Project, reader: Reader, call: Call) -> list[Sending]:
    """Return the statements that a call of the loop sends."""
    found: list[Sending] = []
    count = 0
    todo: list[tuple[Call, Frame]] = [(call, reader.root)]
    while todo and count < MOST:
        each, frame = todo.pop(0)
        count += 1
        if each.does in STATEMENTS:
            found.append(Sending(call, each, frame))
        elif frame.depth < DEEPEST:
            todo[:0] = list(_inside(project, reader, each, frame))
    return found


def _inside(project: Project, reader: Reader, call: Call, frame: Frame) -> Iterator[tuple[Call, Frame]]:
    for callee in call.callees:
        if frame.has(callee) or not project.reach.calls(callee, *STATEMENTS):
            continue
        for inner in frames(reader, call, callee, frame):
            branches = _decided(inner)
            for each in inner.function.calls:
                is_handing_on = inner.function is not callee and callee in each.callees
                if is_handing_on or not project.reach.behind(each, *STATEMENTS):
                    continue
                if is_open(inner.function, each.node, branches):
                    yield each, inner


def frames(reader: Reader, call: Call, callee: Function, frame: Frame) -> list[Frame]:
    """Return the frames of a function that a call runs, and of what its decorators put around it."""
    try:
        if not callee.wrappers:
            return [reader.entered(call, callee, frame)]
        passed = arguments(reader, call, frame)
        around = []
        for wrapper in callee.wrappers:
            outer = Frame(wrapper, bind(reader, wrapper, passed, frame), frame)
            around.append(outer)
            inner = _handed_on(wrapper)
            if inner is not None:
                passed = arguments(reader, inner, outer)
        return [*around, Frame(callee, bind(reader, callee, passed, frame), frame)]
    except Unknown as reason:
        return [Frame(callee, dict.fromkeys(callee.parameters, reason), frame)]


def _handed_on(wrapper: Function) -> Call | None:
    """Return the call of the decorated function in a decorator's wrapper."""
    names = set(wrapper.parent.parameters[:1]) if wrapper.parent is not None else set()
    own = (call for call in wrapper.calls if getattr(getattr(call.node, "func", None), "id", "") in names)
    return next(own, None)


def _decided(frame: Frame) -> dict[str, object]:
    """Return a function's parameters as branches are decided by them."""
    written = set(stored(frame.function.node))
    found: dict[str, object] = {}
    for name, value in frame.given.items():
        if name in written:
            continue
        if isinstance(value, ast.Constant):
            found[name] = value.value
        elif isinstance(value, (ast.expr, Object)):
            found[name] = UNKNOWN
    return found
