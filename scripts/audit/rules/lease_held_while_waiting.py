"""H107: a connection that is held while the code waits for something else."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Place, Severity
from ..model.code import Call, Function
from ..model.project import Project
from ..rule import Rule
from .connection_acts import holds_connection
from .expression_names import title_of
from .lifetimes import Lifetimes, lifetimes
from .running import running
from .vendored_kit import is_of_kit

WAITS = ("http", "sleep")


def _check(project: Project) -> Iterator[Finding]:
    lives, when = lifetimes(project), running(project)
    for function in project.functions():
        if function.is_module or is_of_kit(project, function.path) or not when.is_served(function):
            continue
        spans = list(_leases(project, lives, function))
        found = [
            (call, start) for call in function.calls if (start := _held_by(call, spans)) and _wait(project, call)
        ]
        if found:
            yield _finding(project, function, found)


def _leases(project: Project, lives: Lifetimes, function: Function) -> Iterator[tuple[Place, int, int]]:
    """Yield where a function takes a connection, and the lines from behind that to where it lets go."""
    for call in function.calls:
        if call in lives.verdicts and lives.verdicts[call].kind in ("closed", "leaks"):
            parent = function.module.parents.get(call.node)
            if not isinstance(parent, ast.withitem):
                yield call.place, call.place.end_line + 1, _last_line(project, function, call)
    for node in ast.walk(function.node):
        if not isinstance(node, (ast.With, ast.AsyncWith)):
            continue
        for item in node.items:
            if _is_lease(project, function, item.context_expr):
                place = function.module.place(item.context_expr)
                yield place, node.body[0].lineno, node.body[-1].end_lineno or node.body[-1].lineno


def _is_lease(project: Project, function: Function, node: ast.expr) -> bool:
    """Whether a `with` takes a connection for as long as it lasts."""
    calls = [call for call in function.calls if call.node is node]
    if any(call.does in ("connect", "getconn") for call in calls):
        return True
    made = any(holds_connection(call.result) for call in calls) or any(
        callee.is_context_manager or callee.name == "__enter__" for call in calls for callee in call.callees
    )
    return made and any(project.reach.behind(call, "connect", "getconn") for call in calls)


def _last_line(project: Project, function: Function, start: Call) -> int:
    """Return the line that lets go of a connection; of several the last, without any the function's end."""
    lines = [
        call.place.line for call in function.calls
        if call.place.line > start.place.line and project.reach.behind(call, "close", "putconn")
        and not project.reach.behind(call, "connect", "getconn")
    ]  # fmt: skip
    return max(lines, default=getattr(function.node, "end_lineno", None) or start.place.line)


def _held_by(call: Call, spans: list[tuple[Place, int, int]]) -> Place | None:
    line = call.place.line
    return next((place for place, first, last in spans if first <= line <= last), None)


def _wait(project: Project, call: Call) -> Call | None:
    return next(iter(project.reach.behind(call, *WAITS)), None)


def _finding(project: Project, function: Function, found: list[tuple[Call, Place]]) -> Finding:
    call, start = found[0]
    wait = _wait(project, call)
    assert wait is not None
    what = "sleeps" if wait.does == "sleep" else "waits for another server"
    through = "" if wait is call else f" in {wait.function.name}()"
    routes = project.reach.routes(function)
    evidence = [Evidence(start, "takes the connection")]
    evidence += [] if wait is call else [Evidence(wait.place, f"{what} here")]
    return RULE.at(
        call.place, f"{title_of(function)}() holds a connection while it {what}{through}",
        evidence=tuple(evidence), more=tuple(each.place for each, _ in found[1:]), routes=routes,
        confidence=Confidence.high if routes else Confidence.medium,
    )  # fmt: skip


RULE = Rule(
    id="H107",
    name="lease-held-while-waiting",
    finds="An HTTP call, a mail or a sleep between taking a connection and giving it back, in the function or in"
    " what it"
    " calls.",
    why="The connection does nothing and nobody else can have it. With 8 connections and a partner that takes 2"
    " s, 4"
    " requests a second use up the pool, and pages that have nothing to do with the partner time out. When a"
    " statement"
    " ran before, its transaction stays open with its locks, and vacuum waits.",
    fix="Read what you need, give the connection back, call the other server, then take a connection again to"
    " write.",
    leaves_alone=(
        "Waiting before the connection is taken, or after it is given back.",
        "Scripts and start-up code.",
        "`g`-kept connections: how long they are held is the request's matter.",
    ),
    severity=Severity.medium,
    check=_check,
    example="import psycopg2\nimport requests\nfrom psycopg2.pool import ThreadedConnectionPool\n"
    "from flask import Flask\n\n"
    "app = Flask(__name__)\npool = ThreadedConnectionPool(0, 8, 'dbname=app')\n\n\n@app.get('/')\ndef home():\n"
    "    conn = pool.getconn()\n    try:\n        return requests.get('https://example.org', timeout=5).text\n"
    "    finally:\n"
    "        pool.putconn(conn)\n",
    instead="import psycopg2\nimport requests\nfrom psycopg2.pool import ThreadedConnectionPool\n"
    "from flask import Flask\n\n"
    "app = Flask(__name__)\npool = ThreadedConnectionPool(0, 8, 'dbname=app')\n\n\n@app.get('/')\ndef home():\n"
    "    text = requests.get('https://example.org', timeout=5).text\n    conn = pool.getconn()\n    try:\n"
    "        conn.cursor().execute('INSERT INTO log (t) VALUES (%s)', (text,))\n        conn.commit()\n"
    "    finally:\n"
    "        pool.putconn(conn)\n    return text\n",
)
