"""Calls: whom they run, what that gets and what it returns."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import containers, facts, outside, routes
from .builtin_calls import Builtins
from .code import Call, Class, Function, Loop
from .methods import Methods
from .values import (
    NOTHING,
    Bound,
    Builtin,
    ClassValue,
    Constant,
    Container,
    Data,
    External,
    FunctionValue,
    Instance,
    Value,
    Values,
)

if TYPE_CHECKING:
    from .evaluate import Evaluator
    from .flow import Frame

OF_CLASS = (Instance, ClassValue)


@dataclass
class Arguments:
    """What a call is given.

    Attributes:
        plain: The positional ones in order.
        starred: Their indices that are `*args`.
        named: By name.
        spread: What `**kwargs` is.
    """

    plain: list[Values] = field(default_factory=list)
    starred: list[int] = field(default_factory=list)
    named: dict[str, Values] = field(default_factory=dict)
    spread: Values = NOTHING

    def get(self, index: int, *names: str) -> Values:
        """Return one by position or by any of its names."""
        if 0 <= index < len(self.plain):
            return self.plain[index]
        return next((self.named[name] for name in names if name in self.named), NOTHING)

    def everything(self) -> list[Values]:
        """Return all of them."""
        return [*self.plain, *self.named.values(), self.spread]


@dataclass
class Outcome:
    """What a call does and returns, gathered from everything that can be called there."""

    does: str = ""
    target: str = ""
    sql: Values = NOTHING
    result: set[Value] = field(default_factory=set)
    callees: dict[Function, None] = field(default_factory=dict)

    def add(self, values: Values) -> None:
        """Take up what can be returned."""
        self.result.update(values)


class Calling:
    """Evaluates the calls of one frame."""

    def __init__(self, frame: Frame, evaluate: Evaluator) -> None:
        self.frame = frame
        self.evaluate = evaluate
        self.methods = Methods(frame, self)
        self.builtins = Builtins(frame, self)
        self.in_loop: dict[ast.Call, Loop] = {}
        self.repeated: dict[ast.expr, Values] = {}

    def call(self, node: ast.Call) -> Values:
        """Return what a call returns; it is recorded."""
        receiver, callables = self._callables(node.func)
        given = self.arguments(node)
        outcome = Outcome()
        for value in sorted(callables, key=_rank) if len(callables) > 1 else callables:
            self.invoke(value, node, given, outcome)
        if isinstance(node.func, ast.Attribute) and not outcome.does and not outcome.callees:
            self.methods.by_name(node, receiver, given, outcome)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "__new__":  # super().__new__(cls)
            outcome.add(frozenset(Instance(each.cls) for each in given.get(0) if isinstance(each, OF_CLASS)))
        if isinstance(node.func, ast.Call) and isinstance(node.func.func, ast.Attribute):
            self._decorated_later(node.func, given)
        self._record(node, receiver, given, outcome)
        return frozenset(outcome.result)

    def _callables(self, func: ast.expr) -> tuple[Values, Values]:
        if not isinstance(func, ast.Attribute):
            return NOTHING, self.evaluate(func)
        receiver = self.evaluate(func.value)
        found: set[Value] = set()
        for value in receiver:
            found.update(self.evaluate.attribute(value, func.attr, func))
        bound = frozenset(value for value in found if not isinstance(value, Data))
        return receiver, bound

    def arguments(self, node: ast.Call) -> Arguments:
        """Evaluate what a call is given."""
        given = Arguments()
        for index, each in enumerate(node.args):
            if isinstance(each, ast.Starred):
                given.starred.append(index)
                given.plain.append(containers.elements(self.frame, self.evaluate(each.value), each))
            else:
                given.plain.append(self.evaluate(each))
        for keyword in node.keywords:
            values = self.evaluate(keyword.value)
            if keyword.arg is None:
                given.spread |= values
            else:
                given.named[keyword.arg] = values
        for value in given.spread:
            if isinstance(value, Container):
                for name in ("query", "password", "user", "dsn", "methods", "debug"):
                    found = self.frame.heap.read(("in", value, name), self.frame.function)
                    if found:
                        given.named.setdefault(name, found)
        return given

    def _record(self, node: ast.Call, receiver: Values, given: Arguments, outcome: Outcome) -> None:
        self.frame.calls[node] = Call(
            node, self.frame.function, outcome.does, outcome.target, receiver, tuple(given.plain), given.named,
            tuple(outcome.callees), self._loops(node), frozenset(outcome.result), outcome.sql,
            self.frame.is_guarded,
        )  # fmt: skip
        if self.frame.loops or self.frame.function in outcome.callees:
            self.repeated[node] = NOTHING.union(*given.everything())

    def _loops(self, node: ast.Call) -> tuple[Loop, ...]:
        own = self.in_loop.get(node)
        return (*self.frame.loops, own) if own is not None else tuple(self.frame.loops)

    # What can be called

    def invoke(self, value: Value, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
        """Call one value."""
        if isinstance(value, FunctionValue):
            self._function(value, node, given, outcome)
        elif isinstance(value, ClassValue):
            outcome.add(frozenset([Instance(value.cls)]))
            init = value.cls.method("__init__")
            if init is not None:
                self._function(FunctionValue(init, Instance(value.cls)), node, given, Outcome())
                outcome.callees[init] = None
            for base in value.cls.lineage:
                for path in base.external_bases:
                    outside.base_made(self, path, node, given, outcome)
        elif isinstance(value, Instance):
            method = value.cls.method("__call__")
            if method is not None:
                self._function(FunctionValue(method, value), node, given, outcome)
        elif isinstance(value, Bound):
            self.methods.call(value, node, given, outcome)
        elif isinstance(value, External):
            outside.call(self, value, node, given, outcome)
        elif isinstance(value, Builtin):
            self.builtins.call(value.name, node, given, outcome)

    def _function(self, value: FunctionValue, node: ast.AST, given: Arguments, outcome: Outcome) -> None:
        function = value.function
        if value.is_wrapped:
            self._wrapped(function, given)
        else:
            outcome.callees[function] = None
            # Read as a slot too: a caller that was looked at before the wrapper was has to be looked at again.
            self.frame.heap.read(("shift", function), self.frame.function)
            shift = self.frame.interpreter.shifts.get(function, 0)
            self._bind(function, node, given, (1 if value.receiver is not None else 0) + shift)
            if value.receiver is not None and function.parameters:
                self.frame.heap.add(("parameter", function, function.parameters[0]), [value.receiver])
        outcome.add(self.frame.heap.read(("return", function), self.frame.function))

    def _wrapped(self, function: Function, given: Arguments) -> None:
        """Bind what a decorator's wrapper puts in; the rest comes from the caller of the decorated function."""
        first = given.starred[0] if given.starred else len(given.plain)
        injected = Arguments(given.plain[:first], [], given.named, NOTHING)
        self._bind(function, function.node, injected, 0)
        own = 1 if function.cls is not None else 0
        if given.starred:
            shifts = self.frame.interpreter.shifts
            shifts[function] = max(shifts.get(function, 0), first - own)
            self.frame.heap.add(("shift", function), [Constant(shifts[function])])

    def _bind(self, function: Function, node: ast.AST, given: Arguments, offset: int) -> None:
        """Put arguments into parameters."""
        if isinstance(function.node, ast.Module):
            return
        spec = function.node.args
        plain = [each.arg for each in (*spec.posonlyargs, *spec.args)]
        heap = self.frame.heap
        for index, values in enumerate(given.plain):
            position = index + offset
            if index in given.starred:
                for name in plain[position:]:
                    heap.add(("parameter", function, name), values)
            elif position < len(plain):
                heap.add(("parameter", function, plain[position]), values)
                continue
            if spec.vararg is not None:
                rest = containers.made(self.frame, function.node, "tuple", values)
                heap.add(("parameter", function, spec.vararg.arg), rest)
        known = {*plain, *(each.arg for each in spec.kwonlyargs)}
        for name, values in given.named.items():
            if name in known:
                heap.add(("parameter", function, name), values)
            elif spec.kwarg is not None:
                self._put_named(function, spec.kwarg.arg, name, values)
        self._bind_spread(function, given.spread, plain[offset + len(given.plain) :])

    def _put_named(self, function: Function, parameter: str, name: str, values: Values) -> None:
        container = Container(self.frame.site(function.node), "dict")
        containers.put(self.frame, container, values, name)
        self.frame.heap.add(("parameter", function, parameter), [container])

    def _bind_spread(self, function: Function, spread: Values, names: list[str]) -> None:
        for value in spread:
            for name in names:
                if isinstance(value, Container):
                    values = containers.read(self.frame, value, name)
                else:
                    values = containers.elements(self.frame, frozenset([value]), None)
                self.frame.heap.add(("parameter", function, name), values)

    # Calls that have no call in the source

    def property_read(self, function: Function, node: ast.AST) -> Values:
        """Return what a property is."""
        if isinstance(node, ast.expr):
            self.frame.calls[node] = Call(
                node,
                self.frame.function,
                callees=(function,),
                loops=tuple(self.frame.loops),
                is_guarded=self.frame.is_guarded,
            )
        return self.frame.heap.read(("return", function), self.frame.function)

    def method_read(self, value: Instance, name: str, node: ast.AST) -> Values:
        """Return what a special method returns that `with` runs."""
        method = value.cls.method(name)
        if method is None:
            return NOTHING
        record = self.frame.calls.get(node) if isinstance(node, ast.expr) else None
        if record is not None:
            others = [each for each in (method, value.cls.method("__exit__")) if each is not None]
            record.callees = tuple(dict.fromkeys([*record.callees, *others]))
        return self.frame.heap.read(("return", method), self.frame.function)

    # Decorators

    def decorated(self, decorator: ast.expr, function: Function, values: Values) -> Values:
        """Return a function as a decorator leaves it; routes, hooks and wrappers are noted."""
        inner = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = inner.attr if isinstance(inner, ast.Attribute) else getattr(inner, "id", "")
        found = self.evaluate(decorator)
        if isinstance(decorator, ast.Call) and isinstance(inner, ast.Attribute) and name in facts.ROUTED:
            rule = routes.rule_of(self.evaluate(decorator.args[0])) if decorator.args else None
            is_own = self._is_own(self.evaluate(inner.value)) or any(
                isinstance(value, FunctionValue) for value in found
            )
            if rule is not None and not is_own:
                methods = next(
                    (self.evaluate(each.value) for each in decorator.keywords if each.arg == "methods"), NOTHING
                )
                routes.add(self.frame, function, rule, routes.methods_of(self.frame, name, methods), decorator)
                return values
        if name in facts.HOOKS and name not in function.hooks:
            function.hooks.append(name)
        if name in ("contextmanager", "asynccontextmanager"):
            function.is_context_manager = True
        for value in found:
            self._wrap(value, function)
        return values

    def _decorated_later(self, decorator: ast.Call, given: Arguments) -> None:
        """Note the route of a function that is decorated without the sign: `blueprint.get("/users")(users)`."""
        if isinstance(decorator.func, ast.Attribute) and decorator.func.attr in facts.ROUTED:
            for value in given.get(0):
                if isinstance(value, FunctionValue):
                    self.decorated(decorator, value.function, NOTHING)

    @staticmethod
    def _is_own(values: Values) -> bool:
        """Whether values are objects of the project's classes alone, which inherit from nobody else's."""
        return bool(values) and all(
            isinstance(value, Instance) and not any(cls.external_bases for cls in value.cls.lineage)
            for value in values
        )

    def _wrap(self, decorator: Value, function: Function) -> None:
        """Let a decorator of the project have the function, and note what it puts around it."""
        heap, seen = self.frame.heap, FunctionValue(function, None, True)
        if isinstance(decorator, FunctionValue):
            names = decorator.function.parameters[1 if decorator.receiver is not None else 0 :]
            if decorator.function is function or not names:
                return
            heap.add(("parameter", decorator.function, names[0]), [seen])
            made = heap.read(("return", decorator.function), self.frame.function)
        elif isinstance(decorator, (ClassValue, Instance)):
            name = "__init__" if isinstance(decorator, ClassValue) else "__call__"
            method = decorator.cls.method(name)
            if method is None or len(method.parameters) < 2:
                return
            heap.add(("parameter", method, method.parameters[1]), [seen])
            call = decorator.cls.method("__call__")
            made = (
                frozenset([FunctionValue(call)])
                if name == "__init__" and call
                else heap.read(("return", method), self.frame.function)
            )
        else:
            return
        for value in sorted(made, key=repr):
            if not isinstance(value, FunctionValue) or value.is_wrapped or value.function is function:
                continue
            if value.function not in function.wrappers:
                function.wrappers.append(value.function)

    def decorated_class(self, decorator: ast.expr, cls: Class) -> None:
        """Note the routes that a decorator gives to a view class."""
        self.evaluate(decorator)
        inner = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(decorator, ast.Call) and isinstance(inner, ast.Attribute) and inner.attr == "route":
            rule = routes.rule_of(self.evaluate(decorator.args[0])) if decorator.args else None
            if rule is not None:
                routes.add_class(self.frame, cls, rule, decorator)


def _rank(value: Value) -> tuple[str, str]:
    """Sort what can be called, so that runs are equal."""
    return type(value).__name__, repr(value)
