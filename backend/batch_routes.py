"""A dashboard's many small requests as one: named parts, one lease, as a rule one statement.

    app.register_blueprint(batch_routes("dashboard", {"customers": CUSTOMERS, "revenue": Part(REVENUE, ...)},
                                        url="/api/dashboard"))

`GET /api/dashboard?parts=customers,revenue&revenue.days=30`, or a POST of `{"customers": {}, "revenue":
{"days": 30}}`. Each part has a status of its own. One of the few modules that know Flask.
If this is wrong, a client gets a part that it may not see.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import psycopg2
from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from .batch_parts import Asked, Part, asked_in_body, asked_in_query, parts_of
from .batch_run import LATE, How, Outcome, Task, outcomes
from .declared import read_parameters
from .errors import BatchError, PageError, ParameterError
from .http import json_response
from .page_routes import refuse_page

log = logging.getLogger(__name__)
MOST = 20  # parts
TIMEOUT = 10.0  # seconds
LONGEST = 16384  # bytes of a body
MULTI_STATUS = 207


def batch_routes(
    name: str,
    parts: Mapping[str, Any],
    url: str | None = None,
    *,
    most: int = MOST,
    timeout: float = TIMEOUT,
    longest: int = LONGEST,
    snapshot: bool = False,
) -> Blueprint:
    """Return a blueprint with the one route, GET and POST, of a dashboard.

    The answer is `{"customers": {"status": 200, "data": ...}, "revenue": {"status": 403, "error": "..."}}`, with
    the status 200 when all parts have it, else 207.

    Args:
        name: the blueprint's name, and its endpoint's.
        parts: what can be asked for, by name: a `Part`, or a nested query or a function without parameters.
        url: its path, `/name` when None.
        most: parts of one request.
        timeout: seconds for all parts of a request; PostgreSQL stops a statement that is at work then.
        longest: bytes of a POST's body.
        snapshot: whether all parts of a request see the same moment of the database.

    Raises:
        BatchError: a part that cannot be, or a limit that is none.
    """
    if most < 1 or longest < 2 or not (math.isfinite(timeout) and 0.001 <= timeout <= 86400):
        raise BatchError(f"most={most}, longest={longest}, timeout={timeout}: limits from 1, 2 and 0.001 s on")
    known = parts_of(parts)
    how = How(timeout, snapshot, _explained, _written)
    blueprint = Blueprint(name, __name__)

    def answer() -> Response:
        asked = _asked(most, longest)
        return _answer(asked, _results(known, asked, how))

    blueprint.add_url_rule(url or f"/{name}", endpoint=name, view_func=answer, methods=["GET", "POST"])
    blueprint.register_error_handler(ParameterError, refuse_page)
    return blueprint


def _asked(most: int, longest: int) -> list[Asked]:
    if request.method != "POST":
        return asked_in_query(request.args.items(multi=True), most)
    if request.args:
        raise ParameterError("a POST asks by its body alone, without a query string")
    body = request.stream.read(longest + 1)
    if len(body) > longest:
        raise RequestEntityTooLarge
    return asked_in_body(body, most)


def _results(known: Mapping[str, Part], asked: list[Asked], how: How) -> list[Outcome]:
    """Return what became of each part that was asked for; what was asked for twice runs once."""
    tasks: dict[str, Task] = {}
    found: list[Outcome | str] = []
    for each in asked:
        try:
            task = _task(known, each)
        except Exception as error:
            found.append(_explained(error))
            continue
        key = f"{each.name} {sorted(task.parameters.items())!r}"
        tasks.setdefault(key, task)
        found.append(key)
    done = dict(zip(tasks, outcomes(list(tasks.values()), how), strict=True))
    return [done[each] if isinstance(each, str) else each for each in found]


def _task(known: Mapping[str, Part], asked: Asked) -> Task:
    part = known.get(asked.name)
    if part is None:
        raise _Refused(404, "there is no such part")
    parameters = read_parameters(part.takes, asked.sent)
    if part.given is not None:
        parameters.update(part.given())
    if part.allowed is not None and not part.allowed(parameters):
        raise _Refused(403, "not allowed")
    return Task(part.source, parameters)


class _Refused(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def _explained(error: BaseException) -> Outcome:
    """Return what a client is told: never SQL, a parameter or a path. What is our fault goes to the log."""
    if isinstance(error, _Refused):
        return Outcome(error.status, error=str(error))
    if isinstance(error, (PageError, ParameterError)):
        return Outcome(error.status, error=str(error), code=error.code)
    if isinstance(error, HTTPException):
        return Outcome(error.code or 500, error=error.description or error.name)
    if isinstance(error, (TimeoutError, psycopg2.errors.QueryCanceled)):
        log.warning("a part of %s took too long: %s", request.endpoint, type(error).__name__)
        return Outcome(504, error=LATE)
    log.error("a part of %s failed", request.endpoint, exc_info=error)
    if isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
        return Outcome(503, error="the database does not answer")
    return Outcome(500, error="this part failed")


def _written(value: Any) -> bytes:
    return current_app.json.dumps(value).encode()


def _answer(asked: list[Asked], found: list[Outcome]) -> Response:
    # No encoder: a label needs no escapes, and PostgreSQL's own JSON goes through as it is.
    members = (b'"%s":%s' % (each.label.encode(), one.json()) for each, one in zip(asked, found, strict=True))
    status = 200 if all(one.status == 200 for one in found) else MULTI_STATUS
    return json_response(b"{%s}" % b",".join(members), status)
