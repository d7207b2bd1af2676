"""Statements of one function, in their order: which names hold what after each of them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import bindings, containers, definitions, facts
from .branching import Names, breaks, is_builtin, is_main, joined
from .carried import carried
from .code import Call, Function, Loop, Store
from .containers import elements, provenance, turned
from .evaluate import Evaluator
from .heap import Slot, bounded
from .values import (
    NOTHING,
    ClassValue,
    Container,
    External,
    FunctionValue,
    Instance,
    ModuleValue,
    Site,
    Values,
)

if TYPE_CHECKING:
    from .interpreter import Interpreter


class Frame:
    """One look at one function.

    Attributes:
        names: What its own names hold at the point that is looked at.
        loops: The loops around that point.
        calls: By node: what is known of each call, the last look counts.
    """

    def __init__(self, interpreter: Interpreter, function: Function) -> None:
        self.interpreter = interpreter
        self.heap = interpreter.heap
        self.function = function
        self.module = function.module
        self.names: Names = {}
        self.loops: list[Loop] = []
        self.calls: dict[ast.expr, Call] = {}
        self.all_loops: dict[ast.AST, Loop] = {}
        self.stores: dict[ast.AST, Store] = {}
        self.is_guarded = False
        self.own_class: ClassValue | None = None
        self.evaluate = Evaluator(self)
        self.shares = function in interpreter.has_inner

    def run(self) -> None:
        """Look at it; what is found goes into the function and the heap."""
        node = self.function.node
        self._bind_parameters()
        if isinstance(node, ast.Lambda):
            self.returned(self.evaluate(node.body))
        else:
            self.block(node.body)
        self.interpreter.repeated[self.function] = self.evaluate.calling.repeated
        self.function.calls = list(self.calls.values())
        self.function.loops = list(self.all_loops.values())
        self.function.stores = list(self.stores.values())
        self.function.returns = self.heap.read(("return", self.function))

    def site(self, node: ast.AST | None) -> Site:
        """Return where a node is."""
        return Site(self.module.path, getattr(node, "lineno", 1), getattr(node, "col_offset", 0))

    def returned(self, values: Values) -> None:
        """Note what the function returns."""
        self.heap.add(("return", self.function), values)

    def _bind_parameters(self) -> None:
        owner = self.interpreter.owner(self.function)
        for index, name in enumerate(self.function.parameters):
            values = self.heap.read(("parameter", self.function, name), self.function)
            if index == 0:
                values |= owner
            self.bind(name, values)

    # Names

    def bind(self, name: str, values: Values) -> None:
        """Let a name hold values from here on; in the body of a class, an attribute."""
        values = bounded(values)
        if self.own_class is not None:
            self.names[name] = values
            self.heap.add(("attribute", self.own_class.cls, name), values)
            return
        if name in self.function.globals and not self.function.is_module:
            self.heap.add(self._outer_slot(name), values)
            return
        self.names[name] = values
        if self.function.is_module:
            self.heap.add(("global", self.module, name), values)
        elif self.shares:
            self.heap.add(("local", self.function, name), values)

    def _outer_slot(self, name: str) -> Slot:
        parent = self.function.parent
        while parent is not None and not parent.is_module:
            if self.heap.knows(("local", parent, name)):
                return ("local", parent, name)
            parent = parent.parent
        return ("global", self.module, name)

    def look_up(self, name: str) -> Values | None:
        """Return what a name holds here; None for one that nothing is known of."""
        if name in self.names:
            return self.names[name]
        parent = self.function.parent
        while parent is not None and not parent.is_module:
            values = self.heap.read(("local", parent, name), self.function)
            if self.heap.knows(("local", parent, name)):
                return values
            parent = parent.parent
        values = self.heap.read(("global", self.module, name), self.function)
        if values or self.heap.knows(("global", self.module, name)):
            return values
        for each in self.heap.read(("stars", self.module), self.function):
            if isinstance(each, ModuleValue):
                values |= self.heap.read(("global", each.module, name), self.function)
            elif isinstance(each, External) and not name.startswith("_") and not is_builtin(name):
                values |= (
                    {External(f"{each.path}.{name}")}
                    if each.path in ("flask", "psycopg2", "psycopg2.extras", "time")
                    else NOTHING
                )
        return values or None

    # Statements

    def block(self, body: Sequence[ast.stmt]) -> bool:
        """Run statements; says whether what follows them is reached."""
        return all(self.statement(statement) for statement in body)

    def statement(self, node: ast.stmt) -> bool:
        """Run one statement; says whether what follows it is reached."""
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.evaluate(child)
            return True
        return method(node) is not False

    def _expr(self, node: ast.Expr) -> None:
        self.evaluate(node.value)

    def _return(self, node: ast.Return) -> bool:
        if node.value is not None:
            self.returned(self.evaluate(node.value))
        return False

    def _raise(self, node: ast.Raise) -> bool:
        for each in filter(None, [node.exc, node.cause]):
            self.evaluate(each)
        return False

    def _break(self, node: ast.Break) -> bool:
        return False

    def _continue(self, node: ast.Continue) -> bool:
        return False

    def _assign(self, node: ast.Assign) -> None:
        values = self.evaluate(node.value)
        for target in node.targets:
            self.assign(target, values, node.value)

    def _annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value), node.value)

    def _augassign(self, node: ast.AugAssign) -> None:
        # Names, attributes and elements are read the same way whatever their context says.
        values = self.evaluate.binary(self.evaluate(node.target), node.op, self.evaluate(node.value), node)
        self.assign(node.target, values, node.value)

    def assign(self, target: ast.AST, values: Values, source: ast.AST) -> None:
        """Assign to a name, an attribute, an element or several of them."""
        if isinstance(target, ast.Name):
            self.bind(target.id, values)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, containers.listed(self, source, values), source)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for index, each in enumerate(target.elts):
                if isinstance(each, ast.Starred):
                    self.assign(each, values, source)
                else:
                    self.assign(each, containers.at_index(self, values, index), source)
        elif isinstance(target, ast.Attribute):
            self._store(target, self.evaluate(target.value), target.attr, values)
        elif isinstance(target, ast.Subscript):
            self._store_item(target, values)

    def _store(self, node: ast.Attribute, owner: Values, name: str, values: Values) -> None:
        self.stores[node] = Store(node, self.function, owner, name, values, False, self.is_guarded)
        for value in owner:
            if isinstance(value, (Instance, ClassValue)):
                self.heap.add(("attribute", value.cls, name), values)
            elif isinstance(value, ModuleValue):
                self.heap.add(("global", value.module, name), values)
            elif isinstance(value, External):
                self.heap.add(("outside", facts.canonical(value.path), name), values)

    def _store_item(self, node: ast.Subscript, values: Values) -> None:
        owner = self.evaluate(node.value)
        keys = self.evaluate(node.slice)
        name = containers.key(keys)
        shown = name if isinstance(name, str) else ""
        self.stores[node] = Store(node, self.function, owner, shown, values, True, self.is_guarded)
        for value in owner:
            if isinstance(value, Container):
                containers.put(self, value, values, name)
                containers.put_keys(self, value, keys)
            elif isinstance(value, External):
                self.heap.add(("outside", value.path, f"[{shown}]"), values)

    # Branches

    def _if(self, node: ast.If) -> bool:
        self.evaluate(node.test)
        before, guarded = dict(self.names), self.is_guarded
        self.is_guarded = guarded or is_main(node.test)
        is_reached = self.block(node.body)
        after, self.names, self.is_guarded = self.names, before, guarded
        other = self.block(node.orelse)
        if is_reached and other:
            self.names = joined(after, self.names)
        elif is_reached:
            self.names = after
        return is_reached or other

    def _for(self, node: ast.For) -> None:
        source = self.evaluate(node.iter)
        loop = self.enter(node, node.iter, source)
        for _ in range(self._turns()):
            before = dict(self.names)
            self.assign(node.target, elements(self, source, node.iter), node.iter)
            self.block(node.body)
            self.names = joined(before, self.names)
            if not self._carries(node, [node.target], before):
                break
        self.leave(loop)
        self.block(node.orelse)

    _asyncfor = _for

    def _while(self, node: ast.While) -> None:
        loop = self.enter(node, node.test, NOTHING)
        for _ in range(self._turns()):
            before = dict(self.names)
            self.evaluate(node.test)
            self.block(node.body)
            tests = [node.test, *breaks(node.body)]
            loop.source = NOTHING.union(*(self._tested(test) for test in tests))
            loop.behind = provenance(self, loop.source)
            self.names = joined(before, self.names)
            if not self._carries(node, [], before):
                break
        self.leave(loop)
        self.block(node.orelse)

    def _carries(self, node: ast.For | ast.While, targets: list[ast.AST], before: Names) -> bool:
        """Whether a turn has left something to the next that this one did not have."""
        known = self.interpreter.carried
        if node not in known:
            test = [ast.Expr(node.test)] if isinstance(node, ast.While) else []
            known[node] = carried(targets, [*test, *node.body])
        return any(self.names.get(name) != before.get(name) for name in known[node])

    def _turns(self) -> int:
        """Return how often a loop's body is looked at: what one turn leaves to the next has to be seen."""
        return 2 if len(self.loops) <= 3 else 1

    def _tested(self, test: ast.expr) -> Values:
        """Return what a condition depends on."""
        found: Values = self.evaluate(test)
        for each in ast.walk(test):
            if isinstance(each, ast.Name):
                found |= self.names.get(each.id, NOTHING)
        return found

    def enter(self, node: ast.AST, header: ast.expr, source: Values) -> Loop:
        """Begin a loop."""
        loop = Loop(node, self.function, header, source, turned(self, source))  # type: ignore[arg-type]
        self.all_loops[node] = loop
        self.loops.append(loop)
        return loop

    def leave(self, loop: Loop) -> None:
        """End a loop."""
        self.loops.remove(loop)

    def _with(self, node: ast.With) -> bool:
        for item in node.items:
            values = self.evaluate(item.context_expr)
            entered = self.evaluate.entered(values, item.context_expr)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, entered, item.context_expr)
        return self.block(node.body)

    _asyncwith = _with

    def _try(self, node: ast.Try) -> bool:
        before = dict(self.names)
        is_reached = self.block(node.body)
        is_reached = is_reached and self.block(node.orelse)
        after = self.names
        start = joined(before, after)
        for handler in node.handlers:
            self.names = dict(start)
            if handler.type is not None:
                self.evaluate(handler.type)
            if handler.name:
                self.bind(handler.name, NOTHING)
            if self.block(handler.body):
                after = joined(after, self.names) if is_reached else self.names
                is_reached = True
        self.names = after if is_reached else start
        ends = not self.block(node.finalbody)
        return is_reached and not ends

    _trystar = _try

    def _match(self, node: ast.Match) -> None:
        subject = self.evaluate(node.subject)
        before, after = dict(self.names), dict(self.names)
        for case in node.cases:
            self.names = dict(before)
            for each in ast.walk(case.pattern):
                name = getattr(each, "name", None)
                if isinstance(name, str):
                    self.bind(name, subject | elements(self, subject, node.subject))
            if case.guard is not None:
                self.evaluate(case.guard)
            if self.block(case.body):
                after = joined(after, self.names)
        self.names = after

    # Definitions

    def _functiondef(self, node: ast.FunctionDef) -> None:
        function = self.interpreter.functions[node]
        definitions.note_defaults(self, function, node.args)
        values: Values = frozenset([FunctionValue(function)])
        for decorator in reversed(node.decorator_list):
            values = self.evaluate.decorated(decorator, function, values)
        self.bind(node.name, values)

    _asyncfunctiondef = _functiondef

    def _classdef(self, node: ast.ClassDef) -> None:
        cls = self.interpreter.classes[node]
        definitions.note_bases(self, cls, node)
        for decorator in node.decorator_list:
            self.evaluate.calling.decorated_class(decorator, cls)
        outer, names = self.own_class, dict(self.names)
        self.own_class = ClassValue(cls)
        self.block(node.body)
        self.own_class, self.names = outer, names
        self.bind(node.name, frozenset([ClassValue(cls)]))

    # Imports

    def _import(self, node: ast.Import) -> None:
        bindings.bind_modules(self, node)

    def _importfrom(self, node: ast.ImportFrom) -> None:
        bindings.bind_names(self, node)

    def _global(self, node: ast.Global) -> None:
        return None

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, (ast.Subscript, ast.Attribute)):
                self.evaluate(target.value)
