"""Imports an app once and prints what is known of it then: its routes, and session cookies signed with its key.

Run by path in the app's interpreter; the answer is one JSON object in the file that _HARDEN_VERIFY_ANSWER names,
since an app may print whatever it likes while it is imported.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.pop("_HARDEN_VERIFY_SERVE", None)
KIT = [entry for entry in os.environ.get("_HARDEN_KIT_PATH", "").split(os.pathsep) if entry]
HERE = str(Path(__file__).resolve().parent)
sys.path[:] = [HERE, str(Path.cwd()), *(entry for entry in sys.path if entry != HERE), *KIT]

SIDE = importlib.import_module("harden_verify_side")


def rules_of(app: Any) -> list[dict[str, Any]]:
    """Return the routes: rule, endpoint, methods, and converters by parameter."""
    found = []
    for rule in app.url_map.iter_rules():
        kinds = {name: type(each).__name__ for name, each in rule._converters.items()}
        found.append({"rule": rule.rule, "endpoint": rule.endpoint, "methods": sorted(rule.methods or ()),
                      "converters": kinds, "defaults": sorted(rule.defaults or ())})  # fmt: skip
    return found


def signed(app: Any, session: dict[str, Any]) -> list[str] | None:
    """Return the session cookie, as name and value; None where the app keeps its sessions elsewhere."""
    serializer = getattr(app.session_interface, "get_signing_serializer", lambda _: None)(app)
    if serializer is None:
        return None
    name = getattr(app.session_interface, "get_cookie_name", lambda each: each.config["SESSION_COOKIE_NAME"])(app)
    return [name, serializer.dumps(session)]


def main() -> None:
    """Write the answer."""
    answer: dict[str, Any]
    try:
        app = SIDE.load()
        flask = app if hasattr(app, "url_map") else getattr(app, "wsgi_app", app)
        if not hasattr(flask, "url_map"):
            raise TypeError(f"{type(app).__name__} is no Flask app, and its routes cannot be listed")
        session = json.loads(os.environ.get("_HARDEN_VERIFY_SESSION") or "null")
        answer = {"rules": rules_of(flask), "cookie": signed(flask, session) if session else None}
    except BaseException as error:
        said = str(error).strip().splitlines()
        answer = {"error": f"{type(error).__name__}: {said[-1] if said else 'no message'}"}
    Path(os.environ["_HARDEN_VERIFY_ANSWER"]).write_text(json.dumps(answer), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # threads that the app has started would keep it


main()
