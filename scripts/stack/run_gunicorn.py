"""Runs Gunicorn in the app's own interpreter; what that interpreter lacks comes from the kit's environment.

Run by path, not imported: `python run_gunicorn.py GUNICORN-ARGUMENTS`. The kit's packages go to the end of
the path, so that every package the app has itself wins.
"""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
sys.path.insert(0, os.getcwd())
sys.path += [entry for entry in os.environ.pop("_HARDEN_KIT_PATH", "").split(os.pathsep) if entry]

from gunicorn.app.wsgiapp import run  # noqa: E402

sys.argv[0] = "gunicorn"
run()
