"""What the expressions of a function do to one connection that it holds: the facts that `closing_paths` asks for.

The connection is known by its names (`conn`, `self.conn`, `pair[0]`) and by the values that the model found. Calls
that hardly ever raise (`conn.cursor()`, prints, logs) count as never raising: nobody mends a leak behind them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..model.code import Call, Function
from ..model.project import Project
from ..model.values import Connection, Container, Cursor, Instance, Values
from .closing_paths import DATABASE, OTHER
from .expression_names import name_of, walk_own

RAISING = ("execute", "executemany", "copy", "fetch", "commit")
CLOSING = ("close", "putconn")
GIVING_BACK = frozenset(
    {"putconn", "put_conn", "release", "release_connection", "return_connection", "putconnection"}
)
PLAIN_POOLS = ("psycopg2.pool.", "")
CLOSERS = ("closing", "aclosing")
KEEPERS = ("append", "put", "add", "put_nowait", "setdefault", "push")


def calls_by_node(function: Function) -> dict[ast.AST, list[Call]]:
    """Return a function's calls by their nodes; a `with` has those of its methods at the same node."""
    found: dict[ast.AST, list[Call]] = {}
    for call in function.calls:
        found.setdefault(call.node, []).append(call)
    return found


def holds_connection(values: Values) -> bool:
    """Whether a connection or a cursor is among values."""
    return any(isinstance(value, (Connection, Cursor)) for value in values)


