"""One connection that a function takes and does not give back on every way out: who uses it, and what ends it.

Knows the block of statements that it is taken in, its name and the names of its cursors. If this is wrong, it is
closed while something still reads from it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ...audit.model.code import Call
from ...audit.model.project import Project
from ...audit.model.values import Connection
from ...audit.rules.connection_acts import CLOSING, GIVING_BACK
from ...audit.rules.expression_names import name_of, walk_own

# What reads from an iterable later, and what reads all of it at once.
LAZY = frozenset({"Response", "stream_with_context", "iter", "map", "filter", "zip", "enumerate", "chain"})
EAGER = frozenset({"list", "tuple", "set", "dict", "sorted", "sum", "any", "all", "max", "min", "join"})
INNER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@dataclass
class Held:
    """A connection as its function holds it.

    Attributes:
        call: What takes it.
        name: What the function calls it; a plain name.
        statement: The assignment.
        block: The statements among which that stands.
    """

    project: Project
    call: Call
    name: str
    statement: ast.stmt
    block: list[ast.stmt]

    @cached_property
    def rest(self) -> list[ast.stmt]:
        """The statements of the block behind it."""
        return self.block[self.block.index(self.statement) + 1 :]

    @cached_property
    def names(self) -> frozenset[str]:
        """Its name, and those of its cursors."""
        found = {self.name}
        for node in ast.walk(self.call.function.node):
            pairs: list[tuple[ast.expr, ast.expr | None]] = []
            if isinstance(node, ast.Assign):
                pairs = [(node.value, target) for target in node.targets]
            elif isinstance(node, (ast.With, ast.AsyncWith)):
                pairs = [(item.context_expr, item.optional_vars) for item in node.items]
            for value, target in pairs:
                func = value.func if isinstance(value, ast.Call) else None
                if isinstance(func, ast.Attribute) and func.attr == "cursor" and name_of(func.value) == self.name:
                    found.add(name_of(target))
        return frozenset(found - {""})

    def mentions(self, node: ast.AST) -> bool:
        """Whether it, or a cursor of it, is named in here."""
        return any(isinstance(each, ast.Name) and each.id in self.names for each in ast.walk(node))

    def releases(self, node: ast.AST) -> bool:
        """Whether a statement is nothing but the call that closes it or gives it back."""
        call = node.value if isinstance(node, ast.Expr) else None
        if not isinstance(call, ast.Call):
            return False
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if method == "close" and isinstance(call.func, ast.Attribute):
            return name_of(call.func.value) == self.name
        if not any(name_of(each) == self.name for each in call.args):
            return False
        return method in GIVING_BACK or any(
            self.project.reach.calls(callee, *CLOSING)
            for each in self.call.function.calls if each.node is call for callee in each.callees
        )  # fmt: skip

    def inner_releases(self) -> list[ast.AST]:
        """Return the calls that end it further in: in branches, loops and handlers."""
        return [node for each in self.rest for node in ast.walk(each) if node is not each and self.releases(node)]

    @property
    def is_closed_by_close(self) -> bool:
        """Whether `close()` ends it: it comes out of no pool."""
        found = [value for value in self.call.result if isinstance(value, Connection)]
        return self.call.does == "connect" or (bool(found) and not any(value.pool for value in found))

    def obstacle(self) -> str:
        """Return why its end cannot be moved; empty when it can."""
        function = self.call.function
        if function.is_generator:
            return "the function yields while it holds the connection"
        for node in ast.walk(function.node):
            if isinstance(node, ast.Name) and node.id in self.names and self._is_elsewhere(node):
                return f"`{node.id}` is used or set outside of the block that takes it (line {node.lineno})"
        for node in (each for statement in self.rest for each in ast.walk(statement)):
            reason = self._lasts(node)
            if reason:
                return f"{reason} (line {getattr(node, 'lineno', self.statement.lineno)})"
        return ""

    def _is_elsewhere(self, node: ast.Name) -> bool:
        module = self.call.function.module
        above = [node, *module.ancestors(node)]
        if self.statement in above or any(self._is_another(each) for each in above):
            return False
        statement = module.statement(node)
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            return statement.lineno > self.statement.lineno  # `conn = None` before is no use
        if isinstance(node.ctx, ast.Store) and node.id == self.name:
            return True
        return not any(each in above for each in self.rest)

    def _is_another(self, node: ast.AST) -> bool:
        """Whether a `with` gives the same name to a connection of its own; what is in it is none of this."""
        items = node.items if isinstance(node, ast.With) else []
        return any(name_of(each.optional_vars) == self.name for each in items)

    def _lasts(self, node: ast.AST) -> str:
        """Return how something in a statement may use it after the block."""
        if isinstance(node, INNER) and self.mentions(node):
            return "an inner function uses it"
        if isinstance(node, ast.GeneratorExp) and self.mentions(node) and not self._is_eager(node):
            return "a generator reads from it"
        if isinstance(node, ast.Return) and node.value is not None and any(map(self._is_bare, _parts(node.value))):
            return "it is returned"
        if isinstance(node, ast.Assign) and any(map(self._is_bare, _parts(node.value))):
            return "it gets another name"
        if isinstance(node, ast.Call) and any(map(self._is_bare, self._given(node))):
            return self._taken(node)
        return ""

    def _is_bare(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self.names

    def _given(self, node: ast.Call) -> Iterator[ast.expr]:
        yield from node.args
        yield from (each.value for each in node.keywords)

    def _taken(self, node: ast.Call) -> str:
        """Return how a called function may use it later."""
        last = name_of(node.func).rpartition(".")[2]
        if last in LAZY:
            return f"{last}() reads from it later"
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("append", "add", "put", "setdefault"):
            return "it is put into a collection"
        callees = [callee for each in self.call.function.calls if each.node is node for callee in each.callees]
        if any(callee.is_generator for callee in callees):
            return f"{last}() reads from it later"
        if any(callee.name == "__init__" for callee in callees):
            return f"a {last} keeps it"
        return ""

    def _is_eager(self, node: ast.GeneratorExp) -> bool:
        parent = self.call.function.module.parents.get(node)
        func = parent.func if isinstance(parent, ast.Call) else None
        return func is not None and getattr(func, "attr", getattr(func, "id", "")) in EAGER


def held(project: Project, call: Call) -> Held | None:
    """Return a connection that an assignment gives a plain, local name; None for any other."""
    module = call.function.module
    statement = module.statement(call.node)
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    is_it = isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is call.node
    if not is_it or len(targets) != 1 or not isinstance(targets[0], ast.Name):
        return None
    name = targets[0].id
    declared = (node for node in walk_own(call.function.node) if isinstance(node, (ast.Global, ast.Nonlocal)))
    if any(name in each.names for each in declared):
        return None
    return Held(project, call, name, statement, _block(module.parents[statement], statement))


def _block(parent: ast.AST, statement: ast.stmt) -> list[ast.stmt]:
    blocks: list[Sequence[ast.stmt]] = [getattr(parent, name, []) for name in ("body", "orelse", "finalbody")]
    return next((list(each) for each in blocks if isinstance(each, list) and statement in each), [statement])


def _parts(value: ast.expr) -> Iterator[ast.expr]:
    """Yield a value, or what it puts together."""
    if isinstance(value, (ast.Tuple, ast.List, ast.Set)):
        yield from value.elts
    elif isinstance(value, ast.Dict):
        yield from value.values
    elif isinstance(value, ast.IfExp):
        yield from (value.body, value.orelse)
    else:
        yield value
