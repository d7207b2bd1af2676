"""H202: a statement in a loop over anything but rows: what the client sent, lines of a file, constants."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.project import Project
from ..rule import Rule
from . import batch_advice
from .repetition import Repeat, repeats
from .turns import CONSTANTS, ROWS

WHAT = {
    "request": "value that the client sent",
    "session": "value of the session",
    "file": "line or record of a file",
    "remote": "part of another server's answer",
    "parameter": "element of a parameter",
    "terminal": "line of input",
    CONSTANTS: "turn of a loop over constants",
}


def _check(project: Project) -> Iterator[Finding]:
    for repeat in repeats(project):
        if repeat.turns.over != ROWS and repeat.loop is not None and not _is_over_statements(repeat):
            yield _finding(project, repeat)


def _is_over_statements(repeat: Repeat) -> bool:
    """Whether each turn runs another statement: `for sql in STATEMENTS: cur.execute(sql)`."""
    target = getattr(repeat.loop.node, "target", None) if repeat.loop is not None else None
    if repeat.turns.over != CONSTANTS or not isinstance(target, ast.Name):
        return False
    given = [call.node.args[:1] for call in repeat.calls if isinstance(call.node, ast.Call)]
    return all(isinstance(first, ast.Name) and first.id == target.id for each in given for first in each)


def _finding(project: Project, repeat: Repeat) -> Finding:
    over = repeat.turns.over
    routes = project.reach.routes(repeat.function)
    queries = list(repeat.queries)
    count = len({each.call for each in queries})
    how_many = "a statement" if count == 1 else f"{count} statements"
    shown = f": `{queries[0].sql}`" if queries[0].sql else ""
    is_open = bool(routes) and over in ("request", "remote", "file", "parameter")
    places = dict.fromkeys(call.place for call in repeat.calls)
    return RULE.at(
        repeat.place,
        f"{how_many} for each {WHAT.get(over, 'turn')}{shown}",
        severity=Severity.medium if is_open else Severity.low,
        confidence=min(repeat.turns.confidence, Confidence.medium),
        routes=routes,
        fix=batch_advice.advice(queries),
        more=tuple(places)[1:],
        evidence=tuple(Evidence(each.call.place, f"runs {each.sql or 'a statement'}") for each in queries[:8]),
        gain=f"{f'{count} x ' if count > 1 else ''}N statements -> {count}",
    )


RULE = Rule(
    id="H202",
    name="query-in-loop",
    finds="A statement that runs once for each value that the client sent, line of a file, or turn of any loop"
    " that is not over rows.",
    why="Each turn is a round trip to the server, and the client decides how many there are: a form with 500 boxes"
    " is 500 statements in one request, on one connection.",
    fix="One statement for all: `= ANY(%s)` with the list, `insert_many` or `execute_values` for writes.",
    leaves_alone=(
        "Loops over rows: n-plus-one (H201) has them.",
        "Batches, loops that try again or are left behind the statement, `while` loops that poll or draw.",
        "Transaction control, session settings and schema statements, as set-up scripts run them.",
    ),
    severity=Severity.medium,
    check=_check,
    example="from flask import request\n\n\ndef delete(conn):\n    cur = conn.cursor()\n"
    '    for key in request.form.getlist("id"):\n        cur.execute("DELETE FROM carts WHERE id = %s", (key,))\n',
    instead="from flask import request\n\n\ndef delete(conn):\n    cur = conn.cursor()\n"
    '    keys = [int(key) for key in request.form.getlist("id")]\n'
    '    cur.execute("DELETE FROM carts WHERE id = ANY(%s)", (keys,))\n',
)
