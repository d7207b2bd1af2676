"""Import this folder for an app that may have a package of the same name.

An unedited app can have a `backend` package of its own. So `wsgi.py` and the Gunicorn config run this file by
path (`runpy.run_path`) and import the runtime under its folder's name when the app has none such, else under
`harden_runtime`. Must import nothing of ours: it runs before there is a name to import from.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).resolve().parent
OTHER_NAME = "harden_runtime"


def split_target(target: str) -> tuple[str, str]:
    """Split `place:name`, as HARDEN_APP gives it; either may be empty."""
    place, _, name = target.partition(":")
    return place.strip(), name.strip()


def app_folder(target: str) -> Path:
    """Return the folder that the app's own imports start from."""
    place, _ = split_target(target)
    path = Path(place)
    if path.suffix != ".py" and not path.is_dir():
        return Path.cwd()
    return import_root(path.resolve())


def import_root(path: Path) -> Path:
    """Return the folder above the packages around a file or package folder.

    A script that merely lies beside an `__init__.py` (tests leave them about) is imported from its own folder,
    as `python app.py` would: it is part of the package only if it imports from it.
    """
    own = root = path.parent
    while (root / "__init__.py").exists():
        root = root.parent
    if root == own or path.suffix != ".py" or path.name == "__init__.py":
        return root
    return root if _imports_from(path, path.relative_to(root).parts[0]) else own


def _imports_from(path: Path, package: str) -> bool:
    """Tell whether a file imports relatively, or by the name of a package around it."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (OSError, SyntaxError, ValueError):
        return False  # importing it will say what is wrong
    relative = any(isinstance(node, ast.ImportFrom) and node.level for node in nodes)
    names = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return relative or any(name.partition(".")[0] == package for name in names)


def import_for_environment() -> ModuleType:
    """Import the runtime for the app that HARDEN_APP names.

    Reads the one variable by itself: the settings can be imported only once the runtime has a name.
    """
    target = os.environ.get("HARDEN_APP")
    return import_runtime(str(app_folder(target)) if target else None)


def import_runtime(app_folder: str | None = None) -> ModuleType:
    """Import the runtime package and return it.

    Args:
        app_folder: the folder that the app's own imports start from; None when there is no other app.
    """
    name = OTHER_NAME if app_folder is not None and _is_taken(Path(app_folder)) else FOLDER.name
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(
        name, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{FOLDER} is no importable package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _is_taken(app_folder: Path) -> bool:
    folder = app_folder.resolve()
    rivals = (folder / FOLDER.name, folder / f"{FOLDER.name}.py")
    return any(rival.exists() and rival != FOLDER for rival in rivals)
