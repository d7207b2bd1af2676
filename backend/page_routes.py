"""The common list endpoint in two lines, and what a client is told when it asks for a page that cannot be.

    app.register_blueprint(list_routes("appointments", APPOINTMENTS, url="/api/appointments"))

`GET /api/appointments?limit=20&cursor=...` answers a page, with `Link` headers (RFC 8288) for those who read on
without looking into the body. One of the few modules that know Flask. If this is wrong, clients get a 500 for a
cursor that they mistyped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, current_app, has_app_context, request
from werkzeug.exceptions import BadRequest

from .cursors import FIRST, LAST, set_app_keys
from .database_helper import get_db_connection
from .errors import PageError, ParameterError
from .http import json_response
from .numbered_pages import NumberedPages
from .pagination import CursorPages

Parameters = Callable[[], Mapping[str, Any]]
CURSOR_KEY = "HARDEN_CURSOR_KEY"


class PageRefused(BadRequest):
    """A 400 whose body is JSON, unless the app has handlers of its own for HTTP errors.

    Attributes:
        reason: the error's code, as H322.
    """

    def __init__(self, error: PageError | ParameterError) -> None:
        super().__init__(str(error))
        self.reason = error.code

    def get_body(self, *_: Any) -> str:
        """Return `{"error": one sentence, "code": as H322}`."""
        return json.dumps({"error": self.description, "code": self.reason})

    def get_headers(self, *_: Any) -> list[tuple[str, str]]:
        """Return the content type of the body."""
        return [("Content-Type", "application/json")]


def list_routes(
    name: str, pages: CursorPages | NumberedPages, url: str | None = None, parameters: Parameters | None = None
) -> Blueprint:
    """Return a blueprint with the one route of a list.

    Args:
        name: the blueprint's name, and its endpoint's.
        pages: the list.
        url: its path, `/name` when None; what is variable in it, as `<int:customer_id>`, goes to the parameters.
        parameters: called within the request, returns the list's other parameters; raises what the app answers.
    """
    blueprint = Blueprint(name, __name__)
    given = parameters or dict

    def answer(**path: Any) -> Response:
        with get_db_connection(autocommit=True) as conn:
            return page_response(pages, conn, **{**given(), **path})

    blueprint.record(lambda _: set_app_keys(keys_of_app))
    blueprint.add_url_rule(url or f"/{quote(name)}", endpoint=name, view_func=answer)
    blueprint.register_error_handler(PageError, refuse_page)
    return blueprint


def page_response(pages: CursorPages | NumberedPages, conn: Any, /, **parameters: Any) -> Response:
    """Answer the request at work with the page that its `limit` and `cursor`, or `page`, ask for.

    Args:
        pages: the list.
        conn: a connection.
        **parameters: the list's parameters.

    Raises:
        PageError: the request asks for a page that cannot be.
    """
    size = request.args.get("limit")
    if isinstance(pages, NumberedPages):
        page = pages.fetch(conn, request.args.get("page"), size, **parameters)
        around = [("next", page.number + 1)] if page.has_next else []
        around += [("prev", page.number - 1)] if page.has_previous else []
        links = [_link("page", str(number), name) for name, number in [*around, ("first", 1)]]
        return _linked(json_response(page.json()), links)
    read = pages.fetch(conn, request.args.get("cursor"), size, **parameters)
    found = (("next", read.next), ("prev", read.previous), ("first", FIRST), ("last", LAST))
    return _linked(json_response(read.json()), [_link("cursor", text, name) for name, text in found if text])


def refuse_page(error: PageError | ParameterError) -> Any:
    """Answer 400; the app's own handlers for HTTP errors shape the answer, else it is JSON.

    They get a `PageRefused`, with the sentence as `description` and the code as `reason`.
    """
    return current_app.handle_http_exception(PageRefused(error))


def keys_of_app() -> tuple[str | None, Sequence[str | bytes]]:
    """Return what the app at work signs cursors with: its HARDEN_CURSOR_KEY, and its secret keys, newest first."""
    if not has_app_context():
        return None, ()
    config = current_app.config
    settings = current_app.extensions.get("harden_psycopg2")
    named = settings[CURSOR_KEY] if settings is not None else config.get(CURSOR_KEY)
    secret = current_app.secret_key
    return named, [secret, *(config.get("SECRET_KEY_FALLBACKS") or ())] if secret else ()


def _link(argument: str, value: str, relation: str) -> str:
    """Return a link to another page of the same list; all else that was asked stays."""
    kept = [(name, each) for name, each in request.args.items(multi=True) if name != argument]
    path = quote(request.script_root + request.path)
    return f'<{path}?{urlencode([*kept, (argument, value)])}>; rel="{relation}"'


def _linked(response: Response, links: list[str]) -> Response:
    response.headers["Link"] = ", ".join(links)
    return response
