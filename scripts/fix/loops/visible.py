"""The constants behind the names that a header can use.

If this is wrong, a statement is judged by another text than it has; the header itself says the name.
"""

from __future__ import annotations

import ast
import copy

from .folding import folded
from .names import assigned_before
from .reader import Reader
from .terms import Frame, Unknown


def spelled(reader: Reader, term: ast.expr) -> ast.expr:
    """Return a term with the constants in place of their names, folded.

    Raises:
        Unknown: A name stands for something that is no constant.
    """
    made = _Speller(reader).visit(copy.deepcopy(term))
    assert isinstance(made, ast.expr)
    return made


class _Speller(ast.NodeTransformer):
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._outside = Frame(reader.root.function, {}, reader.root)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        made = super().generic_visit(node)
        return folded(made) if isinstance(made, ast.expr) else made

    def visit_Name(self, node: ast.Name) -> ast.AST:
        reader, function = self._reader, self._reader.root.function
        found = assigned_before(function.module, reader.loop.node, node.id)
        if found is not None:
            return spelled(reader, reader.expression(found.value, self._outside))
        constant = reader.constants.value(function.module, node.id)
        if constant is None or node.id in function.parameters:
            raise Unknown(f"`{node.id}` is no constant")
        return reader.expression(constant.value, Frame(constant.module.body, {}, reader.root))

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        reader, function = self._reader, self._reader.root.function
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        constant = reader.constants.attribute(function.module, owner, node.attr)
        if constant is None and owner in ("self", "cls") and function.cls is not None:
            constant = reader.constants.own(function.cls, node.attr)
        if constant is None:
            return self.generic_visit(node)
        return reader.expression(constant.value, Frame(constant.module.body, {}, reader.root))
