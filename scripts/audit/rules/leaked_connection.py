"""H103: a connection that is not closed, or not given back to its pool, on every way out."""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.code import Call, Function
from ..model.project import Project
from ..model.values import Connection
from ..rule import Rule
from .expression_names import title_of
from .lifetimes import ONLY_AT_THE_END, Lifetimes, lifetimes
from .running import running
from .vendored_kit import is_of_kit, is_pooled


def _check(project: Project) -> Iterator[Finding]:
    lives, when, pooled = lifetimes(project), running(project), is_pooled(project)
    for function in project.functions():
        leaks = [
            call for call in function.calls if call in lives.verdicts and lives.verdicts[call].kind == "leaks"
            and not (pooled and _goes_back(call))
        ]  # fmt: skip
        if leaks and not function.is_module and when.is_served(function) and not is_of_kit(project, function.path):
            yield _finding(project, lives, function, leaks)


def _goes_back(call: Call) -> bool:
    """Whether a request of a pooled app gives a connection back at its end: one that `psycopg2.connect` made."""
    found = [value for value in call.result if isinstance(value, Connection)]
    return call.does != "getconn" and all(value.pool in ("", "harden") for value in found)


def _finding(project: Project, lives: Lifetimes, function: Function, leaks: list[Call]) -> Finding:
    first, *others = leaks
    why = lives.verdicts[first].why
    routes = project.reach.routes(function)
    also = f" (and {len(others)} more in this function)" if others else ""
    severity = Severity.medium if why == ONLY_AT_THE_END or not routes else Severity.high
    return RULE.at(
        first.place, f"the connection that {title_of(function)}() takes here {why}{also}",
        evidence=tuple(_origin(first)), more=tuple(call.place for call in others), routes=routes,
        severity=severity,
        confidence=Confidence.high if routes else Confidence.medium,
    )  # fmt: skip


def _origin(call: Call) -> Iterator[Evidence]:
    """Yield the helpers that it comes from."""
    for callee in call.callees:
        if callee.is_module or not hasattr(callee.node, "lineno"):
            continue
        place = callee.module.place(callee.node)
        yield Evidence(type(place)(place.path, place.line, place.col), f"{title_of(callee)}() hands it out")


RULE = Rule(
    id="H103",
    name="leaked-connection",
    finds="A connection that stays open when a statement raises, a function returns early, or always: no"
    " `close()` or"
    " `putconn()` on some way out.",
    why="Each leak holds a server process and often an open transaction with its locks until the garbage"
    " collector or a"
    " restart comes by. `with psycopg2.connect(...)` commits and does not close. A pool that leaks hands out no"
    " connection any more after `maxconn` errors, and the app stands still.",
    fix="Use `with get_db_connection() as conn:` of the kit, which gives back on every way out; without it, put"
    " the work"
    " into `try:` and `conn.close()` or `pool.putconn(conn)` into its `finally:`.",
    leaves_alone=(
        "A helper that returns the connection: each of its callers is judged.",
        "`try`/`finally`, `contextlib.closing`, and context managers with a `finally`.",
        "A connection in `g` that a teardown closes, and one on an object whose `close()` or `__exit__` is used.",
        "What `psycopg2.connect` opens in an app that calls the kit's `adopt()` or `install()`: it goes back at"
        " the request's end. A `getconn()` of its own pool does not.",
        "Scripts and start-up code.",
    ),
    severity=Severity.high,
    check=_check,
    example="import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/')\ndef home():\n"
    "    conn = psycopg2.connect('dbname=app')\n    cur = conn.cursor()\n    cur.execute('SELECT 1')\n"
    "    row = cur.fetchone()\n    conn.close()\n    return str(row)\n",
    instead="import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/')\ndef home():\n"
    "    conn = psycopg2.connect('dbname=app')\n    try:\n        cur = conn.cursor()\n"
    "        cur.execute('SELECT 1')\n"
    "        return str(cur.fetchone())\n    finally:\n        conn.close()\n",
)
