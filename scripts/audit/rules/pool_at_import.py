"""H105: a pool that is made when its module is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.project import Project
from ..model.values import NOTHING, Values, constants
from ..rule import Rule
from .pool_arguments import pool_type, smallest
from .repository_text import first_mention
from .running import running
from .vendored_kit import is_of_kit

PRELOAD = re.compile(r"^[^#]*(preload_app\s*=\s*True|--preload\b)")
EAGER = ("psycopg2.pool.", "psycopg_pool.")


def _check(project: Project) -> Iterator[Finding]:
    preload = None
    looked = False
    for call in project.calls("pool"):
        if is_of_kit(project, call.function.path) or not running(project).is_of_app(call.function.module):
            continue
        if (
            not project.reach.is_import_time(call)
            or not pool_type(call).startswith(EAGER)
            or _is_closed(call.keywords)
        ):
            continue
        count = smallest(call)
        if count == 0:
            continue
        if not looked:
            preload, looked = first_mention(project, PRELOAD), True
        opened = f"{count} connection{'s' * (count != 1)}" if count else "its first connections"
        message = (
            f"the pool is made at import and opens {opened} in every process that imports {call.function.path}"
        )
        evidence: tuple[Evidence, ...] = ()
        if preload:
            message += "; with preload the workers share their sockets"
            evidence = (Evidence(preload, "loads the app before the workers fork"),)
        yield RULE.at(
            call.place, message, evidence=evidence, severity=Severity.high if preload else Severity.medium,
            confidence=Confidence.high,
        )  # fmt: skip


def _is_closed(keywords: dict[str, Values]) -> bool:
    """Whether psycopg's pool is made with `open=False`."""
    return any(value is False for value in constants(keywords.get("open", NOTHING)))


RULE = Rule(
    id="H105",
    name="pool-at-import",
    finds="A connection pool that is made while a module is imported, and opens connections there.",
    why="Every process that imports the module connects: each worker, and each shell, migration and test. When"
    " the server"
    " is down or slow, the import fails and the app does not start. Under Gunicorn's `preload_app` the sockets"
    " are made"
    " before the fork and shared: two workers read each other's answers.",
    fix="Make the pool at first use in each process: the kit's pool opens nothing until somebody asks, and drops"
    " what it"
    " inherits through a fork.",
    leaves_alone=(
        "A pool of psycopg2 with `minconn=0`, and one of psycopg with `open=False`.",
        "The kit's pool.",
        "Pools that a function makes at first use, and those of scripts.",
    ),
    severity=Severity.medium,
    check=_check,
    example="from flask import Flask\nfrom psycopg2.pool import ThreadedConnectionPool\n\napp = Flask(__name__)\n"
    "pool = ThreadedConnectionPool(2, 10, 'dbname=app')\n\n\n@app.get('/')\ndef home():\n    return ''\n",
    instead="from flask import Flask\nfrom backend import ThreadedConnectionPool\n\napp = Flask(__name__)\n"
    "pool = ThreadedConnectionPool(2, 10, 'dbname=app')\n\n\n@app.get('/')\ndef home():\n    return ''\n",
)
