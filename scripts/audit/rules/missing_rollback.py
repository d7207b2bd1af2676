"""H104: a failed statement leaves a connection that lives on in an aborted transaction."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.code import Call, Function
from ..model.project import Project
from ..model.values import Connection, Cursor, Hole, Site, texts
from ..rule import Rule
from .expression_names import title_of
from .rollback_cover import RollbackCover
from .running import running
from .shared_connections import autocommit_sites, lasting_sites, shared_connections, shared_cursors
from .vendored_kit import is_of_kit

WRITES = re.compile(
    r"\s*(insert|update|delete|merge|create|alter|drop|truncate|call|with\b.*\b(insert|update|delete)\b)",
    re.I | re.S,
)


def _check(project: Project) -> Iterator[Finding]:
    sites = lasting_sites(project) | {
        site
        for shared in shared_connections(project)
        if shared.call.function.is_module
        for site in _sites(shared.call)
    }
    cursors = {
        value.site
        for shared in shared_cursors(project)
        for value in shared.call.result
        if isinstance(value, Cursor)
    }
    autocommit = autocommit_sites(project)
    cover, when = RollbackCover(project), running(project)
    for function in project.functions():
        if function.is_module or is_of_kit(project, function.path) or not when.is_served(function):
            continue
        calls = [call for call in function.calls if _is_on(call, sites, cursors, autocommit)]
        yield from _in_function(project, function, calls, cover)


def _sites(call: Call) -> set[Site]:
    return {value.site for value in call.result if isinstance(value, Connection)}


def _is_on(call: Call, sites: set[Site], cursors: set[Site], autocommit: set[Site]) -> bool:
    """Whether a call runs a statement on a connection that lives on."""
    if call.does not in ("execute", "executemany", "copy"):
        return False
    for value in call.receiver:
        connection = value.connection if isinstance(value, Cursor) else value
        if not isinstance(connection, Connection) or connection.site in autocommit:
            continue
        if connection.site in sites or (isinstance(value, Cursor) and value.site in cursors):
            return True
    return False


def _in_function(
    project: Project, function: Function, calls: list[Call], cover: RollbackCover
) -> Iterator[Finding]:
    """Report a function once: for its first write that nothing rolls back, or for the error that it swallows."""
    bare = [call for call in calls if not cover.covers(call)]
    writes = [call for call in bare if _is_write(call)]
    swallowed = [(call, handler) for call in bare if (handler := cover.swallowing(call))]
    routes = project.reach.routes(function)
    grade = {"routes": routes, "confidence": Confidence.high if routes else Confidence.medium}
    if writes:
        message = (
            f"{title_of(function)}() writes on a connection that lives on, and nothing rolls back when that fails"
        )
        more = tuple(call.place for call in writes[1:])
        yield RULE.at(writes[0].place, message, more=more, **grade)
    elif swallowed:
        call, handler = swallowed[0]
        place = function.module.place(handler)
        head = type(place)(place.path, place.line, place.col)
        message = f"{title_of(function)}() goes on after a failed statement without a rollback"
        message += ", on a connection that lives on"
        yield RULE.at(head, message, evidence=(Evidence(call.place, "the statement that can fail"),), **grade)


def _is_write(call: Call) -> bool:
    """Whether a statement changes something; one that is not known does when its function commits."""
    found = texts(call.sql)
    if found and not any(isinstance(text.pieces[0], Hole) for text in found if text.pieces):
        return any(WRITES.match(text.with_holes("x")) for text in found)
    return call.does in ("executemany", "copy") or any(each.does == "commit" for each in call.function.calls)


RULE = Rule(
    id="H104",
    name="missing-rollback",
    finds="On a connection that outlives the call: a write that nothing rolls back when it fails, or an `except`"
    " that"
    " ends the error without a rollback.",
    why="After an error PostgreSQL refuses every further statement of that transaction: `current transaction is"
    " aborted,"
    " commands ignored until end of transaction block`. One bad value in one request breaks all requests after it,"
    " until somebody restarts the process; half-done writes are committed by the next one.",
    fix="Put the write into `with transaction() as conn:` of the kit, or into `with conn:`, which rolls back when"
    " something is raised; else `except Exception: conn.rollback(); raise`.",
    leaves_alone=(
        "Connections in autocommit.",
        "Connections out of a pool: `putconn()` rolls back.",
        "`with conn:`, and a connection that is made for the call and closed after it.",
        "A function whose callers, or a teardown or an error handler of the app, roll back.",
        "Reads whose error goes on to the caller.",
    ),
    severity=Severity.high,
    check=_check,
    example="import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n"
    "conn = psycopg2.connect('dbname=app')\n\n\n"
    "@app.post('/hit')\ndef hit():\n    with conn.cursor() as cur:\n"
    "        cur.execute('UPDATE hits SET n = n + 1')\n"
    "    conn.commit()\n    return ''\n",
    instead="import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n"
    "conn = psycopg2.connect('dbname=app')\n\n\n"
    "@app.post('/hit')\ndef hit():\n    with conn, conn.cursor() as cur:\n"
    "        cur.execute('UPDATE hits SET n = n + 1')\n"
    "    return ''\n",
)
