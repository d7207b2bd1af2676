"""The engine: `python -m scripts.load.engine`. A job on stdin, lines of JSON on stdout.

Stdin stays open for as long as the caller lives; its end stops the process at once. Lines: `{"second": ...}` once
a second, `{"result": ...}` at the end, `{"failure": "..."}` when it could not run.
"""

from __future__ import annotations

import gevent.monkey

gevent.monkey.patch_all()

import json  # noqa: E402  gevent must come before all that opens sockets
import os  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402

import gevent.os  # noqa: E402

from ..scenario_job import scenario_of  # noqa: E402
from . import checking, running  # noqa: E402

SPARE_FILES = 64


def main() -> int:
    """Read the job, do it, write what it gave."""
    line = _read_line(sys.stdin.fileno())
    if not line:
        return 1
    gevent.spawn(_stop_if_orphaned)
    job = json.loads(line)
    scenario = scenario_of(job["scenario"])
    try:
        _allow_files(job["users"])
        result = checking.check(scenario, job) if job["check"] else running.run(scenario, job, _say)
    except OSError as error:
        _say({"failure": str(error)})
        return 0
    _say({"result": result})
    return 0


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _read_line(descriptor: int) -> bytes:
    """Read up to a newline without a buffer, which would swallow the end of the pipe."""
    parts = []
    while part := gevent.os.tp_read(descriptor, 65536):
        parts.append(part)
        if part.endswith(b"\n"):
            return b"".join(parts)
    return b""


def _stop_if_orphaned() -> None:
    if not gevent.os.tp_read(sys.stdin.fileno(), 4096):
        os._exit(1)


def _allow_files(users: int) -> None:
    """Raise the soft limit of open files to what the users need; OSError when the hard one is below."""
    needed = users + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise OSError(f"{users} users need {needed} open files, the limit is {hard}; see ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


if __name__ == "__main__":
    sys.exit(main())
