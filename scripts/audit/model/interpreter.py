"""Looks at every function again and again until nothing new is found: what each call is, and what flows where.

An abstract interpreter: names have sets of values (values.py) in place of values, branches are both taken, loops
run twice, and what is shared between functions lies in a heap whose slots only grow (heap.py). A function is
looked at again when a slot that it has read has grown. Context is not kept: a helper that many call has the
arguments of all of them, which is why rules go by the call site where that matters.

Nothing is executed. After an andersen-style points-to analysis (L. O. Andersen, 1994), with flow kept inside a
function.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from .code import Call, Class, Function
from .containers import provenance
from .flow import Frame
from .heap import Heap
from .imports import Imports
from .project import Broken, Project
from .text import UNSEEN
from .values import NOTHING, ClassValue, Connection, Cursor, Data, Instance, Site, Value, Values

ROUNDS = 9  # for one function; then its callers keep what is known


class Interpreter:
    """The state of one run.

    Attributes:
        constants: What each constant of the source is, made once.
        carried: For each loop that was looked at, the names that a turn may have from the one before.
        repeated: What the calls of a function are given that rules about repetition ask for.
        shifts: For a decorated function, how many arguments its wrapper puts before those of the caller.
        classes: The project's classes by their node.
        children: The project's classes that inherit from each, directly or not.
        functions: The project's functions by their node.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.heap = Heap()
        self.imports = Imports(project.modules)
        self.constants: dict[ast.Constant, Values] = {}
        self.carried: dict[ast.AST, frozenset[str]] = {}
        self.repeated: dict[Function, dict[ast.expr, Values]] = {}
        self.shifts: dict[Function, int] = {}
        self.functions: dict[ast.AST, Function] = {}
        self.classes: dict[ast.AST, Class] = {}
        for module in project.modules:
            self.functions.update((function.node, function) for function in module.functions)
            self.classes.update((cls.node, cls) for cls in module.classes)
        self.children: dict[Class, list[Class]] = {}
        self.has_inner = {function.parent for function in self.functions.values() if function.parent is not None}

    def run(self, say: Callable[[int, int], None] | None = None) -> None:
        """Interpret the project."""
        mentioned: set[str] = set().union(*(module.mentions for module in self.project.modules))
        # What modules define is known before anybody uses it: fewer functions are looked at twice.
        self._settle({module.body: None for module in self.project.modules}, None)
        for function in self.project.functions():
            if _is_uncalled(function, mentioned):
                self._seed(function)
        self._settle({function: None for function in self.project.functions() if not function.is_module}, say)
        seeded = {function for function in self.project.functions() if self._seed(function)}
        again = seeded | self.heap.forget(UNSEEN)
        self._settle({function: None for function in self.project.functions() if function in again}, None)
        self._link()

    def _settle(self, todo: dict[Function, None], say: Callable[[int, int], None] | None) -> None:
        rounds: dict[Function, int] = {}
        total = len(todo)
        while todo:
            function = next(iter(todo))
            del todo[function]
            rounds[function] = rounds.get(function, 0) + 1
            self._look_at(function)
            for grown in self.heap.grown:
                if rounds.get(grown, 0) < ROUNDS:
                    todo[grown] = None
            self.heap.grown.clear()
            if say:
                say(min(len(rounds), total), total)

    def _look_at(self, function: Function) -> None:
        self.heap.writer = function
        try:
            Frame(self, function).run()
        except RecursionError:
            broken = Broken(
                function.path, getattr(function.node, "lineno", 1), 1, "is nested too deeply to be followed"
            )
            if broken not in self.project.broken:
                self.project.broken.append(broken)

    def _seed(self, function: Function) -> bool:
        """Give parameters a value where nobody in the project does; says whether there were any."""
        where = getattr(function.node, "lineno", 1)
        skipped = 1 if function.cls is not None and function.parameters else 0
        seeded = False
        self.heap.writer = None
        if function.routes or isinstance(function.node, ast.Module):
            return False
        for name in function.parameters[skipped:]:
            if not self.heap.read(("parameter", function, name)) - self.defaults(function, name):
                self.heap.add(
                    ("parameter", function, name), [Data("parameter", "value", Site(function.path, where, 0))]
                )
                seeded = True
        self.heap.grown.clear()
        return seeded

    def defaults(self, function: Function, name: str) -> Values:
        """Return what a parameter is when it is not given."""
        return self.heap.read(("default", function, name))

    def owner(self, function: Function) -> Values:
        """Return what the first parameter of a method is bound to."""
        if function.cls is None or isinstance(function.node, (ast.Module, ast.Lambda)):
            return NOTHING
        names = {each.id for each in function.node.decorator_list if isinstance(each, ast.Name)}
        if "staticmethod" in names:
            return NOTHING
        return frozenset([ClassValue(function.cls) if "classmethod" in names else Instance(function.cls)])

    def _link(self) -> None:
        """Fill what can be known at the end only: who calls whom."""
        for function in self.project.functions():
            function.calls.sort(key=_position)
            function.returns = _known(function.returns)
            self._note_given(function)
            for call in function.calls:
                call.receiver, call.result = _known(call.receiver), _known(call.result)
                for callee in call.callees:
                    callee.callers.append(call)

    def _note_given(self, function: Function) -> None:
        """Note what comes from outside in the arguments of calls that are repeated."""
        frame, repeated = Frame(self, function), self.repeated.get(function, {})
        for call in function.calls:
            if call.node in repeated:
                call.given = provenance(frame, repeated[call.node])


def _is_uncalled(function: Function, mentioned: set[str]) -> bool:
    """Whether it can be told from names alone that nobody in the project gives a function anything."""
    if isinstance(function.node, (ast.Module, ast.Lambda)) or function.node.decorator_list:
        return False
    return not function.name.startswith("__") and function.name not in mentioned


def _position(call: Call) -> tuple[int, int, int]:
    node = call.node
    return node.end_lineno or node.lineno, node.end_col_offset or 0, -node.col_offset


def _known(values: Values) -> Values:
    """Drop what was only guessed from a method's name, before it was known what the object is."""
    if len(values) < 2:
        return values
    guesses = {value for value in values if _is_guess(value)}
    kinds = {type(value) for value in values if value not in guesses}
    return frozenset(value for value in values if value not in guesses or type(value) not in kinds)


def _is_guess(value: Value) -> bool:
    connection = value.connection if isinstance(value, Cursor) else value
    if connection is None:
        return True
    return isinstance(connection, Connection) and not connection.driver and not connection.pool
