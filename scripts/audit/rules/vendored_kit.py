"""The kit's own runtime in the audited repository: copied there under any name, and no code of the app.

Knows it by what lies together in one folder, since the folder's name is the user's. If this is wrong, rules report
the pool that they recommend, or a folder of the user's stays unread.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ..evidence.nodes import nodes
from ..model.code import Module
from ..model.kit_copy import is_of_kit, kit_folders, set_aside
from ..model.values import Instance, Values, paths
from .expression_names import name_of

if TYPE_CHECKING:
    from ..model.project import Project

SWITCHES = ("adopt", "install", "Hardening")
_POOLED = "_is_pooled"


def is_pooled(project: Project) -> bool:
    """Whether the app calls the kit's `adopt()`, `install()` or extension, so that connects come out of a pool."""
    if _POOLED not in vars(project):
        names = {folder.rstrip("/").rpartition("/")[2] for folder in kit_folders(project)} | {"backend"}
        modules = [module for module in project.modules if not is_of_kit(project, module.path)]
        vars(project)[_POOLED] = any(_switches_on(module, names) for module in modules) or _adopts(project)
    found: bool = vars(project)[_POOLED]
    return found


def _adopts(project: Project) -> bool:
    """Whether a Flask app is given to an `adopt` from outside: the kit's, though no copy of it was read."""
    return any(
        call.target.rpartition(".")[2] == "adopt" and bool(call.arguments) and _is_app(call.arguments[0])
        for call in project.calls()
    )


def _is_app(values: Values) -> bool:
    return "flask.Flask()" in paths(values) or any(isinstance(value, Instance) for value in values)


def _switches_on(module: Module, packages: set[str]) -> bool:
    """Whether a module imports a switch from the kit, or the kit, and calls it."""
    imported, kits = set(), set()
    for node in nodes(module, ast.ImportFrom, ast.Import):
        if isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".")
            if packages & set(parts):
                imported |= {alias.asname or alias.name for alias in node.names if alias.name in SWITCHES}
            kits |= {alias.asname or alias.name for alias in node.names if alias.name in packages}
        elif isinstance(node, ast.Import):
            kits |= {alias.asname or alias.name for alias in node.names if packages & set(alias.name.split("."))}
    wanted = imported | {f"{kit}.{switch}" for kit in kits for switch in SWITCHES}
    return bool(wanted) and any(name_of(node.func) in wanted for node in nodes(module, ast.Call))


__all__ = ["is_of_kit", "is_pooled", "kit_folders", "set_aside"]
