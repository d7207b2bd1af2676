"""Import this folder for an app that may have a package of the same name.

An unedited app can have a `backend` package of its own. So `wsgi.py` and the Gunicorn config run this file by
path (`runpy.run_path`) and import the runtime under its folder's name when the app has none such, else under
`harden_runtime`. Must import nothing of ours: it runs before there is a name to import from.
"""

from __future__ import annotations

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
    folder = path.resolve().parent
    while (folder / "__init__.py").exists():
        folder = folder.parent
    return folder


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
