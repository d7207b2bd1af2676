"""The pieces of the audited code: modules, classes, functions, and what the interpreter found in each function.

Objects are compared by identity. Everything is relative to the audited folder. `Function` stands for the body of a
module as well (`<module>`), for a lambda (`<lambda>`), and for a class body's code through its module.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property

from ..finding import Place
from .values import NOTHING, Data, Values

Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
MODULE = "<module>"


@dataclass(eq=False)
class Module:
    """A file that parses.

    Attributes:
        path: Relative, with slashes.
        name: Dotted, as others import it; "" only for odd file names.
        lines: The source, without line ends.
        mentions: The names and attributes that its code reads.
    """

    path: str
    name: str
    tree: ast.Module
    lines: list[str]
    is_package: bool = False
    functions: list[Function] = field(default_factory=list)
    classes: list[Class] = field(default_factory=list)
    mentions: set[str] = field(default_factory=set)

    def __repr__(self) -> str:
        return f"<{self.path}>"

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """Each node's parent."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @property
    def body(self) -> Function:
        """The function that stands for the module's own code."""
        return self.functions[0]

    def place(self, node: ast.AST) -> Place:
        """Return where a node is; columns from 1, as editors count characters."""
        line, end = getattr(node, "lineno", 1), getattr(node, "end_lineno", None)
        return Place(self.path, line, self._column(line, getattr(node, "col_offset", 0)), end or line,
                     self._column(end or line, getattr(node, "end_col_offset", None) or -1))  # fmt: skip

    def _column(self, line: int, offset: int) -> int:
        """Turn the tree's UTF-8 offset into a column."""
        if offset < 0 or line > len(self.lines):
            return 0
        text = self.lines[line - 1]
        return offset + 1 if text.isascii() else len(text.encode()[:offset].decode(errors="replace")) + 1

    def ancestors(self, node: ast.AST) -> list[ast.AST]:
        """Return what a node is in, the nearest first."""
        found = []
        while node in self.parents:
            node = self.parents[node]
            found.append(node)
        return found

    def statement(self, node: ast.AST) -> ast.stmt:
        """Return the statement that a node is in, or is."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node


@dataclass(eq=False)
class Class:
    """A class; `methods` are its own, `bases` the project's classes among its bases, in order."""

    module: Module
    node: ast.ClassDef
    qualname: str
    methods: dict[str, Function] = field(default_factory=dict)
    bases: list[Class] = field(default_factory=list)
    external_bases: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<{self.module.path}:{self.node.lineno} {self.qualname}>"

    @property
    def lineage(self) -> list[Class]:
        """The class, then those that it inherits from."""
        if not self.bases:
            return [self]
        found: list[Class] = []
        todo = [self]
        while todo:
            cls = todo.pop(0)
            if cls not in found:
                found.append(cls)
                todo.extend(cls.bases)
        return found

    def method(self, name: str) -> Function | None:
        """Return a method, inherited ones included."""
        return next((cls.methods[name] for cls in self.lineage if name in cls.methods), None)


@dataclass(eq=False)
class Route:
    """A URL that a function answers."""

    function: Function
    rule: str
    methods: tuple[str, ...]
    node: ast.AST

    @property
    def name(self) -> str:
        """As people write it: "GET /users/<int:id>"."""
        return f"{'|'.join(self.methods)} {self.rule}"


