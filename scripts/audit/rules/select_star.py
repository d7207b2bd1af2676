"""H209: `SELECT *` of a table, where the code reads a few of its columns."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.code import Call
from ..model.project import Project
from ..model.values import Data, Site, Text, texts
from ..rule import Rule
from ..schema.build import schema
from ..schema.tables import Schema, Table
from ..sql.shown import shown
from ..sql.statement import Statement, statement
from .row_columns import columns_read
from .row_source import statement_before
from .running import running

_STAR = re.compile(r"^\s*select\s+(\w+\.)?\*\s+from\s", re.IGNORECASE)
_WIDE = re.compile(r"bytea|json|xml|tsvector|vector|hstore|geometry", re.IGNORECASE)
FEWEST = 3  # unused columns that are worth a line, where none of them is a wide one


def _check(project: Project) -> Iterator[Finding]:
    known = schema(project)
    if not known.tables:
        return
    for call in project.calls("fetch"):
        found = _star(project, known, call) if running(project).is_served(call.function) else None
        if found is None:
            continue
        execute, text, table = found
        shapes = {each.shape for each in call.result if isinstance(each, Data) and each.source == "row"}
        if len(shapes) != 1 or not shapes <= {"rows", "row"}:
            continue
        read = columns_read(call, list(table.columns), is_list=shapes == {"rows"})
        if read and _is_worth(table, read, is_list=shapes == {"rows"}):
            yield _finding(project, execute, call, text, table, read)


def _star(project: Project, known: Schema, call: Call) -> tuple[Call, Text, Table] | None:
    """Return the statement before a fetch, and its table, when it selects all columns of one."""
    execute = statement_before(project, Site(call.function.path, call.node.lineno, call.node.col_offset))
    found = texts(execute.sql) if execute is not None else []
    if execute is None or len(found) != 1 or not _STAR.match(found[0].with_holes(" hole_0_ ")):
        return None
    read = statement(found[0])
    table = known.tables.get(_only_table(read)) if read is not None else None
    return (execute, found[0], table) if table is not None and table.columns else None


def _only_table(read: Statement) -> str:
    select = read.select
    if read.kind != "select" or not read.is_parsed or read.is_locking or read.others or select is None:
        return ""
    is_one = len(select.names) == 1 and not (select.sources or select.arms or select.is_grouped)
    return select.tables[0] if is_one and len(select.tables) == 1 else ""


def _is_worth(table: Table, read: frozenset[str], *, is_list: bool) -> bool:
    unused = [name for name in table.columns if name not in read]
    if any(_WIDE.search(table.columns[name]) for name in unused):
        return True
    return is_list and len(unused) >= FEWEST and len(read) <= len(unused)


def _finding(
    project: Project, execute: Call, call: Call, text: Text, table: Table, read: frozenset[str]
) -> Finding:
    routes = project.reach.routes(call.function)
    unused = [name for name in table.columns if name not in read]
    wide = [f"{name} {table.columns[name]}" for name in unused if _WIDE.search(table.columns[name])]
    names = ", ".join(name for name in table.columns if name in read)
    also = f", with {', '.join(wide)}" if wide else ""
    return RULE.at(
        execute.place,
        f"{len(read)} of {table.name}'s {len(table.columns)} columns are read, all are sent{also}: "
        f"`{shown(text)}`",
        severity=Severity.medium if wide and routes else Severity.low, confidence=Confidence.medium,
        routes=routes, fix=f"Name what is read: `SELECT {names} FROM {table.name} ...`.",
        evidence=(Evidence(call.place, f"of its rows only {names} {'is' if len(read) == 1 else 'are'} read"),),
        gain=f"{len(table.columns)} columns a row -> {len(read)}",
    )  # fmt: skip


_HEAD = (
    "from flask import jsonify\n\nDDL = 'CREATE TABLE papers (id int PRIMARY KEY, title text, scan bytea)'\n\n\n"
    "def titles(conn):\n    cur = conn.cursor()\n    cur.execute(DDL)\n"
)
_TAIL = "    return jsonify([row['title'] for row in cur.fetchall()])\n"

RULE = Rule(
    id="H209",
    name="select-star",
    finds="`SELECT *` from one table, where the code reads a few columns of the rows and nothing else needs them.",
    why="PostgreSQL keeps long values apart and reads them when they are asked for: `*` asks. Documents, images"
    " and JSON are read, sent and made into Python objects for a list that shows a name; no index can"
    " answer alone; and a column that is added next year, a password's hash, goes along.",
    fix="Name the columns that are read. Rows that are read by number need the new numbers.",
    leaves_alone=(
        "Rows that go anywhere as a whole: returned, `jsonify(rows)`, `dict(row)`, a template, an unpacking.",
        "Tables that the project's own DDL does not have; joins and sub-selects.",
        "One row of a table without wide columns, and lists that read most of the columns.",
    ),
    severity=Severity.low,
    check=_check,
    example=f"{_HEAD}    cur.execute('SELECT * FROM papers LIMIT 50')\n{_TAIL}",
    instead=f"{_HEAD}    cur.execute('SELECT title FROM papers LIMIT 50')\n{_TAIL}",
)
