"""Statements that run again and again: the loops whose calls get to a query, and functions that run one and then
themselves with what it returned. Grouped by loop; which rule reports one is for the rules to say.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..finding import Confidence, Place
from ..model.code import Call, Function, Loop
from ..model.project import STATEMENTS, Project
from .reached import Reached, is_cached, reached
from .turns import ROWS, Turns, turns


@dataclass
class Repeat:
    """A loop, or a recursion, and the calls in it that get to queries.

    Attributes:
        loop: None for a recursion.
        depth: How many loops of this kind lie around the calls, this one included.
    """

    function: Function
    loop: Loop | None
    turns: Turns
    calls: list[Call] = field(default_factory=list)
    queries: dict[Reached, None] = field(default_factory=dict)
    depth: int = 1

    @property
    def place(self) -> Place:
        """From the loop's header to the last of its calls."""
        module = self.function.module
        places = [call.place for call in self.calls]
        if self.loop is not None:
            node = self.loop.node
            head = node.target if isinstance(node, ast.comprehension) else node
            places.append(module.place(self.loop.header))
            start = module.place(head)
            places.append(Place(start.path, start.line, start.col))
        first, last = min(places), max(places, key=lambda each: (each.end_line, each.end_col))
        return Place(first.path, first.line, first.col, last.end_line, last.end_col)

    @property
    def is_cached(self) -> bool:
        """Whether what is called keeps its answers."""
        callees = [callee for call in self.calls for callee in call.callees]
        return bool(callees) and all(is_cached(callee) for callee in callees)


def repeats(project: Project) -> list[Repeat]:
    """Return every loop with a query in it, in the order of the source."""
    found: dict[Loop, Repeat] = {}
    for function in project.functions():
        for call in function.calls:
            if call.loops:
                _sort_in(project, call, found)
    return list(found.values())


def _sort_in(project: Project, call: Call, found: dict[Loop, Repeat]) -> None:
    """Put a call that gets to a query to its loop: the innermost over rows, else the innermost of all."""
    if not project.reach.behind(call, *STATEMENTS):
        return
    kinds = [(loop, kind) for loop in call.loops if (kind := turns(call, loop)) is not None]
    queries = reached(project, call) if kinds else []
    if not queries:
        return
    over_rows = [(loop, kind) for loop, kind in kinds if kind.over == ROWS]
    loop, kind = (over_rows or kinds)[-1]
    repeat = found.setdefault(loop, Repeat(call.function, loop, kind))
    repeat.calls.append(call)
    repeat.queries.update(dict.fromkeys(queries))
    repeat.depth = max(repeat.depth, len(over_rows or kinds))


def recursions(project: Project) -> Iterator[Repeat]:
    """Yield the functions that run a query and then themselves with something from its row, outside a loop."""
    for function in project.functions():
        calls = [call for call in function.calls if function in call.callees and not call.loops]
        if not calls:
            continue
        own = {fetch.function for fetch in project.reach.calls(function, "fetch")}
        fed = [call for call in calls if _is_fed(call, own)]
        queries = [each for call in fed for each in reached(project, call)]
        if fed and queries:
            turn = Turns(ROWS, Confidence.medium)
            yield Repeat(function, None, turn, fed, dict.fromkeys(queries))


def _is_fed(call: Call, functions: Iterable[Function]) -> bool:
    """Whether a call is given something that one of these functions fetched."""
    spans = [
        (each.path, each.node.lineno, each.node.end_lineno or each.node.lineno)
        for each in functions if not isinstance(each.node, ast.Module)
    ]  # fmt: skip
    return any(
        each.site.path == path and first <= each.site.line <= last
        for each in call.given if each.source == "row" and each.shape != "number"
        for path, first, last in spans
    )  # fmt: skip
