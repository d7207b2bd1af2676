"""Calls of Python's builtins: what they make of what they are given."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from . import containers, text
from .code import Loop
from .values import (
    NOTHING,
    Builtin,
    ClassValue,
    Constant,
    Container,
    Data,
    External,
    Instance,
    Values,
    constants,
)

if TYPE_CHECKING:
    from .calling import Arguments, Calling, Outcome
    from .flow import Frame

NUMBERS = ("int", "float", "bool", "round", "abs", "complex", "ord", "hash", "id")
LISTS = ("list", "tuple", "set", "sorted", "reversed", "iter", "frozenset")


class Builtins:
    """Evaluates calls of builtins in one frame."""

    def __init__(self, frame: Frame, calling: Calling) -> None:
        self.frame = frame
        self.calling = calling

    def call(self, name: str, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
        """Call a builtin."""
        frame, first = self.frame, given.get(0)
        if name in NUMBERS:
            outcome.add(_numbers(first, text.hole(first, frame.site(node)).sources, frame.site(node)))
        elif name == "len":
            outcome.add(
                frozenset(Data(each.source, "number", each.site) for each in containers.provenance(frame, first))
            )
        elif name in LISTS:
            outcome.add(
                containers.listed(frame, node, first)
                if given.plain
                else containers.made(frame, node, name, NOTHING)
            )
        elif name in ("str", "repr", "next", "ascii", "format", "bytes", "vars", "dict"):
            self._through(name, node, given, outcome)
        elif name == "range":
            self._range(node, given, outcome)
        elif name == "enumerate":
            self._paired(node, [NOTHING, containers.elements(frame, first, node)], given.plain[:1], outcome)
        elif name == "zip":
            self._paired(
                node, [containers.elements(frame, each, node) for each in given.plain], given.plain, outcome
            )
        elif name in ("map", "filter"):
            self._map(node, given, outcome, keeps=name == "filter")
        elif name in ("min", "max", "sum"):
            outcome.add(
                containers.elements(frame, first, node) if len(given.plain) == 1 else NOTHING.union(*given.plain)
            )
        elif name in ("getattr", "setattr"):
            self._attribute(name, node, given, outcome)
        elif name == "open":
            outcome.result.add(Data("file", "row", frame.site(node)))
        elif name == "input":
            outcome.result.add(Data("terminal", "value", frame.site(node)))
        elif name == "super" and frame.function.cls is not None:
            outcome.add(frozenset(Instance(base) for base in frame.function.cls.bases))
            outcome.add(frozenset(External(f"{base}()") for base in frame.function.cls.external_bases))
        elif name == "type" and len(given.plain) == 1:
            outcome.add(frozenset(ClassValue(value.cls) for value in first if isinstance(value, Instance)))

    def _through(self, name: str, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
        first = given.get(0)
        if name == "next":
            outcome.add(containers.elements(self.frame, first, node) | given.get(1))
            return
        if name == "dict":
            made = containers.made(self.frame, node, "dict", NOTHING)
            for each in made:
                for key, values in given.named.items():
                    containers.put(self.frame, each, values, key)  # type: ignore[arg-type]
            kept = frozenset(value for value in first if isinstance(value, (Data, Container)))
            outcome.add(kept | (made if given.named or not kept else NOTHING))
            return
        outcome.add(frozenset(value for value in first if not isinstance(value, (Constant, Builtin))))
        numbers = [value for value in first if isinstance(value, Constant) and value.value is not None]
        outcome.add(frozenset(text.text(str(value.value)) for value in numbers))

    def _range(self, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
        behind = containers.provenance(self.frame, NOTHING.union(*given.plain) if given.plain else NOTHING)
        numbers = frozenset(Data(each.source, "number", each.site) for each in behind)
        made = containers.made(self.frame, node, "range", numbers or frozenset([Constant(0)]))
        for each in made:
            self.frame.heap.add(("in", each, containers.BEHIND), behind)
        outcome.add(made)

    def _paired(self, node: ast.Call, columns: list[Values], sources: list[Values], outcome: Outcome) -> None:
        """Return tuples of one element of each column."""
        pair = containers.made(self.frame, node, "tuple", NOTHING)
        made = containers.made(self.frame, node, "pairs", pair)
        for each in pair:
            for index, values in enumerate(columns):
                self.frame.heap.add(("in", each, index), values)
                self.frame.heap.add(("in", each, containers.ANY), values)
        for each in made:
            for values in sources:
                self.frame.heap.add(("in", each, containers.BEHIND), containers.provenance(self.frame, values))
        outcome.add(made)

    def _map(self, node: ast.Call, given: Arguments, outcome: Outcome, *, keeps: bool) -> None:
        """Run a function per element: a loop without the word."""
        from .calling import Arguments, Outcome

        source = NOTHING.union(*given.plain[1:]) if len(given.plain) > 1 else NOTHING
        header = node.args[1] if len(node.args) > 1 else node
        loop: Loop = self.frame.enter(node, header, source)
        inner = Outcome()
        items = [containers.elements(self.frame, each, node) for each in given.plain[1:]]
        for value in given.get(0):
            self.calling.invoke(value, node, Arguments(items), inner)
        made = containers.made(self.frame, node, "map", NOTHING)
        for each in made:
            containers.put(self.frame, each, items[0] if keeps and items else frozenset(inner.result))  # type: ignore[arg-type]
        self.frame.leave(loop)
        outcome.callees.update(inner.callees)
        outcome.add(made)
        self.calling.in_loop[node] = loop

    def _attribute(self, name: str, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
        for attribute in sorted(each for each in constants(given.get(1)) if isinstance(each, str)):
            for value in given.get(0):
                if name == "getattr":
                    outcome.add(self.calling.evaluate.attribute(value, attribute, node))
                elif isinstance(value, External):
                    self.frame.heap.add(("outside", value.path, attribute), given.get(2))
                elif isinstance(value, (Instance, ClassValue)):
                    self.frame.heap.add(("attribute", value.cls, attribute), given.get(2))
        if name == "getattr":
            outcome.add(frozenset(value for value in given.get(2) if not isinstance(value, Constant)))


def _numbers(values: Values, sources: tuple[str, ...], site: object) -> Values:
    data = [value for value in values if isinstance(value, Data)]
    if data:
        return frozenset(Data(value.source, "number", value.site) for value in data)
    return frozenset(value for value in values if isinstance(value, Constant)) or frozenset([Constant(0)])
