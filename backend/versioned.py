"""304 before the work: an ETag from a version that one cheap query reads, and writes that lose no other's.

    @app.get("/reports/<int:number>")
    def report(number):
        version = version_of(number)                  # a version column; one row by its key
        return not_modified(version) or versioned(big_report(number), version)

    @app.put("/reports/<int:number>")
    def change(number):
        with transaction() as conn:
            must_match(locked_version(conn, number))  # SELECT version ... FOR UPDATE
            ...

Read the version before the data. Then a change between the two is sent under the older tag and asked for again;
the other way round it would be missed for good. If this is wrong, a client is told that what it has is still true.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from flask import Response, abort, current_app, make_response, request
from werkzeug.exceptions import PreconditionRequired

from .http import JSON


def etag_of(*version: object) -> str:
    """Return the tag of a version.

    Args:
        *version: what changes when the answer does: a version column, the user's role, the language. The release's
            folder goes in by itself, for other code may make another answer of the same rows.

    Raises:
        ValueError: there is no version, or it is None alone: a row that is not there is a 404, not a version.
    """
    if not version or version == (None,):
        raise ValueError("a version is what changes when the answer does; None is none: answer 404 for no row")
    release = str(Path(current_app.root_path).resolve())  # `current` is a link to a release
    text = "\n".join([release, *(f"{type(part).__name__}:{part!r}" for part in version)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def not_modified(*version: object, cache_control: str = "private, no-cache") -> Response | None:
    """Return 304 where the client has this very version, else None.

    Args:
        *version: as for `etag_of`.
        cache_control: who may keep the answer; the same as for the answer itself.
    """
    tag = etag_of(*version)
    asked = request.if_none_match
    # "*" asks whether there is anything at all, which a version answers.
    if request.method not in ("GET", "HEAD") or not asked.contains_weak(tag):
        return None
    response = Response(None, 304, {"ETag": f'W/"{tag}"', "Cache-Control": cache_control})
    del response.headers["Content-Type"]
    return response


def versioned(body: Any, *version: object, cache_control: str = "private, no-cache") -> Response:
    """Return an answer that carries its version as a weak ETag: rows that are equal, not bytes.

    Args:
        body: JSON in bytes, or whatever else Flask makes answers of.
        *version: as given to `not_modified`.
        cache_control: who may keep the answer.
    """
    response = Response(body, content_type=JSON) if isinstance(body, bytes) else make_response(body)
    if response.status_code == 200:
        response.headers["ETag"] = f'W/"{etag_of(*version)}"'
        response.headers["Cache-Control"] = cache_control
    return response


def must_match(*version: object) -> None:
    """Refuse a write that was made from another version than there is: 412, and 428 where it does not say which.

    Weak tags count, against RFC 9110's letter: they are ours and name the row, and nginx weakens the tag of each
    answer that it compresses. Lock the row first (`FOR UPDATE`), or two writers match at once.

    Args:
        *version: as given to `versioned`; None alone is a row that is not there, a 412.

    Raises:
        werkzeug.exceptions.PreconditionFailed: the client's If-Match names another version.
        werkzeug.exceptions.PreconditionRequired: it has no If-Match.
    """
    if not request.headers.get("If-Match"):
        raise PreconditionRequired("Send If-Match with the ETag of what you have changed.")
    if version == (None,) or not request.if_match.contains_weak(etag_of(*version)):
        abort(412, "It has changed since you have read it; read it again.")
