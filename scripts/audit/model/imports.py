"""Which module of the project an import means.

People run their app from many folders, so a name is looked for beside the importing file first, then in each
folder above it, then anywhere in the project by its end, unless the name is one of the standard library's.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable

from .code import Module

NEVER_OURS = frozenset(sys.stdlib_module_names) | {
    "flask",
    "psycopg2",
    "psycopg",
    "sqlalchemy",
    "werkzeug",
    "jinja2",
}


class Imports:
    """The modules of a project by every name that they can be imported by."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self._by_name: dict[str, Module] = {}
        self._by_end: dict[str, list[Module]] = {}
        self._folders: set[str] = set()
        for module in modules:
            self._by_name[module.name] = module
            parts = module.name.split(".")
            for start in range(len(parts)):
                self._by_end.setdefault(".".join(parts[start:]), []).append(module)
            folders = parts if module.is_package else parts[:-1]
            self._folders.update(".".join(folders[:end]) for end in range(1, len(folders) + 1))

    def find(self, importer: Module, name: str, level: int = 0) -> Module | None:
        """Return the module that `import name` means in a module; `level` counts the dots of a relative import."""
        package = self._package(importer)
        if level:
            start = package[: len(package) - (level - 1)] if level > 1 else package
            return self._by_name.get(".".join([*start, *filter(None, [name])]))
        for end in range(len(package), -1, -1):
            found = self._by_name.get(".".join([*package[:end], name]))
            if found is not None and found is not importer:
                return found
        if name.split(".")[0] in NEVER_OURS:
            return None
        others = [module for module in self._by_end.get(name, ()) if module is not importer]
        return min(others, key=lambda module: (-_shared(module.name, importer.name), module.path), default=None)

    def is_folder(self, importer: Module, name: str) -> bool:
        """Whether a name is a folder of the project without an `__init__.py`, as seen from a module."""
        package = self._package(importer)
        return any(".".join([*package[:end], name]) in self._folders for end in range(len(package), -1, -1))

    def offered(self, package: Module) -> dict[str, Module]:
        """Return the modules of a package that `import *` loads: those in `__all__`, all when that is computed."""
        listed = _all_of(package) if package.is_package else None
        if listed is None:
            return {}
        start = f"{package.name}." if package.name else ""
        inner = {
            name.removeprefix(start): module for name, module in self._by_name.items()
            if module is not package and name.startswith(start) and "." not in name.removeprefix(start)
        }  # fmt: skip
        names = {each.value for each in getattr(listed, "elts", ()) if isinstance(each, ast.Constant)}
        is_fixed = isinstance(listed, (ast.List, ast.Tuple))
        return {name: module for name, module in inner.items() if not is_fixed or name in names}

    @staticmethod
    def _package(module: Module) -> list[str]:
        parts = module.name.split(".") if module.name else []
        return parts if module.is_package else parts[:-1]


def _shared(first: str, second: str) -> int:
    """Return how many leading parts two names share."""
    count = 0
    for left, right in zip(first.split("."), second.split("."), strict=False):
        if left != right:
            break
        count += 1
    return count


def _all_of(module: Module) -> ast.expr | None:
    """Return what a module's `__all__` is made by; None when it has none."""
    for node in module.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.Assign) and any(getattr(each, "id", "") == "__all__" for each in targets):
            return node.value
    return None
