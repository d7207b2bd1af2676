"""Ends each statement of a request with a comment that says who asks, for pg_stat_activity and the server's log.

    SELECT ... /*framework='flask',function='views.profile',route='%2Fusers%2F%3Cid%3E'*/

In the form of sqlcommenter: keys sorted, values URL-encoded in single quotes. Only the route's rule and the
endpoint are in it, both from the code, so there are as many comments as routes, and nothing that a client sends.
Left as they are: statements outside of requests, those that end in such a comment already, kept plans of the kit.
Knows neither Flask nor pools. If this is wrong, a statement means something else with its comment than without.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from psycopg2.sql import SQL, Composable

from . import monitor
from .query_log import QueryLog
from .settings import Settings
from .whose import request_of

# Kept plans know their own text; PgBouncer's console knows no comments.
_LEFT_ALONE = ("EXECUTE h_", "PREPARE h_", "DEALLOCATE h_", "SHOW ", "show ")
_TAGGED = re.compile(r"\w='[^']*'\s*\*/[\s;]*\Z")
TAIL = 4000  # characters at the end of a statement in which a comment of sqlcommenter's begins


def start(settings: Settings) -> None:
    """Tag statements from now on, when the settings want it; else no more."""
    monitor.tag_statements(tagged if settings["DB_SQL_COMMENTS"] else None)


def tagged(query: Any, values: Any, watched: QueryLog | None) -> Any:
    """Return a statement with its comment.

    Args:
        query: text, bytes or what psycopg2.sql composed; anything else is returned as it is.
        values: its parameters; where there are some, the driver takes `%%` for a percent sign.
        watched: the log at work.
    """
    if watched is None or not query:
        return query
    tag = watched.tag
    if tag is None:
        tag = _tag_of_log(watched)
    if not tag:
        return query
    if values is not None:
        tag = tag.replace("%", "%%")
    if isinstance(query, str):
        return _ended(query, tag)
    if isinstance(query, bytes):
        return _ended_bytes(query, tag)
    return query + SQL(f"\n{tag}") if isinstance(query, Composable) else query


def _tag_of_log(watched: QueryLog) -> str:
    """Return the tag of a log, kept in it once the route is known."""
    request = request_of(watched)
    if request is None:
        watched.tag = ""
        return ""
    if not request.route:
        return ""  # before Flask has found it, or for a path without one
    watched.tag = tag_for(request.route, request.function)
    return watched.tag


def tag_for(route: str, function: str) -> str:
    """Return the comment of a route's statements.

    Args:
        route: the URL rule.
        function: the endpoint; may be "".
    """
    pairs = {"framework": "flask", "function": function, "route": route}
    return f"/*{','.join(f'{key}={_quoted(value)!s}' for key, value in pairs.items() if value)}*/"


def _quoted(value: str) -> str:
    """Return a value as it stands in the comment: no quote, star or percent of its own is left in it."""
    return f"'{quote(value[:500], safe='', errors='replace')}'"


def _ended(query: str, tag: str) -> str:
    if query.startswith(_LEFT_ALONE):
        return query
    body = query
    end = ""
    if query[-1] in "; \t\r\n":
        body = query.rstrip("; \t\r\n")
        end = ";" if ";" in query[len(body) :] else ""
        if not body:
            return query
    if body.endswith("*/") and _TAGGED.search(body[-TAIL:]):
        return query
    # In a line that a -- began the comment would be part of that one, and what ends the statement as well.
    is_in_comment = body.find("--", body.rfind("\n") + 1) >= 0
    return f"{body}\n{tag}{end}" if is_in_comment else f"{body} {tag}{end}"


def _ended_bytes(query: bytes, tag: str) -> bytes:
    # Byte by byte the same text in any encoding that is like ASCII, and the quotes of others are not looked at.
    return _ended(query.decode("latin-1"), tag).encode("latin-1")
