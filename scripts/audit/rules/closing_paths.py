"""Follows every way through a function's statements, to see in which of them a connection stays open.

Knows statements only; what acquires, releases or raises is asked of `Acts`. A loop's body counts as run any number
of times. If this is wrong, leaks are missed or closed connections are reported.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from .expression_names import walk_own

States = frozenset[str]  # of "none" (not acquired yet), "open", "closed"; "returned" to the caller
NEVER: States = frozenset()
DATABASE, OTHER = "raise database", "raise other"
RAISES = (DATABASE, OTHER)
CATCH_ALL = frozenset({"", "Exception", "BaseException"})
CATCH_DATABASE = frozenset({"Error", "DatabaseError", "PsycopgError", "DBError"})
DEEPEST = 60  # nested statements
MOST = 20_000  # statements looked at in one function; nested loops and `finally`s multiply


class Acts(Protocol):
    """What expressions do to the connection."""

    def acquires(self, node: ast.AST) -> bool:
        """Whether the connection is acquired in here."""

    def releases(self, node: ast.AST) -> bool:
        """Whether it is closed or given back in here, or handed to something that will."""

    def returns(self, node: ast.Return) -> bool:
        """Whether it is what this returns."""

    def raises(self, node: ast.AST) -> Iterable[str]:
        """Return which of `RAISES` can come out of here."""

    def is_there(self, test: ast.expr) -> bool | None:
        """Whether a condition holds just when there is a connection: True, False for the opposite, None for"
        " neither."""

    def is_lasting(self, item: ast.withitem) -> bool:
        """Whether the end of this `with` releases it."""


@dataclass
class Exits:
    """How a block is left: "fall", "return", "break", "continue" and `RAISES`, each with the states then."""

    states: dict[str, States] = field(default_factory=dict)

    def add(self, kind: str, states: States) -> None:
        """Take up one more way out."""
        if states:
            self.states[kind] = self.states.get(kind, NEVER) | states

    def merge(self, other: Exits, *, without: tuple[str, ...] = ()) -> None:
        """Take up another block's ways out."""
        for kind, states in other.states.items():
            if kind not in without:
                self.add(kind, states)

    def get(self, *kinds: str) -> States:
        """Return the states of some ways out."""
        return NEVER.union(*(self.states.get(kind, NEVER) for kind in kinds))


