"""H407: tables that are made or changed by each worker as it starts, or by requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.code import Call, Function
from ..model.project import STATEMENTS, Project
from ..model.values import texts
from ..rule import Rule
from .bringers import brought_by
from .reached import SHOWN, in_line
from .starting import is_opted_in, starting
from .waiting import EVERY, waiting

CHANGES = re.compile(
    r"\s*(create\s+(or\s+replace\s+)?(unlogged\s+)?(table|index|unique|schema|type|view|materialized|extension"
    r"|sequence|function"
    r"|trigger|database)|alter\s+(table|type|database|schema)|drop\s+(table|index|schema|type|view|database))\b",
    re.IGNORECASE,
)
DROPS = re.compile(r"\bdrop\s+(table|schema|database)\b", re.IGNORECASE)
BY_LIBRARY = re.compile(
    r"(flask_sqlalchemy\.|sqlalchemy\.).*\.create_all$|^flask_migrate\.upgrade$|^alembic\.command\.upgrade$"
)
MANY = 3  # routes that get to the same statement: then it is no page for setting up


@dataclass
class _Cause:
    """A call that brings statements about, and these; `routes` only where requests do."""

    call: Call
    when: str
    routes: tuple[str, ...] = ()
    found: dict[Evidence, None] = field(default_factory=dict)

    @property
    def drops(self) -> bool:
        """Whether one of them throws something away."""
        return any(DROPS.search(each.text) for each in self.found)


def _check(project: Project) -> Iterator[Finding]:
    causes: dict[Call, _Cause] = {}
    for call in project.calls():
        for sql, bringer in _changes(call):
            cause = _cause(project, bringer)
            if cause is not None:
                causes.setdefault(cause.call, cause).found[Evidence(call.place, sql)] = None
    groups: dict[tuple[str, bool], list[_Cause]] = {}
    for cause in causes.values():
        groups.setdefault((cause.when, cause.drops), []).append(cause)
    for group in groups.values():
        yield _finding(group)


def _cause(project: Project, call: Call) -> _Cause | None:
    """Return what makes a call change the schema: the start, or requests; None for anything else."""
    start = starting(project).get(call.function)
    if call.is_guarded or is_opted_in(call):
        return None
    if start is not None:
        first = start.call or call
        return None if is_opted_in(first) else _Cause(first, start.when)
    routes = waiting(project).routes(call.function)
    if EVERY in routes:
        return _Cause(call, "with every request", routes)
    return _Cause(call, f"with requests to {len(routes)} routes", routes) if len(routes) >= MANY else None


def _finding(group: list[_Cause]) -> Finding:
    """Make one finding of what happens at the same moment in the same way."""
    cause = min(group, key=lambda each: each.call.place)
    statements = [each for one in group for each in one.found]
    more = f" and {len(statements) - 1} more" if len(statements) > 1 else ""
    evidence = tuple(each for each in statements[:8] if each.place != cause.call.place)
    severity, effect = _effect(cause)
    return RULE.at(
        cause.call.place, f"{statements[0].text}{more} runs {cause.when}: {effect}", severity=severity,
        confidence=Confidence.medium if cause.routes else Confidence.high, evidence=evidence, routes=cause.routes,
        more=tuple(sorted(each.call.place for each in group if each is not cause)),
    )  # fmt: skip


def _effect(cause: _Cause) -> tuple[Severity, str]:
    if cause.drops and not cause.routes:
        return Severity.critical, "each worker that starts throws away what the others have written"
    if cause.drops:
        return Severity.high, "requests throw away what others have written"
    if cause.routes:
        return Severity.medium, "it waits for a lock behind every running query, and holds the others up"
    return Severity.medium, "workers that start together race for it, and one of them fails or waits"


def _changes(call: Call) -> Iterator[tuple[str, Call]]:
    """Yield the statements of a call that change the schema, and the calls that these come in with."""
    if call.target and BY_LIBRARY.search(call.target):
        yield f"{call.target.rpartition('.')[2]}()", call
    if call.does not in STATEMENTS or _is_memory(call.function):
        return
    for text in texts(call.sql):
        sql = in_line(text)
        if CHANGES.match(sql):
            for bringer in brought_by(call, text):
                yield sql[:SHOWN], bringer


def _is_memory(function: Function) -> bool:
    """Whether a function works on a database of its own in memory."""
    opened = [call for call in function.calls if call.target == "sqlite3.connect"]
    return any(text.constant == ":memory:" for call in opened for text in texts(call.argument(0, "database")))


RULE = Rule(
    id="H407",
    name="schema-at-import",
    finds="CREATE, ALTER or DROP that runs when the app is imported, in its factory, or with requests.",
    why="Each worker imports the app, so four workers create the same table at the same moment: `IF NOT EXISTS`"
        " does not"
    " help, since two of them can both find it missing, and one fails with a duplicate key in pg_type. ALTER and"
    " DROP take"
    " an exclusive lock: behind one long query they stop every other request to the table.",
    fix="Keep the schema in migrations and run them once per release, before the workers start (`harden release`"
        " does,"
    " with a lock timeout), as a role of its own; let the app start without the right to change tables.",
    leaves_alone=(
        "Commands, scripts and migrations that no module of the app imports, and what stands under `__main__`.",
        "Temporary tables, and SQLite in memory.",
        "A page or two for setting up, which is not run with every request.",
        "A start under a condition on the environment or the configuration.",
    ),
    severity=Severity.medium,
    check=_check,
    example="import psycopg2\n"
    "from flask import Flask\n\n"
    "app = Flask(__name__)\n\n\n"
    "def init_db():\n"
    '    with psycopg2.connect("") as conn, conn.cursor() as cur:\n'
    '        cur.execute("CREATE TABLE IF NOT EXISTS users (id serial)")\n\n\n'
    "init_db()\n\n\n"
    '@app.get("/")\n'
    "def index():\n"
    '    return ""\n',
    instead="import psycopg2\n"
    "from flask import Flask\n\n"
    "app = Flask(__name__)\n\n\n"
    "@app.cli.command()\n"
    "def init_db():\n"
    '    with psycopg2.connect("") as conn, conn.cursor() as cur:\n'
    '        cur.execute("CREATE TABLE IF NOT EXISTS users (id serial)")\n\n\n'
    '@app.get("/")\n'
    "def index():\n"
    '    return ""\n',
)  # fmt: skip
