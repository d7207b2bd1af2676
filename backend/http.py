"""HTTP answers made of JSON that PostgreSQL wrote. One of the few modules that know Flask.

If this is wrong, a client is told that what it has is still true when it is not.
"""

from __future__ import annotations

import hashlib

from flask import Response, abort, has_request_context, request

JSON = "application/json"


def json_response(body: bytes | None, status: int = 200, cache_control: str = "private, no-cache") -> Response:
    """Return a JSON response whose body is sent as it is.

    A GET or HEAD that is answered 200 gets an ETag, and a client that has this very body 304 without it.

    Args:
        body: JSON text in UTF-8, as `one(...).json(conn)` returns it; None, there was no row, is a 404.
        status: the HTTP status.
        cache_control: who may keep the answer; the default lets only the client itself, and makes it ask.

    Raises:
        werkzeug.exceptions.NotFound: the body is None; the app's own handler shapes the answer.
    """
    if body is None:
        abort(404)
    asked = request.environ if status == 200 and has_request_context() else {}
    if asked.get("REQUEST_METHOD") not in ("GET", "HEAD"):
        return Response(body, status, content_type=JSON)
    etag = hashlib.sha256(body).hexdigest()[:32]  # the fastest one where processors know it: 1 us per KB
    headers = {"ETag": f'"{etag}"', "Cache-Control": cache_control}
    if "HTTP_IF_NONE_MATCH" not in asked or not request.if_none_match.contains_weak(etag):
        return Response(body, status, headers, content_type=JSON)
    response = Response(None, 304, headers)
    del response.headers["Content-Type"]
    return response
