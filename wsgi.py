"""The entry point for Gunicorn: `application` is the app named by HARDEN_APP, else the reference shop.

    gunicorn -c deploy/gunicorn.conf.py wsgi:application

The runtime is imported by path, because the app may have a `backend` package of its own.
"""

import importlib
import os
import runpy
import sys
from pathlib import Path

_importing = runpy.run_path(str(Path(__file__).resolve().parent / "backend" / "importing.py"))
runtime = _importing["import_for_environment"]()
_target = os.environ.get("HARDEN_APP")
if _target:
    # Gunicorn has put our folder first; the app's goes before it, for it may have `scripts` or `deploy` as well.
    sys.path.insert(0, str(_importing["app_folder"](_target)))


def _broken(environ, start_response):  # type: ignore[no-untyped-def]
    start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
    return [b"The app cannot be loaded; the terminal says why. It is tried again when one of its files changes.\n"]


try:
    application = importlib.import_module(f"{runtime.__name__}.serving").create_application()
except SystemExit:
    if "_HARDEN_RELOAD" not in os.environ:
        raise
    application = _broken  # under `harden up --reload` a typo must not end the server
