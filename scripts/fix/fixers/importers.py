"""Which files start what a file starts, by importing it and nothing else."""

from __future__ import annotations

import ast
from collections import deque

from ...audit.model.code import Module
from ...audit.model.imports import Imports
from ...audit.model.project import Project

_KEPT = "_importers"


def starts_by_import(project: Project, module: Module) -> list[Module]:
    """Return the files that import a file for nothing but what it does then, and that it does not import itself.

    `import app` alone starts what `app.py` starts; who takes a name from it, `wsgi.py` above all, wants the name.
    """
    below = _below(_imported(project), module)
    return [each for each in project.modules if each not in below and _only_imports(project, each, module)]


def _only_imports(project: Project, importer: Module, module: Module) -> bool:
    """Whether a file imports another as a whole and never uses it."""
    imports = Imports(project.modules)
    for node in importer.tree.body:
        for alias in node.names if isinstance(node, ast.Import) else ():
            name = alias.asname or alias.name.partition(".")[0]
            if imports.find(importer, alias.name) is module and name not in importer.mentions:
                return importer is not module
    return False


def _below(imported: dict[Module, set[Module]], module: Module) -> set[Module]:
    found: set[Module] = set()
    todo = deque([module])
    while todo:
        for each in imported[todo.popleft()]:
            if each not in found:
                found.add(each)
                todo.append(each)
    return found


def _imported(project: Project) -> dict[Module, set[Module]]:
    """Return what each module imports of the project, at whatever place in it."""
    if _KEPT not in vars(project):
        imports = Imports(project.modules)
        vars(project)[_KEPT] = {module: set(_of(imports, module)) for module in project.modules}
    found: dict[Module, set[Module]] = vars(project)[_KEPT]
    return found


def _of(imports: Imports, module: Module) -> list[Module]:
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found += [imports.find(module, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            name, level = node.module or "", node.level
            found.append(imports.find(module, name, level) if name else None)
            found += [imports.find(module, f"{name}.{alias.name}".strip("."), level) for alias in node.names]
    return [each for each in found if each is not None]
