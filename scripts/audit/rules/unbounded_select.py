"""H203: a whole table, or every match of a search, for one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.code import Call
from ..model.project import Project
from ..model.values import Text
from ..rule import Rule
from ..sql.select import Select
from ..sql.shown import shown
from ..sql.statement import Statement, statement
from .fetched import takes_one_row
from .origin import by_origin
from .row_bounds import is_bounded, is_search
from .running import running


def _check(project: Project) -> Iterator[Finding]:
    reported: set[Call] = set()
    for call in project.calls("execute"):
        if not running(project).is_served(call.function):
            continue
        for origin, found in by_origin(call).items():
            whole = (
                _whole(found) if origin not in reported and running(project).is_served(origin.function) else None
            )
            if whole and not takes_one_row(project, call, origin):
                reported.add(origin)
                yield _finding(project, origin, call, whole)


def _whole(found: Iterable[Text]) -> tuple[Text, Statement] | None:
    """Return the first statement that nothing bounds; none when one variant of it has a LIMIT."""
    known = [(text, read) for text in found if (read := statement(text)) is not None]
    if any(read.kind == "select" and (read.has_limit or not read.is_parsed) for _, read in known):
        return None
    return next(((text, read) for text, read in known if _is_unbounded(read)), None)


def _is_unbounded(read: Statement) -> bool:
    if read.kind != "select" or read.select is None or read.is_open or not _tables(read.select):
        return False
    return not is_bounded(read.select)


def _tables(select: Select) -> list[str]:
    """Return the tables that its rows come from, those of the server's catalogs left out."""
    found = [name for block in select.blocks() for name in block.tables]
    return [name for name in dict.fromkeys(found) if not name.startswith("pg_") and name not in CATALOG]


def _finding(project: Project, origin: Call, call: Call, whole: tuple[Text, Statement]) -> Finding:
    text, read = whole
    assert read.select is not None
    tables = [name for name in _tables(read.select) if "hole_" not in name]
    evidence = [Evidence(call.place, "executed here")] if call is not origin else []
    routes = project.reach.routes(origin.function)
    return RULE.at(
        origin.place, f"{_what(read.select, tables)}, without a LIMIT: `{shown(text)}`",
        severity=_severity(read.select, routes), confidence=_confidence(read.select, routes),
        evidence=tuple(evidence), routes=routes,
    )  # fmt: skip


def _what(select: Select, tables: list[str]) -> str:
    names = ", ".join(tables[:3]) + (f" and {len(tables) - 3} more" if len(tables) > 3 else "") or "a table"
    if is_search(select):
        return f"loads every match of a search in {names}"
    if select.is_grouped:
        return f"loads a row for each group of {names}"
    if select.filters or select.has_unknown_filter:
        return f"loads all rows of {names} that pass a filter, as many as there are"
    return f"loads all rows of {names}"


def _severity(select: Select, routes: tuple[str, ...]) -> Severity:
    return Severity.low if select.is_grouped or not routes else Severity.medium


def _confidence(select: Select, routes: tuple[str, ...]) -> Confidence:
    if select.has_unknown_filter or not routes:
        return Confidence.low
    required = [each for each in select.filters if not each.is_outer]
    return Confidence.medium if select.is_grouped or required else Confidence.high


CATALOG = frozenset(
    {"tables", "columns", "schemata", "table_constraints", "key_column_usage", "routines", "views"}
)

RULE = Rule(
    id="H203",
    name="unbounded-select",
    finds="A query behind a route that loads a whole table, or every match of a search, without LIMIT.",
    why="psycopg2 takes the whole result into memory before the first row is seen, and the page renders all of"
    " it. It is quick with a developer's 20 rows; with 100,000 each request moves them all, holds its connection"
    " meanwhile, and a few at once fill the worker's memory. In 28 applications that were read by hand, 80"
    " lists had no limit.",
    fix="Page it: `WHERE id > %s ORDER BY id LIMIT 50` with the last id that the client has seen, or"
    " `LIMIT`/`OFFSET` for the first pages; cap a search at what a person reads. Count or check in SQL instead of"
    " loading rows to do it in Python.",
    leaves_alone=(
        "Rows of one owner or one key: a column compared by = to a parameter.",
        "Lists of keys: IN or = ANY of a parameter; a window of time with both ends.",
        "Aggregates without GROUP BY, and queries of which only one row is fetched.",
        "Statements of scripts and commands; a function of the app that nobody calls is reported as low.",
        "A statement that may get its LIMIT from a part that the code does not show.",
    ),
    severity=Severity.medium,
    check=_check,
    example='import psycopg2\nfrom flask import Flask, jsonify\n\napp = Flask(__name__)\n\n\n@app.get("/orders")\n'
    'def orders():\n    conn = psycopg2.connect("dbname=shop")\n    cur = conn.cursor()\n'
    '    cur.execute("SELECT id, total FROM orders")\n'
    "    return jsonify(cur.fetchall())\n",
    instead="import psycopg2\nfrom flask import Flask, jsonify, request\n\napp = Flask(__name__)\n\n\n"
    '@app.get("/orders")\ndef orders():\n    conn = psycopg2.connect("dbname=shop")\n    cur = conn.cursor()\n'
    '    after = request.args.get("after", 0)\n'
    '    cur.execute("SELECT id, total FROM orders WHERE id > %s ORDER BY id LIMIT 50", (after,))\n'
    "    return jsonify(cur.fetchall())\n",
)
