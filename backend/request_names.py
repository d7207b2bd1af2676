"""What a request is called: its id, route and endpoint, read from the WSGI environment when they are needed.

Knows WSGI, and where werkzeug leaves its request in it; not Flask. If this is wrong, reports name no route.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
from collections.abc import Iterator
from typing import Any

ID_KEY, WERKZEUG = "harden.request_id", "werkzeug.request"
_ids: Iterator[int] = iter(())
_ids_of = -1  # a forked child counts from a start of its own
_FIT = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def id_of(environ: dict[str, Any]) -> str:
    """Return the id that the front gave a request, where it can stand in a log and a header; else a new one.

    It is asked for once a request; a second time the same one is returned.
    """
    known = environ.get(ID_KEY)
    if known is None:
        sent = environ.get("HTTP_X_REQUEST_ID")
        known = environ[ID_KEY] = sent if sent and _FIT.fullmatch(sent) else _made_id()
    return str(known)


def _made_id() -> str:
    """Return 16 hexadecimal digits: random for the process, then counted; the system is not asked each time."""
    global _ids, _ids_of
    if _ids_of != os.getpid():
        _ids_of, _ids = os.getpid(), itertools.count(secrets.randbits(63))
    return f"{next(_ids) & 0xFFFFFFFFFFFFFFFF:016x}"


def route_of(environ: dict[str, Any]) -> str:
    """Return the URL rule; "" before Flask has found it, once it has let go of it, and for a path without one."""
    try:
        return environ[WERKZEUG].url_rule.rule  # type: ignore[no-any-return]
    except (KeyError, AttributeError):
        return ""


def endpoint_of(environ: dict[str, Any]) -> str:
    """Return the endpoint, as `route_of`."""
    return getattr(environ.get(WERKZEUG), "endpoint", None) or ""
