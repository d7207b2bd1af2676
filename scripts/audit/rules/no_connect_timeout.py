"""H108: a connect that waits for as long as the network lets it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..finding import Confidence, Finding, Severity
from ..model.code import Call
from ..model.project import Project
from ..model.values import constants, texts
from ..rule import Rule
from .lifetimes import is_ours
from .pool_arguments import pool_type
from .repository_text import first_mention
from .running import running
from .vendored_kit import is_of_kit, is_pooled

SET = re.compile(r"connect_timeout|PGCONNECT_TIMEOUT", re.IGNORECASE)


def _check(project: Project) -> Iterator[Finding]:
    if is_pooled(project):
        return
    when = running(project)
    calls = [call for call in project.calls("connect", "pool") if _is_to_server(call)]
    calls = [call for call in calls if not is_of_kit(project, call.function.path)]
    calls = [call for call in calls if when.is_of_app(call.function.module) and not _says_timeout(call)]
    if calls and first_mention(project, SET):
        calls = [call for call in calls if _is_spelled_out(call)]
    by_file: dict[str, list[Call]] = {}
    for call in calls:
        by_file.setdefault(call.function.path, []).append(call)
    for group in by_file.values():
        yield _finding(project, group)


def _finding(project: Project, calls: list[Call]) -> Finding:
    """Report a file's connects together."""
    first, *others = calls
    is_known = _is_spelled_out(first)
    routes = tuple(sorted({route for call in calls for route in project.reach.routes(call.function)}))
    where = "" if is_known else "the DSN is not in the code, and "
    count = f" in {len(calls)} connects of this file" if others else ""
    why = "a server that does not answer holds the worker for minutes"
    confidence = Confidence.medium if is_known else Confidence.low
    more = tuple(call.place for call in others)
    message = f"{where}no connect_timeout is set{count}: {why}"
    return RULE.at(first.place, message, confidence=confidence, more=more, routes=routes)


def _is_to_server(call: Call) -> bool:
    if call.does == "pool":
        return pool_type(call).startswith("psycopg2.pool.")
    return is_ours(call)


def _says_timeout(call: Call) -> bool:
    if "connect_timeout" in call.keywords:
        return True
    given = [*call.arguments, *call.keywords.values()]
    return any("connect_timeout" in text.with_holes("") for values in given for text in texts(values))


def _is_spelled_out(call: Call) -> bool:
    """Whether the call shows all of its settings: keywords, or a constant DSN."""
    node = call.node
    if not isinstance(node, ast.Call) or any(keyword.arg is None for keyword in node.keywords):
        return False
    first = 2 if call.does == "pool" else 0
    dsn = [
        *call.arguments[first : first + 1],
        *(call.keywords[name] for name in ("dsn", "conninfo") if name in call.keywords),
    ]
    return all(any(isinstance(each, str) for each in constants(values)) for values in dsn)


RULE = Rule(
    id="H108",
    name="no-connect-timeout",
    finds="A `psycopg2.connect()` or pool without `connect_timeout`, in its arguments, its DSN or the"
    " environment. One"
    " finding for each file.",
    why="libpq waits without end by itself; the kernel gives up on a host that drops packets after about two"
    " minutes."
    " During a failover or a firewall change every worker hangs in `connect`, and the whole app with them,"
    " although it"
    " could answer 503 at once.",
    fix="`psycopg2.connect(..., connect_timeout=5)`, or `?connect_timeout=5` in the URL; the kit's pool"
    " does so by itself (`connect_timeout`, 5 s).",
    leaves_alone=(
        "Connects with `connect_timeout`, and repositories that set `PGCONNECT_TIMEOUT`.",
        "A DSN out of the environment, when the repository names `connect_timeout` anywhere.",
        "Scripts, and apps that call the kit's `adopt()` or `install()`.",
    ),
    severity=Severity.low,
    check=_check,
    example="import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/')\ndef home():\n"
    "    conn = psycopg2.connect(host='db', dbname='app')\n    conn.close()\n    return ''\n",
    instead="import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/')\ndef home():\n"
    "    conn = psycopg2.connect(host='db', dbname='app', connect_timeout=5)\n    conn.close()\n    return ''\n",
)
