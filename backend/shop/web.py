"""What the views share: the body that comes in, and the JSON text that goes out unparsed.

Must not validate fields (`fields` does) nor run SQL. If `answer` parsed the text, the time won by letting
PostgreSQL write the JSON would be lost again.
"""

from __future__ import annotations

from typing import Any

from flask import Response, request

from ..http import json_response
from .fields import Refused

# A path's id; a number beyond bigint matches no route, so it is a 404 and never reaches PostgreSQL, which
# would compare it as numeric and read the whole table.
ID = "int(max=9223372036854775807)"


def read_json() -> dict[str, Any]:
    """Read the request's JSON object.

    Raises:
        Refused: another content type, no JSON, or JSON that is not an object.
    """
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # a megabyte of "[" is valid JSON so far
        body = None
    if not isinstance(body, dict):
        raise Refused("the body must be a JSON object")
    return body


def answer(body: bytes | None, status: int = 200) -> Response:
    """Answer with PostgreSQL's JSON text, or 404 when there was no row."""
    return json_response(body, status)
