"""Import statements: which names they bind to which modules, functions and classes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .code import Module
from .values import NOTHING, External, ModuleValue, Values

if TYPE_CHECKING:
    from .flow import Frame


def bind_modules(frame: Frame, node: ast.Import) -> None:
    """Run `import a.b as c`."""
    for alias in node.names:
        found = frame.interpreter.imports.find(frame.module, alias.name)
        first = alias.name.split(".")[0]
        if alias.asname:
            values = frozenset([ModuleValue(found)]) if found else frozenset([External(alias.name)])
            frame.bind(alias.asname, values)
            continue
        head = frame.interpreter.imports.find(frame.module, first)
        frame.bind(first, frozenset([ModuleValue(head)]) if head else frozenset([External(first)]))
        if found and found is not head:
            frame.heap.add(
                ("outside", alias.name.rpartition(".")[0], alias.name.rpartition(".")[2]), [ModuleValue(found)]
            )


def bind_names(frame: Frame, node: ast.ImportFrom) -> None:
    """Run `from a import b as c`."""
    found = frame.interpreter.imports.find(frame.module, node.module or "", node.level)
    for alias in node.names:
        if alias.name == "*":
            star = ModuleValue(found) if found else External(node.module or "")
            frame.heap.add(("stars", frame.module), [star])
            for name, inner in frame.interpreter.imports.offered(found).items() if found else ():
                if not frame.heap.knows(("global", found, name)):
                    frame.bind(name, frozenset([ModuleValue(inner)]))
            continue
        frame.bind(alias.asname or alias.name, _imported(frame, node, alias.name, found))


def _imported(frame: Frame, node: ast.ImportFrom, name: str, found: object) -> Values:
    inner = f"{node.module}.{name}" if node.module else name
    module = frame.interpreter.imports.find(frame.module, inner, node.level)
    if isinstance(found, Module):
        values = frame.heap.read(("global", found, name), frame.function)
        for star in frame.heap.read(("stars", found), frame.function):
            if isinstance(star, ModuleValue):
                values |= frame.heap.read(("global", star.module, name), frame.function)
        if values or module is None:
            return values
    if module is not None:
        return frozenset([ModuleValue(module)])
    return NOTHING if node.level else frozenset([External(f"{node.module}.{name}")])