@dataclass(eq=False)
class Function:
    """A function, or a module's own code.

    Attributes:
        qualname: "UserDAO.get", "app.route.wrapper"; "<module>" for the module's own code.
        parameters: Names in order, `*args` and `**kwargs` without stars.
        calls: Every call in it, nested functions aside, in the order of the source.
        returns: What it can return; for a generator, what it yields as well.
        callers: The calls, anywhere, that run it.
        wrappers: What its decorators put around it; they run with it.
        hooks: What runs it besides routes: "before_request", "errorhandler", "user_loader", ...
    """

    module: Module
    node: Scope
    qualname: str
    cls: Class | None = None
    parent: Function | None = None
    parameters: tuple[str, ...] = ()
    is_generator: bool = False
    is_context_manager: bool = False
    routes: list[Route] = field(default_factory=list)
    hooks: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)
    globals: set[str] = field(default_factory=set)
    returns: Values = NOTHING
    yields: Values = NOTHING
    callers: list[Call] = field(default_factory=list)
    wrappers: list[Function] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The last part of its qualified name."""
        return self.qualname.rpartition(".")[2]

    @property
    def path(self) -> str:
        """The file it is in."""
        return self.module.path

    def holds(self, line: int) -> bool:
        """Whether a line of its file is in it; every line is in a module's own code."""
        if isinstance(self.node, ast.Module):
            return True
        return self.node.lineno <= line <= (self.node.end_lineno or self.node.lineno)

    @property
    def is_module(self) -> bool:
        """Whether this is a module's own code, which runs at import."""
        return isinstance(self.node, ast.Module)

    def __repr__(self) -> str:
        return f"<{self.path}:{getattr(self.node, 'lineno', 0)} {self.qualname}>"


@dataclass(eq=False)
class Loop:
    """A loop in a function: `for`, `while`, or one `for` of a comprehension.

    Attributes:
        node: A call for `map(f, rows)` and the like.
        header: The expression that is looped over, or the condition.
        source: Its values; for `while`, also those that a `break` in it depends on.
        behind: What comes from outside in them, in whatever lists and dicts it lies, and was not counted by `len`.
    """

    node: ast.For | ast.AsyncFor | ast.While | ast.comprehension | ast.Call
    function: Function
    header: ast.expr
    source: Values = NOTHING
    behind: tuple[Data, ...] = ()


@dataclass(eq=False)
class Call:
    """A call in the source.

    Attributes:
        does: What it does to a database or a process, in one word of `facts.py`: "connect", "execute", "fetch",
            ... (the table is in `methods.py`); "" when it does nothing that the audit knows.
        target: The dotted path of what is called, when that is not of the project: "flask.Flask().run"; "" else.
        receiver: What the method is called on.
        arguments: Of the positional arguments, in order; a starred one has what is in it.
        keywords: Of the named ones.
        callees: The project's functions that it runs, constructors and wrappers of decorators included.
        loops: The loops of this function that it is in, the outermost first.
        result: What it returns.
        sql: Of one that runs a statement: the statement.
        is_guarded: Whether it stands under `if __name__ == "__main__"`.
        given: Of a call in a loop, and of one that runs its own function: what comes from outside in its
            arguments.

    Reading a property is one as well: `node` is the attribute then.
    """

    node: ast.expr
    function: Function
    does: str = ""
    target: str = ""
    receiver: Values = NOTHING
    arguments: tuple[Values, ...] = ()
    keywords: dict[str, Values] = field(default_factory=dict)
    callees: tuple[Function, ...] = ()
    loops: tuple[Loop, ...] = ()
    result: Values = NOTHING
    sql: Values = NOTHING
    is_guarded: bool = False
    given: tuple[Data, ...] = ()

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.function.module.place(self.node)

    def argument(self, position: int, name: str) -> Values:
        """Return an argument, by position or by name."""
        return self.arguments[position] if position < len(self.arguments) else self.keywords.get(name, NOTHING)


@dataclass(eq=False)
class Store:
    """An assignment to an attribute or an element: `app.debug = True`, `app.config["DEBUG"] = True`.

    Attributes:
        owner: What is assigned to: the values of `app`, of `app.config`.
        name: The attribute, or the key when that is a constant string; "" for any other key.
        is_item: Whether it is an element, `owner[name]`.
    """

    node: ast.AST
    function: Function
    owner: Values
    name: str
    values: Values
    is_item: bool = False
    is_guarded: bool = False
