"""H409: requests that write to a SQLite file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..evidence.purpose import is_for_development
from ..finding import Confidence, Finding, Severity
from ..model.code import Call
from ..model.project import Project
from ..model.values import texts
from ..rule import Rule
from .app_settings import named
from .literals import stands_in, text

CONNECTS = ("sqlite3.connect", "sqlite3.dbapi2.connect", "aiosqlite.connect")
ENGINES = ("sqlalchemy.create_engine", "sqlalchemy.engine.create_engine")
_DEVELOPMENT = re.compile(r"dev|test|local|debug", re.IGNORECASE)


def _check(project: Project) -> Iterator[Finding]:
    for call in project.calls_to(*CONNECTS):
        routes = project.reach.routes(call.function)
        if (
            not is_for_development(call.function.path)
            and not _is_in_memory(call)
            and _serves(project, call, routes)
        ):
            yield RULE.at(call.place, _sentence("sqlite3.connect() opens a file"), routes=routes)
    for call in project.calls_to(*ENGINES):
        found = [each for each in texts(call.argument(0, "url")) if each.with_holes("?").startswith("sqlite:///")]
        if found and not is_for_development(call.function.path) and not _is_default(call):
            yield RULE.at(call.place, _sentence("create_engine() gets a SQLite URL"), confidence=Confidence.medium)
    yield from _configured(project)


def _serves(project: Project, call: Call, routes: tuple[str, ...]) -> bool:
    """Whether requests use the connection: it is made in one, or at import by a module that answers them."""
    if routes:
        return True
    answers = any(function.routes for function in call.function.module.functions)
    return answers and project.reach.is_import_time(call)


def _is_in_memory(call: Call) -> bool:
    return any(each.constant in (":memory:", "") for each in texts(call.argument(0, "database")))


def _is_default(call: Call) -> bool:
    nodes = [node for node in ast.walk(call.node) if (text(node) or "").startswith("sqlite:")]
    return any(stands_in(call.function.module, node) for node in nodes)


def _configured(project: Project) -> Iterator[Finding]:
    """Report a database URL of the configuration that is a SQLite file, alternatives for development aside."""
    for setting in named(project, "SQLALCHEMY_DATABASE_URI", "DATABASE_URL", "DATABASE_URI"):
        value = text(setting.node) or next((each.with_holes("?") for each in texts(setting.values)), "")
        if not value.startswith("sqlite:///") or ":memory:" in value:
            continue
        if _DEVELOPMENT.search(setting.owner) or is_for_development(setting.place.path):
            continue
        yield RULE.at(setting.place, _sentence(f"{setting.name} is a SQLite file"), confidence=Confidence.medium)


def _sentence(what: str) -> str:
    return f"{what}: one writer at a time for all workers, and gone with the container"


RULE = Rule(
    id="H409",
    name="sqlite-in-production",
    finds="A SQLite file that requests use.",
    why="SQLite lets one connection write at a time: with several workers the others wait, then fail with"
    " `database is locked` after 5 s. The file lies on one host: a second host has another,"
    " and a new container has none.",
    fix="Use the PostgreSQL that the app has; the kit's pool gives a connection to it.",
    leaves_alone=(
        "`:memory:`, scripts that no request runs, tests.",
        "Configuration for development, and a default that the environment replaces.",
    ),
    severity=Severity.medium,
    check=_check,
    example="import sqlite3\n\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.route('/')\n"
    "def index():\n    connection = sqlite3.connect('shop.db')\n"
    "    return str(connection.execute('SELECT 1').fetchone())\n",
    instead="from flask import Flask\n\nfrom backend import get_connection\n\napp = Flask(__name__)\n\n\n"
    "@app.route('/')\ndef index():\n    cursor = get_connection().cursor()\n    cursor.execute('SELECT 1')\n"
    "    return str(cursor.fetchone())\n",
)
