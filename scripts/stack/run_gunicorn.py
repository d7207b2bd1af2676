"""Runs Gunicorn in the app's own interpreter; what that interpreter lacks comes from the kit's environment.

Run by path, not imported: `python run_gunicorn.py GUNICORN-ARGUMENTS`. The kit's packages go to the end of
the path, so that every package the app has itself wins. Gunicorn alone is always the kit's: an app may pin an
old one, which our configuration does not fit and which newer Pythons cannot run.
"""

import importlib
import os
import sys
from pathlib import Path

here = Path(__file__).resolve().parent
kit = [entry for entry in os.environ.pop("_HARDEN_KIT_PATH", "").split(os.pathsep) if entry]
app = [str(Path.cwd()), *(entry for entry in sys.path if Path(entry or ".").resolve() != here)]
sys.path[:] = kit + app
importlib.import_module("gunicorn")  # its submodules follow it, wherever the path leads then
sys.path[:] = app + kit

sys.argv[0] = "gunicorn"
importlib.import_module("gunicorn.app.wsgiapp").run()
