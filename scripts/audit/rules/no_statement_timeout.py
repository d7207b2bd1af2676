"""H109: nothing ends a statement that takes too long."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Confidence, Finding, Severity
from ..model.project import Project
from ..rule import Rule
from .lifetimes import is_ours
from .pool_arguments import pool_type
from .repository_text import first_mention
from .running import running
from .vendored_kit import is_of_kit, is_pooled

SET = re.compile(r"statement_timeout|transaction_timeout|query_timeout", re.IGNORECASE)


def _check(project: Project) -> Iterator[Finding]:
    if is_pooled(project) or first_mention(project, SET):
        return
    when = running(project)
    calls = [
        call for call in project.calls("connect", "pool")
        if (is_ours(call) or pool_type(call).startswith(("psycopg2.pool.", "psycopg_pool.")))
        and not is_of_kit(project, call.function.path) and when.is_of_app(call.function.module)
        and (when.is_served(call.function) or project.reach.is_import_time(call))
    ]  # fmt: skip
    if not calls:
        return
    first, *others = sorted(
        calls, key=lambda call: (call.does != "pool", not when.is_routed(call.function), call.place)
    )
    message = (
        "no statement_timeout is set: not where the app connects, nor in its SQL, settings or deployment files"
    )
    yield RULE.at(first.place, message, confidence=Confidence.medium, more=tuple(call.place for call in others))


RULE = Rule(
    id="H109",
    name="no-statement-timeout",
    finds="An app that sets no `statement_timeout`: not when it connects, not for its role or database, not per"
    " transaction. One finding for the repository.",
    why="PostgreSQL's default is to run a statement for ever. A missing index or a lock then keeps the"
    " connection, the"
    " worker and the locks of that transaction long after the browser and the proxy have given up, and retries"
    " pile up"
    " behind it.",
    fix="`ALTER ROLE app SET statement_timeout = '15s'` in the schema, or `options='-c statement_timeout=15000'`"
    " in"
    " connect; the kit has `DB_STATEMENT_TIMEOUT_MS`.",
    leaves_alone=(
        "Repositories that name `statement_timeout` anywhere: in code, SQL, settings or PgBouncer's"
        " `query_timeout`.",
        "Repositories whose only connects are those of scripts.",
        "Apps that call the kit's `adopt()` or `install()`.",
    ),
    severity=Severity.low,
    check=_check,
    example="import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/')\ndef home():\n"
    "    conn = psycopg2.connect('dbname=app')\n    conn.close()\n    return ''\n",
    instead="import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/')\ndef home():\n"
    "    conn = psycopg2.connect('dbname=app', options='-c statement_timeout=15000')\n    conn.close()\n"
    "    return ''\n",
)
