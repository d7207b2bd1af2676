"""Puts together a project's schema: its SQL files, and the DDL that its code executes.

Files are read in order of their names, so that numbered migrations apply in turn. Nothing that drops is followed:
an index that was there once counts, which errs on the side of silence.
"""

from __future__ import annotations

import bisect

from ..finding import Place
from ..model.code import Call
from ..model.project import Project
from ..model.values import Connection, Cursor, Site, Text, statements
from ..sql.statement import statement
from .ddl import Locate, apply
from .script import ddl
from .tables import Schema

SUFFIXES = (".sql", ".psql", ".ddl", ".pgsql")
OTHER_DRIVERS = ("sqlite3", "mysql", "pymysql", "MySQLdb", "mariadb", "aiosqlite")
_KEPT = "_schema"


def schema(project: Project) -> Schema:
    """Return the schema of a project; put together once."""
    if _KEPT not in vars(project):
        vars(project)[_KEPT] = _build(project)
    found: Schema = vars(project)[_KEPT]
    return found


def _build(project: Project) -> Schema:
    made = Schema()
    for path in project.files:
        if path.lower().endswith(SUFFIXES):
            read_script(made, path, project.text(path))
    for call in project.calls("execute"):
        if not _is_of_another(call):
            for text in statements(call.sql):
                _read_text(made, project, call, text)
    return made


def read_script(made: Schema, path: str, script: str) -> None:
    """Add what an SQL file makes."""
    starts = (
        [0, *(position + 1 for position, char in enumerate(script) if char == "\n")]
        if len(script) < 100_000
        else None
    )
    for sql, start in ddl(script):
        apply(made, sql, _in_script(path, script, start, starts))


def _in_script(path: str, script: str, start: int, starts: list[int] | None) -> Locate:
    def locate(offset: int, _name: str) -> Place:
        position = start + offset
        line = bisect.bisect(starts, position) if starts else script.count("\n", 0, position) + 1
        return Place(path, line, position - (script.rfind("\n", 0, position) + 1) + 1)

    return locate


def _read_text(made: Schema, project: Project, call: Call, text: Text) -> None:
    constant = text.constant
    if constant is None or len(constant) < 15:
        return
    read = statement(text)
    if read is not None and any(each.kind == "ddl" for each in (read, *read.others)):
        apply(made, constant.replace("%%", "%"), _in_code(project, call, constant, text.site))


def _in_code(project: Project, call: Call, sql: str, site: Site | None) -> Locate:
    """Return how to find a name of a statement in the source: the line that it would stand on, if it does."""
    module = next((each for each in project.modules if site and each.path == site.path), call.function.module)
    first = site.line if site else call.node.lineno

    def locate(offset: int, name: str) -> Place:
        line = first + sql.count("\n", 0, offset)
        source = module.lines[line - 1].lower() if line <= len(module.lines) else ""
        if name and name in source:
            return Place(module.path, line, source.index(name) + 1)
        return Place(module.path, first, site.col + 1 if site else 1)

    return locate


def _is_of_another(call: Call) -> bool:
    for value in call.receiver:
        connection = value.connection if isinstance(value, Cursor) else value
        if isinstance(connection, Connection) and connection.driver in OTHER_DRIVERS:
            return True
    return False
