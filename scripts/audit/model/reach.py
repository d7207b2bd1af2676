"""Who runs whom, from the ends: which routes get to a function, which calls a function gets to.

Everything is found once and kept; a project has to be interpreted before this is asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .code import Call, Function

if TYPE_CHECKING:
    from .project import Project


class Reach:
    """Answers of one project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._calls: dict[tuple[Function, tuple[str, ...]], tuple[Call, ...]] = {}
        self._routes: dict[Function, tuple[str, ...]] | None = None
        self._imports: set[Function] | None = None

    def calls(self, function: Function, *does: str) -> tuple[Call, ...]:
        """Return the calls that do one of these things and that running a function gets to, its own included."""
        key = (function, does)
        if key not in self._calls:
            self._calls[key] = tuple(
                call for each in self.closure([function]) for call in each.calls if call.does in does
            )
        return self._calls[key]

    def behind(self, call: Call, *does: str) -> tuple[Call, ...]:
        """Return the calls that do one of these things and that a call gets to: itself, or in its callees."""
        if call.does in does:
            return (call,)
        return tuple(dict.fromkeys(found for callee in call.callees for found in self.calls(callee, *does)))

    def closure(self, functions: Iterable[Function]) -> list[Function]:
        """Return functions and all that they run, the nearest first."""
        found = dict.fromkeys(functions)
        todo = deque(found)
        while todo:
            function = todo.popleft()
            for callee in (*function.wrappers, *(each for call in function.calls for each in call.callees)):
                if callee not in found:
                    found[callee] = None
                    todo.append(callee)
        return list(found)

    def routes(self, function: Function) -> tuple[str, ...]:
        """Return the names of the routes that get to a function, sorted; hooks count as every route: "*"."""
        if self._routes is None:
            found: dict[Function, set[str]] = {}
            for start in self._project.functions():
                names = [route.name for route in start.routes] + ["*"] * bool(start.hooks)
                for name in names:
                    for each in self.closure([start]):
                        found.setdefault(each, set()).add(name)
            self._routes = {each: tuple(sorted(names)) for each, names in found.items()}
        return self._routes.get(function, ())

    def is_import_time(self, call: Call) -> bool:
        """Whether a call runs when its module is imported, directly or through functions."""
        if call.is_guarded:
            return False
        if self._imports is None:
            starts = [module.body for module in self._project.modules]
            found = dict.fromkeys(starts)
            todo = deque(found)
            while todo:
                for each in todo.popleft().calls:
                    for callee in () if each.is_guarded else each.callees:
                        if callee not in found:
                            found[callee] = None
                            todo.append(callee)
            self._imports = set(found)
        return call.function in self._imports
