"""H304: forms that change data with the session's cookie alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Place, Severity
from ..model.project import Project
from ..model.values import constants
from ..rule import Rule
from .app_settings import named
from .flask_app import imports
from .web_use import form_routes, home, mentions, uses_sessions

PROTECTION = ("flask_wtf", "flask_seasurf", "flask_wtf.csrf", "flask_paranoid", "wtforms.csrf", "flask_csrf")
_FORM = re.compile(r"<form\b[^>]*\bmethod\s*=\s*[\"']?post", re.IGNORECASE)
_DEVELOPMENT = re.compile(r"dev|test|local|debug", re.IGNORECASE)
SHOWN = 5


def _check(project: Project) -> Iterator[Finding]:
    for setting in named(project, "WTF_CSRF_ENABLED", "WTF_CSRF_CHECK_DEFAULT"):
        if setting.name.endswith("DEFAULT") and mentions(project, r"\.protect\(\)"):
            continue  # the app checks by itself, where it wants to
        if set(constants(setting.values)) == {False} and not _DEVELOPMENT.search(
            setting.owner + setting.place.path
        ):
            yield RULE.at(
                setting.place, f"{setting.name} is off: forms are taken from any site", severity=Severity.high
            )
    place = home(project)
    routes = form_routes(project)
    if place is None or not routes or not uses_sessions(project):
        return
    if imports(project, *PROTECTION) or mentions(project, r"(?i)csrf|xsrf") or _has_token(project):
        return
    names = [route.name for route in routes]
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    count = f"{len(names)} routes change" if len(names) > 1 else "1 route changes"
    message = f"{count} data from a form with the session's cookie and no CSRF token: {shown}"
    said = tuple(Evidence(route.function.module.place(route.node), route.name) for route in routes[:SHOWN])
    yield RULE.at(place, message, evidence=(*said, *_forms(project)), routes=tuple(sorted(set(names))),
                  confidence=Confidence.medium)  # fmt: skip


def _has_token(project: Project) -> bool:
    return any("csrf" in text.lower() for _, text in _templates(project))


def _templates(project: Project) -> Iterator[tuple[str, str]]:
    for path in project.files:
        if path.endswith((".html", ".htm", ".j2", ".jinja", ".jinja2")):
            try:
                yield path, project.text(path)
            except OSError:
                continue


def _forms(project: Project) -> Iterator[Evidence]:
    """Yield the first form that posts."""
    for path, text in _templates(project):
        match = _FORM.search(text)
        if match:
            yield Evidence(Place(path, text.count("\n", 0, match.start()) + 1), "a form without a token")
            return


RULE = Rule(
    id="H304",
    name="missing-csrf",
    finds="An app with sessions whose POST routes read a form, without any CSRF token.",
    why="A page elsewhere can send the same form with the visitor's cookie: delete, buy, change the password."
    " Browsers that treat cookies as `SameSite=Lax` stop most of it; not all do, nor in the first two minutes.",
    fix="`CSRFProtect(app)` of Flask-WTF, `{{ csrf_token() }}` in each form, and `SESSION_COOKIE_SAMESITE='Lax'`.",
    leaves_alone=(
        "APIs that take JSON or a token in a header.",
        "An app without sessions, and one that has any protection: Flask-WTF, SeaSurf, tokens of its own.",
        "`WTF_CSRF_ENABLED = False` in a class for tests.",
    ),
    severity=Severity.medium,
    check=_check,
    example="from flask import Flask, request, session\n\napp = Flask(__name__)\n\n\n"
    "@app.route('/rename', methods=['POST'])\ndef rename():\n"
    "    session['name'] = request.form['name']\n    return ''\n",
    instead="from flask import Flask, request, session\nfrom flask_wtf import CSRFProtect\n\n"
    "app = Flask(__name__)\nCSRFProtect(app)\n\n\n"
    "@app.route('/rename', methods=['POST'])\ndef rename():\n"
    "    session['name'] = request.form['name']\n    return ''\n",
)
