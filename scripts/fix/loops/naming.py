"""How a header names a statement: by a constant that is there, as a literal, or by a new constant above.

If this is wrong, a header names another statement, which is then asked for in vain.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

from ...audit.model.code import Function, Module
from ...audit.model.values import Text
from ...audit.sql.statement import statement
from ..fixer import Context, Edit
from ..source import Source
from .announced import Announcement
from .layout import definition, literal, width
from .terms import stored

_ROOM = 12  # columns that a header in black's layout needs besides a literal


@dataclass
class Names:
    """The constants that one run of the fixer makes: the same text in a file has one name, at one place."""

    context: Context
    _made: dict[tuple[str, str], tuple[str, Edit]] = field(default_factory=dict)

    def name(self, function: Function, said: Announcement, at: ast.expr) -> tuple[str, Edit | None]:
        """Return a statement as the header says it, and the edit that makes a new constant.

        Args:
            function: The loop's.
            at: What the loop is over.
        """
        module = function.module
        source = self.context.source(module.path)
        if said.name:
            return said.name, None
        known = _known(function, said.sql, at)
        if known:
            return known, None
        written = literal(said.sql, source)
        indent = len(source.indent(_line(module, at))) + 2 * len(source.step)
        if "\n" not in said.sql and indent + len(written) + _ROOM <= width(source):
            return written, None
        return self._constant(function, source, said, at)

    def _constant(self, function: Function, source: Source, said: Announcement, at: ast.expr) -> tuple[str, Edit]:
        module = function.module
        key = module.path, said.sql
        if key not in self._made:
            taken = {name for each in module.tree.body for name in stored(each)} | module.mentions
            taken |= {name for each in module.functions for name in _own(each)}
            taken |= {name for (path, _), (name, _) in self._made.items() if path == module.path}
            name = _free(_called(said), taken)
            self._made[key] = name, _above(module, source, at, definition(name, said.sql, source))
        return self._made[key]


def _known(function: Function, sql: str, at: ast.expr) -> str:
    """Return the name of a module's constant that is this text, as far as it is seen from a place."""
    body = function.module.tree.body
    for each in body:
        if not isinstance(each, ast.Assign) or not isinstance(each.value, ast.Constant) or each.value.value != sql:
            continue
        name = getattr(each.targets[0], "id", "")
        is_there = not function.is_module or each.lineno < at.lineno
        givers = [one for one in body if name in stored(one)]
        if name and len(givers) == 1 and is_there and name not in (() if function.is_module else _own(function)):
            return str(name)
    return ""


def _own(function: Function) -> set[str]:
    """Return the names that a function has for itself."""
    return {*function.parameters, *stored(function.node)}


def _line(module: Module, node: ast.AST) -> ast.AST:
    return module.statement(node)


def _called(said: Announcement) -> str:
    """Return a name for a statement: that of its helper, or of its table."""
    if said.helper and said.is_own:
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", said.helper).upper().strip("_")
    read = statement(Text((said.sql,)))
    table = read.reads[0] if read is not None and read.reads else "ROWS"
    return f"SELECT_{re.sub(r'[^A-Za-z0-9]+', '_', table).upper().strip('_')}"


def _free(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    return next(each for count in range(2, 1000) if (each := f"{name}_{count}") not in taken)


def _above(module: Module, source: Source, at: ast.AST, text: str) -> Edit:
    """Return the edit that puts lines above the function, class or statement of the module that a node is in."""
    outer = next(each for each in (at, *module.ancestors(at)) if module.parents.get(each) is module.tree)
    assert isinstance(outer, ast.stmt)
    first = min([outer.lineno, *(each.lineno for each in getattr(outer, "decorator_list", []))])
    while first > 1 and source.line(first - 1).startswith("#"):
        first -= 1
    gap = "\n\n" if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) else ""
    start = source.line_start(first)
    return Edit(source.path, start, start, f"{text}{gap}")
