"""H101: a request opens a database connection of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.code import Call, Function
from ..model.project import Project
from ..rule import Rule
from .expression_names import title_of
from .lifetimes import Lifetimes, is_ours, lifetimes
from .pools_per_request import pools_per_request
from .running import running
from .vendored_kit import is_of_kit, is_pooled

MOST_SHOWN = 3


def _check(project: Project) -> Iterator[Finding]:
    lives, when = lifetimes(project), running(project)
    for function in () if is_pooled(project) else project.functions():
        calls = [call for call in function.calls if call.does == "connect" and is_ours(call)]
        calls = [call for call in calls if _is_per_request(lives, call, set())]
        if calls and when.is_served(function) and not is_of_kit(project, function.path):
            for group in _groups(lives, calls):
                yield _finding(project, function, group)
    for call in pools_per_request(project):
        yield _pool(project, call)


def _groups(lives: Lifetimes, calls: list[Call]) -> list[list[Call]]:
    """Return the calls of a function, those together of which one runs: returned, or in branches of an `if`."""
    groups: list[list[Call]] = []
    for call in calls:
        is_returned = lives.verdicts[call].kind == "returned"
        for group in groups:
            if (is_returned and lives.verdicts[group[0]].kind == "returned") or _is_either(group[0], call):
                group.append(call)
                break
        else:
            groups.append([call])
    return groups


def _is_either(one: Call, other: Call) -> bool:
    """Whether two calls stand in different branches of an `if`."""
    module = one.function.module
    above = [one.node, *module.ancestors(one.node)]
    below: ast.AST = other.node
    for node in module.ancestors(other.node):
        if node in above:
            branch = above[above.index(node) - 1]
            if isinstance(node, ast.If):
                return (branch in node.orelse) != (below in node.orelse)
            return isinstance(node, ast.IfExp)
        below = node
    return False


def _is_per_request(lives: Lifetimes, call: Call, seen: set[Call]) -> bool:
    """Whether a connection is made again and again: it is not kept for the process, here or by every caller."""
    verdict = lives.verdicts.get(call)
    if verdict is None or call.function.is_module:
        return False
    seen.add(call)
    callers = [each for each in call.function.callers if each in lives.verdicts and each not in seen]
    if verdict.kind not in ("returned", "kept") or not callers:
        return verdict.kind != "process"
    return any(_is_per_request(lives, each, seen) for each in callers)


def _finding(project: Project, function: Function, calls: list[Call]) -> Finding:
    """Report a place that connects, with the places that call its function."""
    routes = project.reach.routes(function)
    places = tuple(sorted({call.place for call in function.callers}))
    where = f"{len(routes)} route{'s' * (len(routes) != 1)}" if routes else "no route that is known"
    through = f", called in {len(places)} place{'s' * (len(places) != 1)}" if places else ""
    verb = "get" if len(routes) > 1 else "gets"
    message = f"{title_of(function)}() opens a new connection each time{through}; {where} {verb} here"
    evidence = [Evidence(place, f"calls {title_of(function)}()") for place in places[:MOST_SHOWN]]
    evidence += [Evidence(call.place, "connects here as well") for call in calls[1:]]
    return RULE.at(
        calls[0].place, message, evidence=tuple(evidence), more=places, routes=routes,
        severity=Severity.high if routes else Severity.medium,
        confidence=Confidence.high if routes else Confidence.medium,
    )  # fmt: skip


def _pool(project: Project, call: Call) -> Finding:
    """Report a pool that is made for one request."""
    routes = project.reach.routes(call.function)
    message = f"{title_of(call.function)}() makes a new pool each time, which opens connections and shares none"
    return RULE.at(call.place, message, severity=Severity.high, confidence=Confidence.high, routes=routes)


RULE = Rule(
    id="H101",
    name="connect-per-request",
    finds="A `psycopg2.connect()` that requests run: in a view, a helper, a decorator, a constructor, or kept in"
    " `g`; a pool that each request makes anew.",
    why="A connection costs a TCP and TLS handshake, a log-in and a new server process, before the first"
    " statement. With"
    " one per helper a page opens as many connections as it runs helpers: 57 for one page in an app that was"
    " measured."
    " At PostgreSQL's default of 100 connections a small rush ends in `too many clients already`.",
    fix="Take connections from one pool per process: call the kit's `adopt(app)` where the app is made, or use its"
    " `get_db_connection()` with `DB_POOL_MAX`.",
    leaves_alone=(
        "Connections of start-up code, scripts and command-line commands.",
        "A connection that is made once for the process; global-shared-connection is about that.",
        "Connections out of a pool, and every connect of an app that calls the kit's `adopt()` or `install()`.",
    ),
    severity=Severity.high,
    check=_check,
    example="import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/')\ndef home():\n"
    "    conn = psycopg2.connect('dbname=app')\n    try:\n        return str(conn.info.status)\n    finally:\n"
    "        conn.close()\n",
    instead="from flask import Flask\nfrom backend import get_db_connection\n\napp = Flask(__name__)\n\n\n"
    "@app.get('/')\n"
    "def home():\n    with get_db_connection() as conn:\n        return str(conn.info.status)\n",
)
