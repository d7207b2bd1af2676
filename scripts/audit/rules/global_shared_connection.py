"""H102: one connection or one cursor for the whole process, used by requests."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..finding import Evidence, Finding, Place, Severity
from ..model.code import Call
from ..model.project import Project
from ..rule import Rule
from .expression_names import name_of
from .shared_connections import Shared, shared_connections, shared_cursors
from .shared_objects import shared_objects

MOST_SHOWN = 3


def _check(project: Project) -> Iterator[Finding]:
    for group in _by_name([*shared_connections(project), *shared_objects(project)]):
        yield _finding(project, group, "connection", "every request of this process works in the same transaction")
    for shared in shared_cursors(project):
        yield _finding(
            project, [shared], "cursor", "a request that executes throws away the rows another is reading"
        )


def _by_name(found: list[Shared]) -> list[list[Shared]]:
    """Put together what is kept under one name: the first connection, and those that replace it."""
    groups: dict[object, list[Shared]] = {}
    for shared in found:
        function = shared.call.function
        statement = function.module.statement(shared.call.node)
        names = [name_of(target) for target in getattr(statement, "targets", ()) if name_of(target)]
        key = (function.cls or function.module, names[0]) if names else shared
        groups.setdefault(key, []).append(shared)
    return list(groups.values())


def _place(call: Call) -> Place:
    """Return the assignment that a call is in; the call itself when it is in none."""
    statement = call.function.module.statement(call.node)
    return (
        call.function.module.place(statement) if isinstance(statement, (ast.Assign, ast.AnnAssign)) else call.place
    )


def _finding(project: Project, group: list[Shared], what: str, why: str) -> Finding:
    shared = group[0]
    functions = dict.fromkeys(user.function for user in shared.users)
    routes = tuple(sorted({route for function in functions for route in project.reach.routes(function)}))
    count = f"{len(functions)} function{'s' * (len(functions) != 1)}"
    shown = list({user.function: user for user in reversed(shared.users)}.values())[::-1][:MOST_SHOWN]
    return RULE.at(
        _place(shared.call), f"one {what} for the whole process, used by {count}: {why}",
        evidence=tuple(Evidence(user.place, f"{user.function.name}() uses it") for user in shown), routes=routes,
        more=tuple(_place(other.call) for other in group[1:]),
    )  # fmt: skip


RULE = Rule(
    id="H102",
    name="global-shared-connection",
    finds="A connection or cursor that is made once and that handlers use: a module's name, a class attribute, a"
    " singleton, an attribute of the app, an object made at import.",
    why="psycopg2 lets only one statement at a time onto a connection, so threads wait for each other; one"
    " thread's"
    " commit or rollback is everyone's; after one failed statement every request fails with `current transaction"
    " is"
    " aborted`; and after a restart of the server nothing works until the app is restarted. Cursors are not safe"
    " between threads at all.",
    fix="Take a connection per request out of a pool: `with get_db_connection() as conn:` of the kit, and a"
    " cursor in"
    " each function.",
    leaves_alone=(
        "A connection made at import that no handler uses.",
        "Connections in `g`, in thread-local storage, and pools.",
        "Scripts.",
    ),
    severity=Severity.high,
    check=_check,
    example="import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n"
    "conn = psycopg2.connect('dbname=app')\n\n\n"
    "@app.get('/')\ndef home():\n    with conn.cursor() as cur:\n        cur.execute('SELECT 1')\n"
    "        return str(cur.fetchone())\n",
    instead="from flask import Flask\nfrom backend import get_db_connection\n\napp = Flask(__name__)\n\n\n"
    "@app.get('/')\n"
    "def home():\n    with get_db_connection() as conn, conn.cursor() as cur:\n        cur.execute('SELECT 1')\n"
    "        return str(cur.fetchone())\n",
)
