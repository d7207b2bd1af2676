"""Starts the command line from any folder: the kit's root is first on the path, the caller's folder not on it."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

if sys.argv[1:2] == ["--run-tests"]:
    from scripts.run_tests import main
else:
    from scripts.cli import main

if __name__ == "__main__":  # not in what multiprocessing spawns
    sys.exit(main(sys.argv[2:] if sys.argv[1:2] == ["--run-tests"] else sys.argv[1:]))
