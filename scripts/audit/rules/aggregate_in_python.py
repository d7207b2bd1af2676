"""H208: rows that are fetched to be counted, added up or looked at for being there, and for nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.code import Call
from ..model.project import Project
from ..model.values import Data, Site, Text, texts
from ..rule import Rule
from ..sql.select import Select
from ..sql.shown import shown
from ..sql.statement import Statement, statement
from .reached import reached
from .row_bounds import is_bounded
from .row_source import statement_before
from .row_uses import uses
from .running import running

_LISTED = re.compile(r"^\s*select\s+(?!distinct\b|all\b).*?\s(?=from\s)", re.IGNORECASE | re.DOTALL)
_ORDER = re.compile(r"\s+order\s+by\s+[^()]*$", re.IGNORECASE)
_WORDS = {
    "count": "counted", "exists": "tested for being there", "sum": "added up", "max": "compared",
    "min": "compared", "avg": "averaged", "group": "counted or added up by group",
}  # fmt: skip


def _check(project: Project) -> Iterator[Finding]:
    for call in project.calls():
        if not _brings_rows(call) or not running(project).is_served(call.function):
            continue
        made = uses(call)
        found = _statement(project, call) if made else None
        if found is None or not _is_worth(found[2], made):
            continue
        yield _finding(project, call, made, found)


def _brings_rows(call: Call) -> bool:
    """Whether a call returns a list of rows: `cur.fetchall()`, or a helper's `query(sql)`."""
    if call.does != "fetch" and not call.callees:
        return False
    return any(isinstance(each, Data) and each.source == "row" and each.shape == "rows" for each in call.result)


def _statement(project: Project, call: Call) -> tuple[Call, Text, Statement] | None:
    """Return the one query whose rows a call returns."""
    if call.does == "fetch":
        place = Site(call.function.path, call.node.lineno, call.node.col_offset)
        execute = statement_before(project, place)
        found = [(execute, text) for text in texts(execute.sql)] if execute is not None else []
    else:
        found = [(each.call, each.text) for each in reached(project, call) if each.text is not None]
    if len(found) != 1 or (read := statement(found[0][1])) is None:
        return None
    is_query = read.kind == "select" and read.is_parsed and not read.is_locking and not read.others
    return (*found[0], read) if is_query else None


def _is_worth(read: Statement, made: set[str]) -> bool:
    """Whether the rows can be many; a test for being there is left alone where a key picks them."""
    select = read.select
    if select is None or read.has_limit or select.is_one_row or not select.tables or read.is_open:
        return False
    return made != {"exists"} or not is_bounded(select)


def _finding(project: Project, call: Call, made: set[str], found: tuple[Call, Text, Statement]) -> Finding:
    execute, text, read = found
    assert read.select is not None
    what = " and ".join(dict.fromkeys(_WORDS[each] for each in sorted(made)))
    routes = project.reach.routes(call.function)
    advice = _advice(made, text, read.select)
    return RULE.at(
        call.place, f"rows are only {what} here, in Python: `{shown(text)}`",
        severity=Severity.medium if routes and not is_bounded(read.select) else Severity.low,
        confidence=Confidence.high if call.does == "fetch" else Confidence.medium,
        routes=routes, fix=advice or RULE.fix,
        evidence=(Evidence(execute.place, "executed here"),) if execute is not call else (),
        gain="every row is sent -> one",
    )  # fmt: skip


def _advice(made: set[str], text: Text, select: Select) -> str:
    """Return the statement to send where it is plain; "" where a person has to write it."""
    sql = " ".join(text.with_holes("%s").split()).rstrip("; ")
    is_plain = not (select.is_grouped or select.arms or select.sources or select.is_aggregate)
    match = _LISTED.match(sql) if is_plain and not text.holes else None
    if match is None or made not in ({"count"}, {"exists"}):
        return ""
    rest = _ORDER.sub("", sql[match.end() :])
    asked = f"SELECT count(*) {rest}" if made == {"count"} else f"SELECT EXISTS (SELECT 1 {rest})"
    return f"Let the database do it: `{asked}`, and `cur.fetchone()[0]`." if len(asked) <= 160 else ""


RULE = Rule(
    id="H208",
    name="aggregate-in-python",
    finds="Rows that are fetched and then only counted, added up, compared or tested for being there.",
    why="All rows are read, sent, and made into Python objects for one number: 400,000 rows by `fetchall()`"
    " took 4.2 s and 521 MB, most of it with the interpreter's lock held, so that the worker's other threads wait;"
    " `count(*)` or `sum()` sends one row.",
    fix="Ask for the number: `count(*)`, `sum(x)`, `max(x)`, `EXISTS (...)`; several at once with `FILTER (WHERE"
    " ...)`; by group with `GROUP BY`: docs/row-patterns.md. A sum of no rows is NULL: `coalesce(sum(x), 0)`.",
    leaves_alone=(
        "Rows that anything else uses: returned, passed on, shown, looped over for more than adding up.",
        "A statement with LIMIT, or one that returns one row anyway.",
        "A test for being there where a key or an owner picks the rows: they are few.",
        "A sum whose terms call functions that SQL does not have.",
    ),
    severity=Severity.medium,
    check=_check,
    example="from flask import jsonify\n\n\ndef stats(conn):\n    cur = conn.cursor()\n"
    '    cur.execute("SELECT * FROM orders")\n    return jsonify(orders=len(cur.fetchall()))\n',
    instead="from flask import jsonify\n\n\ndef stats(conn):\n    cur = conn.cursor()\n"
    '    cur.execute("SELECT count(*) FROM orders")\n    return jsonify(orders=cur.fetchone()[0])\n',
)
