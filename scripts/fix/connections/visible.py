"""Whether a file can import the vendored runtime by its name, as far as the layout and its other imports tell.

A script in a folder of its own sees what lies beside it, and not what lies at the repository's root. If this is
wrong, an app that nobody serves gets an import that fails.
"""

from __future__ import annotations

import ast

from ...audit.model.code import Module
from ...audit.model.kit_copy import kit_folders
from ...audit.model.project import Project


def sees_runtime(project: Project, kit: str, module: Module) -> bool:
    """Whether a module's imports start where the runtime's name does."""
    start = _start(project, kit)
    folder = module.path.rpartition("/")[0]
    if folder == start:
        return True
    inner = folder.removeprefix(start + "/" if start else "")
    if inner == folder and start:
        return False
    paths = {each.path for each in project.modules}
    folders = [folder for folder in _above(folder) if len(folder) > len(start)]
    return all(f"{each}/__init__.py" in paths for each in folders) or bool(_imported(module) & _tops(paths, start))


def _above(folder: str) -> list[str]:
    """Return a folder and those that it is in, without the root."""
    parts = folder.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _start(project: Project, kit: str) -> str:
    """Return the folder that the runtime's dotted name is looked up from; "" for the root."""
    tail = "/" + kit.replace(".", "/") + "/"
    found = [folder for folder in kit_folders(project) if ("/" + folder).endswith(tail)]
    return min((("/" + folder).removesuffix(tail).strip("/") for folder in found), default="")


def _tops(paths: set[str], start: str) -> set[str]:
    """Return the names that can be imported from a folder: its modules and its folders with modules."""
    prefix = start + "/" if start else ""
    inner = (path.removeprefix(prefix) for path in paths if path.startswith(prefix))
    return {each.partition("/")[0].removesuffix(".py") for each in inner}


def _imported(module: Module) -> set[str]:
    """Return the first parts of what a module imports by absolute names."""
    found: set[str] = set()
    beside = module.path.rpartition("/")[0]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found - {beside}


def connected(project: Project, module: Module) -> set[str]:
    """Return the paths of the modules that hang together with one by imports, in either direction."""
    links: dict[str, set[str]] = {}
    for each in project.modules:
        for other in _named(project, each):
            links.setdefault(each.path, set()).add(other)
            links.setdefault(other, set()).add(each.path)
    found, todo = {module.path}, [module.path]
    while todo:
        for other in links.get(todo.pop(), set()) - found:
            found.add(other)
            todo.append(other)
    return found


def _named(project: Project, module: Module) -> set[str]:
    """Return the modules that one may import: of several with a name those in its own folder."""
    folder = module.path.rpartition("/")[0]
    names: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.ImportFrom):
            names |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
    others = [each for each in project.modules if each is not module]
    found = {each.path: each.name.rpartition(".")[2] for each in others if each.name.rpartition(".")[2] in names}
    near = {path: name for path, name in found.items() if path.rpartition("/")[0] == folder}
    return {*near, *(path for path, name in found.items() if name not in near.values())}
