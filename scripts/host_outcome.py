"""How a verb that runs on a host tells what happened: steps as they are done, an error in one line with its log.

Exit codes: 1 when all was put back, 2 when a person must change something.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from deploy.errors import InputError
from deploy.host.errors import GateError

LONGEST_LINE = 400


def say(line: str) -> None:
    """Print a line of progress at once, also into a pipe."""
    print(f"harden: {line}", file=sys.stderr, flush=True)


def told(act: Callable[[], int]) -> int:
    """Do something; returns its exit code, or that of its error, which is printed."""
    try:
        return act()
    except InputError as error:
        for line in getattr(error, "tail", ()):
            print(f"  | {line[:LONGEST_LINE]}", file=sys.stderr)
        for problem in getattr(error, "problems", [str(error)]):
            print(f"harden: error: {' '.join(problem.split())}", file=sys.stderr, flush=True)
        return 1 if isinstance(error, GateError) else 2
    except BrokenPipeError:
        raise  # of whoever read what we print
    except OSError as error:  # a full disk, a file that is not ours
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"harden: error: {what}; nothing more was done", file=sys.stderr, flush=True)
        return 2