class ConnectionActs:
    """The facts about one acquisition.

    Attributes:
        names: What the function calls it.
        is_object: Whether the names are of an object that keeps the connection.
        is_put_back: Whether only `putconn` gives it back, as to psycopg2's pools.
    """

    def __init__(
        self, project: Project, call: Call, names: set[str], is_object: bool = False, is_put_back: bool = False
    ) -> None:
        self.project, self.call, self.names = project, call, names
        self.is_object, self.is_put_back = is_object, is_put_back
        self.function = call.function
        self.calls = calls_by_node(call.function)
        self.sites = {value.site for value in call.result if isinstance(value, Connection)}
        self.closes_pooled = False
        self._alias()
        self.cursors = set(self._cursors())

    def _alias(self) -> None:
        """Take up names that the connection is given as well: `self.conn = conn`, `db = conn`."""
        for node in walk_own(self.function.node):
            if isinstance(node, ast.Assign) and name_of(node.value) in self.names:
                self.names |= {name_of(target) for target in node.targets} - {""}
            elif isinstance(node, ast.Call) and name_of(node.func) == "setattr" and len(node.args) == 3:
                owner, key, value = node.args
                if name_of(value) in self.names and isinstance(key, ast.Constant) and isinstance(key.value, str):
                    self.names.add(f"{name_of(owner)}.{key.value}")

    def _cursors(self) -> Iterator[str]:
        """Yield the names of its cursors: where there is one, there is a connection."""
        for node in walk_own(self.function.node):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                made = node.value.func
                if isinstance(made, ast.Attribute) and made.attr == "cursor" and name_of(made.value) in self.names:
                    yield from (name_of(target) for target in node.targets)

    # What closing_paths asks

    def acquires(self, node: ast.AST) -> bool:
        """Whether the acquisition is in here."""
        return any(each is self.call.node for each in walk_own(node))

    def releases(self, node: ast.AST) -> bool:
        """Whether it is closed, given back or handed on in here."""
        inner = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        nodes = list(ast.walk(node)) if inner else list(_with_lambdas(node))
        if inner and any(each is self.call.node for each in nodes):
            return False
        return any(self._call_releases(each) for each in nodes if isinstance(each, ast.Call)) or any(
            self._is_handed_on(each) for each in nodes if isinstance(each, ast.Attribute)
        )

    def returns(self, node: ast.Return) -> bool:
        """Whether it is what this returns."""
        return node.value is not None and self.index_in(node.value) is not False

    def raises(self, node: ast.AST) -> Iterator[str]:
        """Yield which kinds of exception can come out of here."""
        for each in walk_own(node):
            if isinstance(each, (ast.Yield, ast.YieldFrom)):
                yield from (DATABASE, OTHER)
            elif isinstance(each, ast.Call) and each is not self.call.node:
                yield from self._raised_by(each)
            elif (
                isinstance(each, ast.Subscript) and isinstance(each.value, ast.Call) and self._fetches(each.value)
            ):
                yield OTHER

    def is_there(self, test: ast.expr) -> bool | None:
        """Whether a condition holds just when there is a connection."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self.is_there(test.operand)
            return self._closed_flag(test.operand) or (None if inner is None else not inner)
        if name_of(test) in self.names | self.cursors or self._is_flag(test):
            return True
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            return True if any(self.is_there(each) for each in test.values) else None
        if isinstance(test, ast.Call) and name_of(test.func) == "hasattr":
            return True if any(name.startswith(name_of(test.args[0]) + ".") for name in self.names) else None
        return self._compared(test) if isinstance(test, ast.Compare) else None

    def is_lasting(self, item: ast.withitem) -> bool:
        """Whether the end of a `with` releases it."""
        call = item.context_expr
        if not isinstance(call, ast.Call):
            return self.is_object and name_of(call) in self.names
        first = call.args[0] if call.args else None
        return name_of(call.func).rpartition(".")[2] in CLOSERS and (
            first is self.call.node or name_of(first) in self.names
        )

    # What lifetimes asks

    def index_in(self, value: ast.expr) -> int | bool | None:
        """Return where in a returned value it is: a tuple's index, None for the value itself, False for"
        " nowhere."""
        if name_of(value) in self.names or value is self.call.node:
            return None
        if isinstance(value, ast.Tuple):
            names = [name_of(each) in self.names or each is self.call.node for each in value.elts]
            return names.index(True) if True in names else False
        if isinstance(value, ast.IfExp):
            return next(
                (each for each in map(self.index_in, (value.body, value.orelse)) if each is not False), False
            )
        if isinstance(value, ast.Call) and self._makes_object(value) and self._is_argument(value):
            return None
        if isinstance(value, ast.Dict) and any(name_of(each) in self.names for each in value.values):
            return None
        return False

    def has_release(self) -> bool:
        """Whether the function releases it anywhere at all."""
        return any(self.releases(node) for node in walk_own(self.function.node) if isinstance(node, ast.Expr))

    # How it knows

    def _call_releases(self, node: ast.Call) -> bool:
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        owner = name_of(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if method == "close" and self._is_it(owner):
            self.closes_pooled = self.is_put_back or self.closes_pooled
            return not self.is_put_back
        if method in KEEPERS and self._is_argument(node) and not self.is_object:
            return True
        if method in GIVING_BACK and self._is_argument(node):
            return True
        return any(self._releases(node, owner, call) for call in self.calls.get(node, ()))

    def _releases(self, node: ast.Call, owner: str, call: Call) -> bool:
        if call.does == "putconn":
            return (
                self._is_argument(node)
                or not node.args
                or self._is_same(call.arguments[0] if call.arguments else frozenset())
            )
        if call.does == "close":
            return not self.is_put_back and self._is_same(call.receiver)
        closing = [callee for callee in call.callees if self._closes(callee)]
        if not closing or call is self.call:
            return False
        if self._is_argument(node) or (self.is_object and owner in self.names):
            return True
        return not self.project.reach.behind(call, "connect", "getconn")

    def _closes(self, callee: Function) -> bool:
        """Whether a function closes something, its own generator functions aside."""
        return callee is not self.function and bool(self.project.reach.calls(callee, *CLOSING))

    def _is_it(self, owner: str) -> bool:
        if owner in self.names or owner.removesuffix(".connection") in self.names:
            return True
        return self.is_object and any(owner.startswith((name + ".", name + "[")) for name in self.names)

    def _is_same(self, values: Values) -> bool:
        return any(isinstance(value, Connection) and value.site in self.sites for value in values)

    def _is_argument(self, node: ast.Call) -> bool:
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        return any(name_of(each) in self.names for each in given)

    def _makes_object(self, node: ast.Call) -> bool:
        calls = self.calls.get(node, ())
        return any(isinstance(value, Instance) for call in calls for value in call.result)

    def _is_handed_on(self, node: ast.Attribute) -> bool:
        """Whether its closing method is given to something that will call it: `stack.callback(conn.close)`."""
        parent = self.function.module.parents.get(node)
        is_called = isinstance(parent, ast.Call) and parent.func is node
        return node.attr in CLOSING and name_of(node.value) in self.names and not is_called

    def _fetches(self, node: ast.Call) -> bool:
        return any(call.does == "fetch" for call in self.calls.get(node, ()))

    def _raised_by(self, node: ast.Call) -> Iterator[str]:
        if name_of(node.func).rpartition(".")[2] == "abort":
            yield OTHER
        for call in self.calls.get(node, ()):
            if call.does in RAISING:
                yield DATABASE
            elif call.does == "http":
                yield OTHER
            elif any(self.project.reach.calls(callee, *RAISING, "http") for callee in call.callees) or (
                not call.does and not call.callees and self._is_given_it(call)
            ):
                yield from (DATABASE, OTHER)

    def _is_given_it(self, call: Call) -> bool:
        """Whether an unknown function gets the connection or a cursor, as what a decorator wraps does."""
        builtin = isinstance(call.node, ast.Call) and name_of(call.node.func) in (
            "print",
            "str",
            "repr",
            "len",
            "isinstance",
        )
        given = [*call.arguments, *call.keywords.values()]
        return not builtin and any(holds_connection(values) for values in given) and not _is_harmless(call.target)

    def _is_flag(self, test: ast.expr) -> bool:
        """Whether a condition remembers that the connection is the function's own and not its caller's."""
        is_given = any(name in self.function.parameters for name in self.names)
        return is_given and isinstance(test, ast.Name) and test.lineno > getattr(self.call.node, "lineno", 0)

    def _closed_flag(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Attribute) and node.attr == "closed" and name_of(node.value) in self.names

    def _compared(self, test: ast.Compare) -> bool | None:
        right, operator = test.comparators[0], test.ops[0]
        if (
            isinstance(right, ast.Constant)
            and right.value is None
            and name_of(test.left) in self.names | self.cursors
        ):
            return isinstance(operator, (ast.IsNot, ast.NotEq))
        if self._closed_flag(test.left):
            return True
        if isinstance(test.left, ast.Constant) and isinstance(operator, (ast.In, ast.NotIn)):
            own = any(name.endswith(str(test.left.value)) for name in self.names)
            return isinstance(operator, ast.In) if own else None
        return None


def _with_lambdas(node: ast.AST) -> Iterator[ast.AST]:
    for each in walk_own(node):
        yield each
        if isinstance(each, ast.Lambda) and each is not node:
            yield from ast.walk(each.body)


def _is_harmless(target: str) -> bool:
    return target.startswith(("logging.", "flask.Flask().logger", "atexit.", "contextlib."))


def first_connection(values: Values) -> Connection | None:
    """Return the connection among values, in tuples as well as by itself; None when there is none."""
    found = sorted((value for value in values if isinstance(value, Connection)), key=lambda each: each.site)
    return found[0] if found else None


def is_tuple(values: Values) -> bool:
    """Whether values are a tuple that the code makes."""
    return any(isinstance(value, Container) and value.type in ("tuple", "list") for value in values)
