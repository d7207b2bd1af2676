"""Literals in syntax: a string as written, what it is bound to, and whether it stands in for the environment."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..model.code import Module

HOLE = "\0"
_ENVIRONMENT = re.compile(r"(^|[._])(environ|getenv|environment|env|config|conf|settings|secrets|vault)s?$", re.I)


def text(node: ast.AST | None) -> str | None:
    """Return a string or bytes literal's text, sums and `.encode()` included; fields of f-strings are HOLE."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bytes):
            return node.value.decode("latin-1")
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) or HOLE for part in node.values)
    if isinstance(node, ast.BinOp):
        return _sum(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "encode":
        return text(node.func.value)
    return None


def _sum(node: ast.BinOp) -> str | None:
    """Return the text of a sum with a literal in it; people add hundreds of lines, so this does not recurse."""
    parts: list[str | None] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):
        parts.append(text(left.right) if not isinstance(left.right, ast.BinOp) else None)
        left = left.left
    parts.append(text(left) if not isinstance(left, ast.BinOp) else None)
    if all(part is None for part in parts):
        return None
    return "".join(HOLE if part is None else part for part in reversed(parts))


def dotted(node: ast.AST | None) -> str:
    """Return `app.config` for such an expression; calls and elements are shown by what they are of."""
    names: list[str] = []
    while True:
        if isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Subscript):
            node = node.value
        else:
            break
    if isinstance(node, ast.Name):
        names.append(node.id)
    return ".".join(reversed(names))


def name_of(node: ast.AST) -> str:
    """Return what a target is called: the last of its names, or its constant key."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return text(node.slice) or ""
    return ""


def bindings(node: ast.AST) -> Iterator[tuple[ast.AST, ast.expr]]:
    """Yield the targets of an assignment with their values, tuples taken apart."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _paired(target, node.value)
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
        yield node.target, node.value


def _paired(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.AST, ast.expr]]:
    sequences = (ast.Tuple, ast.List)
    if isinstance(target, sequences) and isinstance(value, sequences) and len(target.elts) == len(value.elts):
        for one, other in zip(target.elts, value.elts, strict=True):
            yield from _paired(one, other)
    else:
        yield target, value


def stands_in(module: Module, node: ast.AST) -> bool:
    """Whether a literal is only what is taken when the environment or a configuration says nothing."""
    child = node
    for parent in module.ancestors(node):
        if isinstance(parent, ast.stmt):
            return False
        if isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.Or) and parent.values[0] is not child:
            return True
        if isinstance(parent, ast.IfExp) and child is not parent.test and _reads_environment(parent):
            return True
        if isinstance(parent, ast.Call) and _is_default(parent, child):
            return True
        child = parent
    return False


def _is_default(call: ast.Call, child: ast.AST) -> bool:
    """Whether a literal is a look-up's default: `os.getenv("KEY", "literal")`, `option(default="literal")`."""
    name = dotted(call.func)
    reads = name.endswith((".get", "getenv", ".setdefault", ".pop")) or _ENVIRONMENT.search(name)
    if isinstance(child, ast.keyword):
        return child.arg in ("default", "fallback", "help", "example", "description", "metavar")
    return bool(reads) and child in call.args[1:]


def _reads_environment(node: ast.AST) -> bool:
    names = [dotted(each) for each in ast.walk(node) if isinstance(each, (ast.Attribute, ast.Name))]
    return any(_ENVIRONMENT.search(name) for name in names)


def is_prose(module: Module, node: ast.AST) -> bool:
    """Whether a string is a statement of its own: a docstring, or a comment by other means."""
    return isinstance(module.parents.get(node), ast.Expr)
