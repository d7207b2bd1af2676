"""The entry point for Gunicorn: `application` is the app named by HARDEN_APP, else the reference shop.

    gunicorn -c deploy/gunicorn.conf.py wsgi:application

The runtime is imported by path, because the app may have a `backend` package of its own.
"""

import importlib
import runpy
from pathlib import Path

_importing = runpy.run_path(str(Path(__file__).resolve().parent / "backend" / "importing.py"))
runtime = _importing["import_for_environment"]()
application = importlib.import_module(f"{runtime.__name__}.serving").create_application()
