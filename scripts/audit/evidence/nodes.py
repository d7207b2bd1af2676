"""A module's syntax nodes by type, found in one walk and kept: many questions are asked of every module."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TypeVar

from ..model.code import Module

Node = TypeVar("Node", bound=ast.AST)
_KEPT = "_nodes_by_type"


def nodes(module: Module, *types: type[Node]) -> list[Node]:
    """Return the nodes of these types, type by type, each in the order of a breadth-first walk."""
    kept: dict[type, list[ast.AST]] | None = vars(module).get(_KEPT)
    if kept is None:
        kept = vars(module)[_KEPT] = defaultdict(list)
        for node in ast.walk(module.tree):
            kept[type(node)].append(node)
    return [node for each in types for node in kept.get(each, []) if isinstance(node, each)]
