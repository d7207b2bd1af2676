"""H106: pools that together can take more connections than the server has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..evidence import Sizes, Start, evidence
from ..finding import Confidence, Evidence, Finding, Place, Severity
from ..model.project import Project
from ..rule import Rule
from .pool_arguments import largest
from .repository_text import first_mention
from .running import running
from .vendored_kit import is_of_kit

DEFAULT = 100  # max_connections of a PostgreSQL that nobody has set up
KEPT_BACK = 3  # superuser_reserved_connections
UNKNOWN_WORKERS = 2  # the fewest that anybody runs behind a WSGI server
RAISED = re.compile(r"^[^#]*max_connections\s*[=:]\s*['\"]?(\d+)|^[^#]*max_connections=(\d+)")
POOLER = re.compile(r"pgbouncer|pgcat|odyssey|supavisor|pgpool", re.IGNORECASE)


def _check(project: Project) -> Iterator[Finding]:
    calls = [
        call for call in project.calls("pool")
        if not is_of_kit(project, call.function.path) and running(project).is_of_app(call.function.module)
    ]  # fmt: skip
    if not calls or first_mention(project, POOLER):
        return
    found = evidence(project)
    limit, said = _limit(project)
    for call in calls:
        size = largest(call)
        if size is None or size * (found.workers or UNKNOWN_WORKERS) <= limit - KEPT_BACK:
            continue
        workers = f"{found.workers} workers" if found.workers else f"as few as {UNKNOWN_WORKERS} workers"
        total = size * (found.workers or UNKNOWN_WORKERS)
        message = f"a pool of up to {size} in each process makes {total} connections with {workers}"
        message += f"; the server has {limit}"
        message += "" if said else " unless it is set up otherwise"
        confidence = Confidence.high if found.workers and said else Confidence.medium
        shown = [Evidence(said, f"max_connections is {limit}")] if said else []
        sizes: list[Start | Sizes] = [*found.starts, *found.sizes]
        shown += [Evidence(each.place, f"{each.workers} workers") for each in sizes if each.workers]
        yield RULE.at(call.place, message, confidence=confidence, evidence=tuple(shown))


def _limit(project: Project) -> tuple[int, Place | None]:
    """Return the server's max_connections, and where it says so."""
    place = first_mention(project, RAISED)
    if place is None:
        return DEFAULT, None
    lines = next((module.lines for module in project.modules if module.path == place.path), None)
    line = (lines or project.text(place.path).splitlines())[place.line - 1]
    match = RAISED.search(line)
    return (int(match[1] or match[2]), place) if match else (DEFAULT, None)


RULE = Rule(
    id="H106",
    name="pool-too-large",
    finds="A pool whose size times the number of worker processes is more than the server's `max_connections`.",
    why="psycopg2's pools open connections until they are full and close them slowly. PostgreSQL takes 100 by"
    " default, 3"
    " of them for its superuser: above that every new connection fails with `too many clients already`, for the"
    " other"
    " workers, for migrations and for whoever wants to look. Pools with room for 5 to 500 per process were found"
    " in"
    " public apps. More connections than twice the server's cores make it slower, not faster.",
    fix="Size it from the server: (max_connections - 10) / processes, rarely more than the threads of a process;"
    " let"
    " requests wait for a connection (`timeout`) rather than open more. `harden init` computes `DB_POOL_MAX`.",
    leaves_alone=(
        "Pools whose sizes stay below the limit, or are not known.",
        "Repositories with PgBouncer or another pooler: it holds the number.",
        "Scripts.",
    ),
    severity=Severity.medium,
    check=_check,
    example="from flask import Flask\nfrom psycopg2.pool import ThreadedConnectionPool\n\n"
    "app = Flask(__name__)\n\n\n"
    "def make():\n    return ThreadedConnectionPool(1, 100, 'dbname=app')\n\n\n@app.get('/')\ndef home():\n"
    "    return ''\n",
    instead="from flask import Flask\nfrom psycopg2.pool import ThreadedConnectionPool\n\n"
    "app = Flask(__name__)\n\n\n"
    "def make():\n    return ThreadedConnectionPool(1, 8, 'dbname=app')\n\n\n@app.get('/')\ndef home():\n"
    "    return ''\n",
)
