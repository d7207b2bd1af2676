"""H206: the row of the user who asks, loaded by a hook or a decorator and by the view once more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.code import Call, Function, Route
from ..model.project import Project
from ..model.values import data
from ..rule import Rule
from .reached import is_cached, reached
from .waiting import entries, named

ONE_ROW = re.compile(
    r"\s*select\b(?P<columns>.*?)\bfrom\s+(?P<table>[\w.\"]+)(\s+(as\s+)?\w+)?\s+where\s+(?P<where>(\w+\.)?\w+\s*=\s*(%s|%\(\w+\)s|\.\.\.|'\.\.\.'))"
    r"(\s+limit\s+1)?\s*$", re.IGNORECASE | re.DOTALL,
)  # fmt: skip
WHOSE = re.compile(
    r"user|account|member|tenant|role|customer|person|people|admin|profile|employee|student|login", re.IGNORECASE
)
OWN_KEY = re.compile(r"\bsession\b|current_user|\bg\.|get_jwt_identity|jwt_identity|\bclaims\b|\bidentity\b")
LOADERS = ("user_loader", "request_loader", "user_lookup_loader")


def _check(project: Project) -> Iterator[Finding]:
    loads: dict[Function, list[tuple[Call, str]]] = {}
    seconds: dict[Call, tuple[Call, str, set[str]]] = {}
    for route in project.routes():
        for first, second, key in _pairs(project, route, loads):
            seconds.setdefault(second, (first, key, set()))[2].add(route.name)
    for second, (first, key, names) in seconds.items():
        yield _second(first, second, key, tuple(sorted(names)))
    for function in project.functions():
        if any(hook in LOADERS for hook in function.hooks) and not is_cached(function):
            for call, key in _loads(project, function, loads)[:1]:
                yield _loader(call, key)


def _pairs(
    project: Project, route: Route, loads: dict[Function, list[tuple[Call, str]]]
) -> Iterator[tuple[Call, Call, str]]:
    """Yield the first and the second call of a route that load the row of who asks, and its table and column."""
    seen: dict[str, Call] = {}
    for entry in entries(project, route):
        is_view = entry is route.function
        for call, key in _loads(project, entry, loads):
            if is_view and not _has_own_key(call):
                continue
            if key in seen and seen[key].function is not call.function:
                yield seen[key], call, key
            elif not is_view:
                seen.setdefault(key, call)


def _loads(
    project: Project, function: Function, loads: dict[Function, list[tuple[Call, str]]]
) -> list[tuple[Call, str]]:
    """Return a function's calls that get to the load of one user's row."""
    if function not in loads:
        loads[function] = [
            (call, key) for call in function.calls if not call.loops for key in _keys(project, call)
        ]
    return loads[function]


def _keys(project: Project, call: Call) -> set[str]:
    found = {match for each in reached(project, call) if (match := ONE_ROW.match(each.whole)) is not None}
    keys = {
        f"{match['table']}.{match['where'].partition('=')[0].strip()}".replace('"', "").lower() for match in found
    }
    return {key for key in keys if WHOSE.search(key.rpartition(".")[0])} if len(keys) == 1 else set()


def _has_own_key(call: Call) -> bool:
    """Whether a call looks for who asks: its key comes from the session or from what the first load has left."""
    if any(data(values, "session") for values in (*call.arguments, *call.keywords.values())):
        return True
    arguments = (
        [*call.node.args, *(each.value for each in call.node.keywords)] if isinstance(call.node, ast.Call) else []
    )
    return any(OWN_KEY.search(ast.unparse(each)) for each in arguments)


def _second(first: Call, second: Call, key: str, routes: tuple[str, ...]) -> Finding:
    table, _, column = key.rpartition(".")
    message = (
        f"{named(routes)} loads the row of {table} by {column} a second time: {first.function.name}() has"
        f" done so before the view"
    )
    return RULE.at(
        second.place, message, routes=routes, confidence=Confidence.medium, gain="1 query less per request",
        evidence=(Evidence(first.place, "loaded here first"),),
    )  # fmt: skip


def _loader(call: Call, key: str) -> Finding:
    table = key.rpartition(".")[0]
    message = (
        f"each request of somebody who is signed in reads {table} here: 1 query per request, static files"
        f" and pollers included"
    )
    fix = (
        "Keep what every page needs (ID, name, role) in the signed session, or in the kit's `user_projection`,"
        " and load the row where a view wants more of it."
    )
    return RULE.at(
        call.place,
        message,
        severity=Severity.low,
        confidence=Confidence.medium,
        fix=fix,
        gain="1 query less per request",
    )


RULE = Rule(
    id="H206",
    name="repeated-user-lookup",
    finds="The row of the user, tenant or role who asks, loaded by a hook or a decorator and by the view again;"
          " and a"
    " `user_loader` that runs a query, at low severity.",
    why="It is one query more for every request of the route, on the table that everything else reads too, and"
        " with a"
    " connection per helper one connect more.",
    fix="Load it once, keep the row in `g.user`, and read it from there; the kit's `cache_queries` answers the"
        " second"
    " statement of a request from memory where the code cannot be changed, and its `user_projection` keeps the"
    " few columns over requests.",
    leaves_alone=(
        "A view that loads somebody else: its key comes from the URL or a form.",
        "Statements on other tables or columns, with more conditions, or over many rows.",
        "Loaders that are cached.",
    ),
    severity=Severity.medium,
    check=_check,
    example="import psycopg2\n"
    "from flask import Flask, g, session\n\n"
    "app = Flask(__name__)\n\n\n"
    "def user_of(key):\n"
    '    with psycopg2.connect("") as conn, conn.cursor() as cur:\n'
    '        cur.execute("SELECT * FROM users WHERE id = %s", (key,))\n'
    "        return cur.fetchone()\n\n\n"
    "@app.before_request\n"
    "def load_user():\n"
    '    g.user = user_of(session.get("user_id"))\n\n\n'
    '@app.get("/me")\n'
    "def me():\n"
    '    return {"name": user_of(session["user_id"])[1]}\n',
    instead="import psycopg2\n"
    "from flask import Flask, g, session\n\n"
    "app = Flask(__name__)\n\n\n"
    "def user_of(key):\n"
    '    with psycopg2.connect("") as conn, conn.cursor() as cur:\n'
    '        cur.execute("SELECT * FROM users WHERE id = %s", (key,))\n'
    "        return cur.fetchone()\n\n\n"
    "@app.before_request\n"
    "def load_user():\n"
    '    g.user = user_of(session.get("user_id"))\n\n\n'
    '@app.get("/me")\n'
    "def me():\n"
    '    return {"name": g.user[1]}\n',
)  # fmt: skip
