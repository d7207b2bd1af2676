"""H303: a session cookie that goes where it should not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..finding import Confidence, Finding, Severity
from ..model.code import Call
from ..model.project import Project
from ..model.values import NOTHING, constants
from ..rule import Rule
from .app_settings import Setting, named
from .flask_app import imports
from .literals import text
from .web_use import home, mentions, uses_sessions

FLAGS = (
    "SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "REMEMBER_COOKIE_SECURE", "REMEMBER_COOKIE_HTTPONLY",
    "JWT_COOKIE_SECURE",
)  # fmt: skip
HEADERS = ("flask_talisman", "flask_sslify", "secure")
_PRECIOUS = re.compile(r"sess|token|auth|jwt|(^|_)sid$|remember|login|(^|_)user|refresh", re.IGNORECASE)
_DEVELOPMENT = re.compile(r"dev|test|local|debug", re.IGNORECASE)


def _check(project: Project) -> Iterator[Finding]:
    for setting in named(project, *FLAGS):
        if set(constants(setting.values)) == {False} and not _is_for_development(setting):
            yield RULE.at(
                setting.place, f"{setting.name} is off: {_consequence(setting.name)}", severity=Severity.medium
            )
    yield from _missing(project)
    for call in project.calls():
        yield from _cookie(call)


def _is_for_development(setting: Setting) -> bool:
    return bool(_DEVELOPMENT.search(setting.owner) or _DEVELOPMENT.search(setting.place.path))


def _consequence(name: str) -> str:
    if name.endswith("HTTPONLY"):
        return "a script that gets into a page can read the cookie"
    return "the cookie goes over plain HTTP too, where anybody on the way reads it"


def _missing(project: Project) -> Iterator[Finding]:
    """Report once that an app with sessions leaves the cookie as Flask makes it."""
    place = home(project)
    if place is None or not uses_sessions(project):
        return
    if mentions(project, "SESSION_COOKIE_SECURE|session_cookie_secure|from_envvar|from_prefixed_env"):
        return
    if imports(project, *HEADERS) or _loads_unseen_settings(project):
        return
    message = "SESSION_COOKIE_SECURE is not set: the session's cookie goes over plain HTTP too"
    yield RULE.at(place, message, confidence=Confidence.medium)


def _loads_unseen_settings(project: Project) -> bool:
    """Whether a file that is no Python sets it."""
    return any(path.endswith((".cfg", ".toml", ".json")) and "SESSION_COOKIE_SECURE" in _text(project, path)
               for path in project.files)  # fmt: skip


def _text(project: Project, path: str) -> str:
    try:
        return project.text(path)
    except OSError:
        return ""


def _cookie(call: Call) -> Iterator[Finding]:
    """Report a cookie of the app's own that holds a log-in and lacks a flag."""
    node = call.node
    if (
        not isinstance(node, ast.Call)
        or not isinstance(node.func, ast.Attribute)
        or node.func.attr != "set_cookie"
    ):
        return
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    name = text(node.args[0] if node.args else given.get("key")) or ""
    if None in given or not _PRECIOUS.search(name) or "csrf" in name.lower() or _is_removal(node, given):
        return
    lacks = [flag for flag in ("secure", "httponly") if flag not in given or _is_off(call, flag)]
    if lacks:
        message = f"the cookie {name!r} is set without {' and '.join(lacks)}"
        yield RULE.at(call.place, message, severity=Severity.medium)


def _is_off(call: Call, flag: str) -> bool:
    return set(constants(call.keywords.get(flag, NOTHING))) == {False}


def _is_removal(node: ast.Call, given: dict[str | None, ast.expr]) -> bool:
    """Whether it makes the browser forget the cookie."""
    value = node.args[1] if len(node.args) > 1 else given.get("value")
    ends = [given.get("expires"), given.get("max_age")]
    return text(value) == "" or any(isinstance(each, ast.Constant) and each.value == 0 for each in ends)


RULE = Rule(
    id="H303",
    name="insecure-cookie",
    finds="A session cookie without `Secure`, or a cookie of the app's own with a log-in that lacks `secure` or"
    " `httponly`.",
    why="Without `Secure` the browser sends the cookie over plain HTTP too, in the first request of a visit"
    " for one: whoever shares the network takes the session over. Without `HttpOnly` a script that gets into a"
    " page reads it. Flask sets `HttpOnly` by default, and `Secure` never.",
    fix="`app.config.update(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE='Lax')`, the same for"
    " `REMEMBER_COOKIE_*`, and `secure=True, httponly=True, samesite='Lax'` in `set_cookie`.",
    leaves_alone=(
        "An app without sessions or log-ins.",
        "Settings that the environment or a header extension such as Flask-Talisman gives.",
        "Cookies that hold no log-in, and those that are being removed.",
        "Configuration classes and files for development.",
    ),
    severity=Severity.low,
    check=_check,
    example="from flask import Flask, session\n\napp = Flask(__name__)\n\n\n"
    "@app.route('/login', methods=['POST'])\ndef login():\n    session['user'] = 1\n    return ''\n",
    instead="from flask import Flask, session\n\napp = Flask(__name__)\n"
    "app.config.update(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE='Lax')\n\n\n"
    "@app.route('/login', methods=['POST'])\ndef login():\n    session['user'] = 1\n    return ''\n",
)