class Paths:
    """The ways through one function."""

    def __init__(self, acts: Acts) -> None:
        self._acts = acts
        self._depth = 0
        self._left = MOST

    def run(self, body: Iterable[ast.stmt], states: States) -> Exits:
        """Follow a block."""
        exits = Exits()
        self._depth += 1
        for statement in body if self._depth < DEEPEST else ():
            if not states or self._left < 0:
                break
            self._left -= 1
            found = self._statement(statement, states)
            exits.merge(found, without=("fall",))
            states = found.get("fall")
        self._depth -= 1
        exits.add("fall", states)
        return exits

    def _statement(self, node: ast.stmt, states: States) -> Exits:
        method: Callable[[ast.stmt, States], Exits] | None = getattr(self, f"_{type(node).__name__.lower()}", None)
        return method(node, states) if method else self._plain(node, states)

    def _plain(self, node: ast.AST, states: States) -> Exits:
        """Follow a statement, or an expression of one, that holds no others."""
        exits = Exits()
        if self._acts.releases(node):
            exits.add("fall", frozenset("closed" if state == "open" else state for state in states))
            return exits
        for kind in self._acts.raises(node):
            exits.add(kind, states)
        exits.add("fall", frozenset(["open"]) if self._acts.acquires(node) else states)
        return exits

    def _functiondef(self, node: ast.stmt, states: States) -> Exits:
        exits = Exits()
        closes = self._acts.releases(node)
        exits.add("fall", frozenset("closed" if closes and state == "open" else state for state in states))
        return exits

    _asyncfunctiondef = _classdef = _functiondef

    def _return(self, node: ast.Return, states: States) -> Exits:
        exits = self._plain(node.value, states) if node.value else Exits({"fall": states})
        left = exits.states.pop("fall", NEVER)
        if self._acts.returns(node):
            left = frozenset("returned" if state == "open" else state for state in left)
        exits.add("return", left)
        return exits

    def _raise(self, node: ast.Raise, states: States) -> Exits:
        is_again = node.exc is None
        return Exits(dict.fromkeys(RAISES if is_again else (OTHER,), states))

    def _break(self, node: ast.stmt, states: States) -> Exits:
        return Exits({"break": states})

    def _continue(self, node: ast.stmt, states: States) -> Exits:
        return Exits({"continue": states})

    def _if(self, node: ast.If, states: States) -> Exits:
        exits = self._plain(node.test, states)
        states = exits.states.pop("fall", NEVER)
        yes, no = self._split(node.test, states)
        exits.merge(self.run(node.body, yes))
        exits.merge(self.run(node.orelse, no))
        return exits

    def _split(self, test: ast.expr, states: States) -> tuple[States, States]:
        """Return the states in which a condition can hold, and those in which it can fail."""
        there = self._acts.is_there(test)
        if there is None:
            always = isinstance(test, ast.Constant) and bool(test.value)
            return states, NEVER if always else states
        with_it, without = states - {"none"}, states & {"none", "closed"}
        return (with_it, without) if there else (without, with_it)

    def _while(self, node: ast.While, states: States) -> Exits:
        return self._loop(node, node.test, states)

    def _for(self, node: ast.For, states: States) -> Exits:
        return self._loop(node, node.iter, states)

    _asyncfor = _for

    def _loop(self, node: ast.While | ast.For, header: ast.expr, states: States) -> Exits:
        exits = self._plain(header, states)
        states = exits.states.pop("fall", NEVER)
        inside = Exits()
        for _ in range(3):
            inside = self.run(node.body, states)
            states |= inside.get("fall", "continue")
        exits.merge(inside, without=("fall", "continue", "break"))
        endless = isinstance(node, ast.While) and isinstance(header, ast.Constant) and bool(header.value)
        if not endless:
            exits.merge(self.run(node.orelse, states))
        exits.add("fall", inside.get("break"))
        return exits

    def _with(self, node: ast.With, states: States) -> Exits:
        exits = Exits()
        lasting = False
        for item in node.items:
            found = self._plain(item.context_expr, states)
            exits.merge(found, without=("fall",))
            states = found.get("fall")
            lasting = lasting or self._acts.is_lasting(item)
        inside = self.run(node.body, states)
        if any(_swallows(item) for item in node.items):
            inside.add("fall", inside.get(*RAISES))
            inside = Exits({kind: found for kind, found in inside.states.items() if kind not in RAISES})
        for kind, left in inside.states.items():
            exits.add(
                kind, frozenset("closed" if state == "open" else state for state in left) if lasting else left
            )
        return exits

    _asyncwith = _with

    def _try(self, node: ast.Try, states: States) -> Exits:
        body = self.run(node.body, states)
        exits = Exits()
        exits.merge(body, without=("fall", *RAISES))
        exits.merge(self.run(node.orelse, body.get("fall")))
        left = {kind: body.get(kind) for kind in RAISES}
        for handler in node.handlers:
            caught = {kind: left[kind] for kind in RAISES if _catches(handler, kind) is not False}
            exits.merge(self.run(handler.body, NEVER.union(*caught.values())))
            for kind in RAISES:
                if _catches(handler, kind):
                    left[kind] = NEVER
        for kind, found in left.items():
            exits.add(kind, found)
        return self._finally(node.finalbody, exits) if node.finalbody else exits

    _trystar = _try

    def _finally(self, body: list[ast.stmt], before: Exits) -> Exits:
        """Run a `finally` on every way out."""
        exits = Exits()
        for kind, states in before.states.items():
            found = self.run(body, states)
            exits.merge(found, without=("fall",))
            exits.add(kind, found.get("fall"))
        return exits

    def _match(self, node: ast.stmt, states: States) -> Exits:
        exits = Exits({"fall": states})
        for case in getattr(node, "cases", ()):
            exits.merge(self.run(case.body, states))
        return exits


def _swallows(item: ast.withitem) -> bool:
    call = item.context_expr
    return isinstance(call, ast.Call) and "suppress" in ast.dump(call.func)[:200]


def _catches(handler: ast.ExceptHandler, kind: str) -> bool | None:
    """Whether a handler catches a kind of exception; None for some of them."""
    names = set(_caught(handler))
    if names & CATCH_ALL:
        return True
    if kind == DATABASE and names & CATCH_DATABASE:
        return True
    return None


def _caught(handler: ast.ExceptHandler) -> Iterator[str]:
    if handler.type is None:
        yield ""
        return
    for node in walk_own(handler.type):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
