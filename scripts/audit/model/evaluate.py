"""Expressions: what each can be."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import containers, facts, formatting, text
from .calling import Calling
from .code import Function
from .containers import elements
from .paths import at_path
from .values import (
    NOTHING,
    Bound,
    Builtin,
    ClassValue,
    Composed,
    Connection,
    Constant,
    Container,
    Cursor,
    Data,
    External,
    FunctionValue,
    Instance,
    ModuleValue,
    Pool,
    Site,
    Text,
    Value,
    Values,
)

if TYPE_CHECKING:
    from .flow import Frame

NOT_SENT = ("validate_on_submit", "validate", "hidden_tag", "errors")  # of a form
DEEPEST = 150  # nested expressions; beyond that no person wrote it
METHODS_OF = (Connection, Cursor, Pool, Text, Container, Composed, FunctionValue)
NONE: Values = frozenset([Constant(None)])


class Evaluator:
    """Evaluates in a frame."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.calling = Calling(frame, self)
        self.depth = 0

    def __call__(self, node: ast.expr) -> Values:
        """Return what an expression can be."""
        if self.depth >= DEEPEST:
            return NOTHING
        self.depth += 1
        try:
            method = FORMS.get(type(node))
            if method is not None:
                return method(self, node)
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self(child)
            return NOTHING
        finally:
            self.depth -= 1

    # Plain ones

    def _constant(self, node: ast.Constant) -> Values:
        known = self.frame.interpreter.constants.get(node)
        if known is None:
            site, value = self.frame.site(node), node.value
            known = frozenset([text.text(value, site) if isinstance(value, str) else Constant(value)])
            self.frame.interpreter.constants[node] = known
        return known

    def _name(self, node: ast.Name) -> Values:
        found = self.frame.look_up(node.id)
        if found is not None:
            return found
        return frozenset([Builtin(node.id)]) if hasattr(builtins, node.id) else NOTHING

    def _namedexpr(self, node: ast.NamedExpr) -> Values:
        values = self(node.value)
        self.frame.assign(node.target, values, node.value)
        return values

    def _await(self, node: ast.Await) -> Values:
        return self(node.value)

    def _starred(self, node: ast.Starred) -> Values:
        return elements(self.frame, self(node.value), node)

    def _ifexp(self, node: ast.IfExp) -> Values:
        self(node.test)
        return self(node.body) | self(node.orelse)

    def _boolop(self, node: ast.BoolOp) -> Values:
        return NOTHING.union(*[self(value) for value in node.values])

    def _unaryop(self, node: ast.UnaryOp) -> Values:
        values = self(node.operand)
        if isinstance(node.op, ast.Not):
            return frozenset([Constant(True), Constant(False)])
        return frozenset(value for value in values if isinstance(value, (Constant, Data)))

    def _compare(self, node: ast.Compare) -> Values:
        for each in (node.left, *node.comparators):
            self(each)
        return frozenset([Constant(True), Constant(False)])

    def _lambda(self, node: ast.Lambda) -> Values:
        function = self.frame.interpreter.functions[node]
        for name, default in zip(reversed(node.args.args), reversed(node.args.defaults), strict=False):
            self.frame.heap.add(("parameter", function, name.arg), self(default))
        return frozenset([FunctionValue(function)])

    def _yield(self, node: ast.Yield) -> Values:
        values = self(node.value) if node.value is not None else NONE
        return self._yielded(values)

    def _yieldfrom(self, node: ast.YieldFrom) -> Values:
        return self._yielded(elements(self.frame, self(node.value), node))

    def _yielded(self, values: Values) -> Values:
        generator = Container(self.frame.site(self.frame.function.node), "generator")
        containers.put(self.frame, generator, values)
        self.frame.returned(frozenset([generator]))
        return NOTHING

    # Strings

    def _joinedstr(self, node: ast.JoinedStr) -> Values:
        parts = []
        for each in node.values:
            if isinstance(each, ast.FormattedValue):
                parts.append(text.as_text(self(each.value), self.frame.site(each.value)))
            elif isinstance(each, ast.Constant):
                parts.append([text.text(str(each.value), self.frame.site(node))])
        return text.joined(parts, self.frame.site(node))

    def _binop(self, node: ast.BinOp) -> Values:
        return self.binary(self(node.left), node.op, self(node.right), node)

    def binary(self, left: Values, operator: ast.operator, right: Values, node: ast.AST) -> Values:
        """Return what an operator makes of two operands."""
        site = self.frame.site(node)
        strings = [value for value in left if isinstance(value, Text)]
        if isinstance(operator, ast.Mod) and strings:
            return formatting.percent(self.frame, strings, right, node)
        if isinstance(operator, ast.Add):
            if any(isinstance(value, Composed) for value in left | right):
                raw = [value for value in left | right if isinstance(value, Text) and value.holes]
                sides = [text.as_text(text.open_parts(side), site) for side in (left, right)]
                whole = text.joined(sides, site) if len(sides[0]) == len(sides[1]) == 1 else NOTHING
                only = next((value for value in whole if isinstance(value, Text)), None)
                return frozenset([Composed(tuple(hole for each in raw for hole in each.holes), only)])
            if any(isinstance(value, Text) for value in left | right):
                return text.joined([text.as_text(left, site), text.as_text(right, site)], _first(left) or site)
        kept = frozenset(value for value in left | right if isinstance(value, (Container, Data)))
        if isinstance(operator, (ast.Add, ast.BitOr, ast.Sub, ast.BitAnd)):
            return kept
        if isinstance(operator, ast.Mult):
            repeated = frozenset(value for value in left | right if isinstance(value, (Container, Text)))
            return repeated or kept
        return frozenset(value for value in kept if isinstance(value, Data))

    # Containers

    def _display(self, node: ast.List | ast.Tuple | ast.Set, type: str) -> Values:
        container = Container(self.frame.site(node), type)
        for index, each in enumerate(node.elts):
            values = self(each)
            containers.put(
                self.frame, container, values, containers.ANY if isinstance(each, ast.Starred) else index
            )
        if not node.elts:
            self.frame.heap.add(("in", container, containers.ANY), NOTHING)
        return frozenset([container])

    def _list(self, node: ast.List) -> Values:
        return self._display(node, "list")

    def _tuple(self, node: ast.Tuple) -> Values:
        return self._display(node, "tuple")

    def _set(self, node: ast.Set) -> Values:
        return self._display(node, "set")

    def _dict(self, node: ast.Dict) -> Values:
        container = Container(self.frame.site(node), "dict")
        for name, each in zip(node.keys, node.values, strict=True):
            values = self(each)
            if name is None:  # **others
                inside: Values = frozenset(value for value in values if isinstance(value, Data))
                inside |= frozenset(item for made in values if isinstance(made, Container)
                                    for item in containers.read(self.frame, made, containers.ANY))  # fmt: skip
                containers.put(self.frame, container, inside)
                containers.put_keys(self.frame, container, elements(self.frame, values, each))
            else:
                keys = self(name)
                containers.put(self.frame, container, values, containers.key(keys))
                containers.put_keys(self.frame, container, keys)
        return frozenset([container])

    def _subscript(self, node: ast.Subscript) -> Values:
        owner = self(node.value)
        if isinstance(node.slice, ast.Slice):
            for each in (node.slice.lower, node.slice.upper, node.slice.step):
                if each is not None:
                    self(each)
            where: object = containers.ANY
        else:
            where = containers.key(self(node.slice))
        found: set[Value] = set()
        for value in owner:
            found.update(containers.item(self.frame, value, where, node, isinstance(node.slice, ast.Slice)))
        return frozenset(found)

    def _comprehension(
        self,
        node: ast.AST,
        generators: list[ast.comprehension],
        results: list[ast.expr],
        type: str,
        key: ast.expr | None = None,
    ) -> Values:
        names = dict(self.frame.names)
        loops = []
        for generator in generators:
            source = self(generator.iter)
            loops.append(self.frame.enter(generator, generator.iter, source))
            self.frame.assign(generator.target, elements(self.frame, source, generator.iter), generator.iter)
            for condition in generator.ifs:
                self(condition)
        container = Container(self.frame.site(node), type)
        for result in results:
            containers.put(self.frame, container, self(result))
        if key is not None:
            containers.put_keys(self.frame, container, self(key))
        for loop in loops:
            self.frame.leave(loop)
        self.frame.names = names
        return frozenset([container])

    def _listcomp(self, node: ast.ListComp) -> Values:
        return self._comprehension(node, node.generators, [node.elt], "list")

    def _setcomp(self, node: ast.SetComp) -> Values:
        return self._comprehension(node, node.generators, [node.elt], "set")

    def _generatorexp(self, node: ast.GeneratorExp) -> Values:
        return self._comprehension(node, node.generators, [node.elt], "generator")

    def _dictcomp(self, node: ast.DictComp) -> Values:
        return self._comprehension(node, node.generators, [node.value], "dict", node.key)

    # Attributes

    def _attribute(self, node: ast.Attribute) -> Values:
        found: set[Value] = set()
        for value in self(node.value):
            found.update(self.attribute(value, node.attr, node))
        return frozenset(found)

    def attribute(self, value: Value, name: str, node: ast.AST) -> Values:
        """Return `value.name`."""
        if isinstance(value, ModuleValue):
            return self._module_attribute(value, name)
        if isinstance(value, (Instance, ClassValue)):
            return self._own_attribute(value, name, node)
        if isinstance(value, External):
            found = self.frame.heap.read(("outside", facts.canonical(value.path), name), self.frame.function)
            return found or self.outside(f"{value.path}.{name}", node)
        if isinstance(value, Data):
            return frozenset([Bound(value, name), Data(value.source, containers.NEXT[value.shape], value.site)])
        if isinstance(value, Connection) and name in ("connection", "session", "raw_connection"):
            return frozenset([value])
        if isinstance(value, Cursor) and name == "connection" and value.connection is not None:
            return frozenset([value.connection])
        if isinstance(value, Cursor) and name == "rowcount":
            return frozenset([Data("row", "number", self.frame.site(node))])
        return frozenset([Bound(value, name)]) if isinstance(value, METHODS_OF) else NOTHING

    def _module_attribute(self, value: ModuleValue, name: str) -> Values:
        found = self.frame.heap.read(("global", value.module, name), self.frame.function)
        if found:
            return found
        for star in self.frame.heap.read(("stars", value.module), self.frame.function):
            if isinstance(star, ModuleValue):
                found |= self.frame.heap.read(("global", star.module, name), self.frame.function)
        inner = self.frame.interpreter.imports.find(value.module, f"{value.module.name}.{name}")
        return found or (frozenset([ModuleValue(inner)]) if inner is not None else NOTHING)

    def _own_attribute(self, value: Instance | ClassValue, name: str, node: ast.AST) -> Values:
        found: Values = NOTHING
        for cls in value.cls.lineage:
            values = self.frame.heap.read(("attribute", cls, name), self.frame.function)
            found |= values
            if name in cls.methods and values:
                break
        if found:
            return frozenset(each for one in found for each in self._bound(one, value, node))
        if name == "as_view" and isinstance(value, ClassValue):
            return frozenset([Bound(value, name)])
        self.frame.heap.read(("children", value.cls), self.frame.function)
        if value.cls is self.frame.function.cls:  # what an abstract class leaves to its children
            found = found.union(*(self.frame.heap.read(("attribute", each, name), self.frame.function)
                                  for each in self.frame.interpreter.children.get(value.cls, ())))  # fmt: skip
        if found:
            return frozenset(each for one in found for each in self._bound(one, value, node))
        if name == "__class__":
            return frozenset([ClassValue(value.cls)])
        if name == "__name__":
            return frozenset([text.text(value.cls.node.name, self.frame.site(value.cls.node))])
        return self._inherited(value, name, node)

    def _bound(self, found: Value, owner: Instance | ClassValue, node: ast.AST) -> Values:
        """Bind a method to its object; a property is what it returns."""
        if not isinstance(found, FunctionValue) or found.function.cls is None or found.receiver is not None:
            return frozenset([found])
        decorators = getattr(found.function.node, "decorator_list", [])
        names = {getattr(each, "id", getattr(each, "attr", "")) for each in decorators}
        if names & {"property", "cached_property"} and isinstance(owner, Instance):
            return self.calling.property_read(found.function, node)
        if "staticmethod" in names:
            return frozenset([found])
        is_bound = isinstance(owner, Instance) or "classmethod" in names
        return frozenset([FunctionValue(found.function, owner)]) if is_bound else frozenset([found])

    def _inherited(self, value: Instance | ClassValue, name: str, node: ast.AST) -> Values:
        """Return what a class of somebody else gives its child."""
        found: set[Value] = set()
        bases = [base for cls in value.cls.lineage for base in cls.external_bases]
        for base in bases if isinstance(value, Instance) else ():
            if facts.FORM_BASES.search(base) and name not in NOT_SENT:
                found.add(Data("request", "row" if name == "data" else "value", self.frame.site(node)))
            elif base in facts.POOLS:
                found.update(self.attribute(Pool(self.frame.site(value.cls.node), base), name, node))
            elif facts.CONNECTION_CLASSES.match(base):
                found.update(self.attribute(Connection(self.frame.site(value.cls.node)), name, node))
            elif facts.CURSOR_CLASSES.match(base):
                found.update(self.attribute(Cursor(self.frame.site(value.cls.node)), name, node))
            else:
                found.update(self.outside(f"{base}().{name}", node))
        return frozenset(found)

    def outside(self, path: str, node: ast.AST | None, key: str = "") -> Values:
        """Return what is at a path outside the project."""
        return at_path(path, self.frame.site(node))

    # Elsewhere

    def _call(self, node: ast.Call) -> Values:
        return self.calling.call(node)

    def entered(self, values: Values, node: ast.AST) -> Values:
        """Return what `with values as x` gives."""
        found: set[Value] = set()
        for value in values:
            if isinstance(value, Container) and value.type == "generator":
                found.update(elements(self.frame, frozenset([value]), node))
            elif isinstance(value, Instance) and value.cls.method("__enter__"):
                found.update(self.calling.method_read(value, "__enter__", node))
            else:
                found.add(value)
        return frozenset(found)

    def decorated(self, decorator: ast.expr, function: Function, values: Values) -> Values:
        """Return a function as a decorator leaves it."""
        return self.calling.decorated(decorator, function, values)


FORMS: dict[type[ast.expr], Callable[[Evaluator, ast.expr], Values]] = {
    form: vars(Evaluator)[f"_{form.__name__.lower()}"]
    for form in vars(ast).values()
    if isinstance(form, type) and issubclass(form, ast.expr) and f"_{form.__name__.lower()}" in vars(Evaluator)
}


def _first(values: Values) -> Site | None:
    sites = sorted(value.site for value in values if isinstance(value, Text) and value.site)
    return sites[0] if sites else None
