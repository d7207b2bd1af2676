"""HTTP answers made of JSON that PostgreSQL wrote. One of the few modules that know Flask."""

from __future__ import annotations

from flask import Response


def json_response(body: bytes, status: int = 200) -> Response:
    """Return a JSON response whose body is sent as it is.

    Args:
        body: JSON text in UTF-8, as `one(...).json(conn)` returns it.
        status: the HTTP status.
    """
    return Response(body, status=status, content_type="application/json")
