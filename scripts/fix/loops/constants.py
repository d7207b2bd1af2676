"""What the names of a module are where they are given once: its constants, imported ones, attributes of classes.

If this is wrong, a statement is announced with a text that is never sent; nothing else changes.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from ...audit.model.code import Class, Module
from ...audit.model.imports import Imports
from ...audit.model.project import Project
from .terms import stored

FARTHEST = 4  # modules that an import is followed through


@dataclass(frozen=True)
class Found:
    """The only value that a name has, and the module that gives it."""

    module: Module
    value: ast.expr


class Constants:
    """The names of a project's modules."""

    def __init__(self, project: Project) -> None:
        self._imports = Imports(project.modules)

    def value(self, module: Module, name: str, far: int = 0) -> Found | None:
        """Return what a module's name is; None unless one plain assignment says it."""
        gives = self._giving(module, name)
        if isinstance(gives, ast.Assign) and len(gives.targets) == 1 and isinstance(gives.targets[0], ast.Name):
            return Found(module, gives.value)
        if isinstance(gives, ast.AnnAssign) and gives.value is not None:
            return Found(module, gives.value)
        if isinstance(gives, ast.ImportFrom) and far < FARTHEST:
            other = self._imports.find(module, gives.module or "", gives.level)
            return self.value(other, _real(gives, name), far + 1) if other is not None else None
        return None

    def attribute(self, module: Module, owner: str, name: str) -> Found | None:
        """Return what `owner.name` is, where the owner is a module or a class."""
        other = self.module(module, owner)
        if other is not None:
            return self.value(other, name)
        cls = self.cls(module, owner)
        return self.own(cls, name) if cls is not None else None

    def module(self, module: Module, name: str) -> Module | None:
        """Return the project's module that a name stands for in a module."""
        gives = self._giving(module, name)
        if isinstance(gives, ast.Import):
            return self._imports.find(module, _real(gives, name))
        if isinstance(gives, ast.ImportFrom):
            path = ".".join(filter(None, (gives.module, _real(gives, name))))
            return self._imports.find(module, path, gives.level)
        return None

    def cls(self, module: Module, name: str, far: int = 0) -> Class | None:
        """Return the project's class that a name stands for in a module."""
        gives = self._giving(module, name)
        if isinstance(gives, ast.ClassDef):
            return next((each for each in module.classes if each.node is gives), None)
        if isinstance(gives, ast.ImportFrom) and far < FARTHEST:
            other = self._imports.find(module, gives.module or "", gives.level)
            return self.cls(other, _real(gives, name), far + 1) if other is not None else None
        return None

    @staticmethod
    def own(cls: Class, name: str) -> Found | None:
        """Return what an attribute in a class's body is, the bases' included."""
        for each in cls.lineage:
            body = each.node.body
            found = [one for one in body if isinstance(one, (ast.Assign, ast.AnnAssign)) and name in stored(one)]
            if found:
                value = found[0].value
                return Found(each.module, value) if len(found) == 1 and value is not None else None
        return None

    @staticmethod
    def _giving(module: Module, name: str) -> ast.stmt | None:
        """Return the only statement of a module that gives a name its value."""
        found = [each for each in module.tree.body if name in stored(each)]
        if len(found) != 1 or any(name in each.globals for each in module.functions):
            return None
        return found[0]


def _real(node: ast.Import | ast.ImportFrom, name: str) -> str:
    """Return what an imported name is called where it comes from."""
    for each in node.names:
        if (each.asname or each.name.partition(".")[0]) == name:
            return each.name
    return name
