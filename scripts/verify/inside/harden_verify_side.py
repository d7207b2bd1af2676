"""One side as a WSGI app: `harden_verify_side:application`, imported by Gunicorn in the app's interpreter.

Redirects connections first, then runs the recipe's `before_import`, imports the app as `harden up` would (the
unhardened one too: its `app.run()` and what follows it are left out), then runs `after_import`, where `app` is the
WSGI object. Nothing of the kit's runtime is put around it.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def load() -> Any:
    """Return the app that _HARDEN_VERIFY_APP names."""
    importlib.import_module("harden_verify_redirect").install()
    kit = Path(os.environ["_HARDEN_VERIFY_KIT"])
    importing = runpy.run_path(str(kit / "backend" / "importing.py"))
    target = os.environ["_HARDEN_VERIFY_APP"]
    folder = str(importing["app_folder"](target))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    _run("before_import", {})
    loader = importlib.import_module(f"{_kit(kit / 'backend')}.app_loader")
    app = loader.load_app(target)
    module = sys.modules.get(getattr(app, "import_name", ""))
    _run("after_import", {"app": app, "module": module})
    return app


def _kit(folder: Path) -> str:
    """Return the name of a package over the kit's files whose `__init__` does not run."""
    package = ModuleType("harden_verify_kit")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    return package.__name__


def _run(name: str, names: dict[str, Any]) -> None:
    code = os.environ.get(f"_HARDEN_VERIFY_{name.upper()}")
    if code:
        exec(compile(code, f"<{name} of the recipe>", "exec"), {"__name__": f"harden_verify_{name}", **names})


if os.environ.get("_HARDEN_VERIFY_SERVE"):
    application = load()
    print("harden-verify: a worker is ready", file=sys.stderr, flush=True)
