"""H204: rows looked up by a column that no index of the project's schema begins with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.code import Call
from ..model.project import Project
from ..model.values import Text
from ..rule import Rule
from ..schema.build import schema
from ..schema.tables import Schema
from ..sql.select import EQUAL
from ..sql.shown import shown
from ..sql.statement import statement
from .column_table import Use, uses
from .index_advice import create_index
from .origin import by_origin
from .row_bounds import GIVEN
from .running import running

_RANGES = ("<", "<=", ">", ">=", "between")
_PATTERNS = ("like", "ilike")
_SECRETS = re.compile(
    r"pass|pwd|hash|token_value|secret", re.IGNORECASE
)  # compared beside the column that picks the row
_SMALL_TYPES = ("bool",)


@dataclass(frozen=True)
class _Scan:
    """A use that reads the whole table, and where."""

    use: Use
    call: Call
    text: Text


def _check(project: Project) -> Iterator[Finding]:
    known = schema(project)
    groups: dict[tuple[str, str, str], list[_Scan]] = {}
    for scan in _scans(project, known) if known.tables else ():
        groups.setdefault((scan.use.table, scan.use.key, _index_type(scan.use)), []).append(scan)
    for scans in groups.values():
        yield _finding(project, known, scans)


def _scans(project: Project, known: Schema) -> Iterator[_Scan]:
    for call in project.calls("execute"):
        for origin, found in by_origin(call).items():
            if running(project).is_served(origin.function):
                for text in found:
                    yield from (_Scan(use, origin, text) for use in _unindexed(known, text))


def _unindexed(known: Schema, text: Text) -> Iterator[Use]:
    """Yield the first use in each query, table by table, that an index would serve and none does."""
    read = statement(text)
    if read is None or read.kind not in ("select", "update", "delete"):
        return
    tables: dict[tuple[int, str], list[Use]] = {}
    for use in uses(known, read):
        tables.setdefault((id(use.block), use.table), []).append(use)
    for group in tables.values():
        yield from _of_table(known, group)


def _of_table(known: Schema, group: list[Use]) -> Iterator[Use]:
    equal = [
        use
        for use in group
        if use.filter and use.filter.operator in EQUAL and use.filter.by in (*GIVEN, "literal")
    ]
    if any(_is_covered(known, use) for use in equal if not (use.filter and use.filter.is_optional)):
        return
    if any(_is_foreign_key(known, use) for use in equal):
        return
    wanted = [use for use in equal if _is_selective(known, use)]
    ranges = [use for use in group if use.filter and use.filter.operator in _RANGES and use.filter.by in GIVEN]
    patterns = [use for use in group if use.filter and use.filter.operator in _PATTERNS and use.filter.by in GIVEN]
    missing = (
        [use for use in [*wanted, *ranges] if not _is_covered(known, use)][:1] if not _any(known, ranges) else []
    )
    missing += [use for use in patterns if not known.has_pattern_index(use.table, use.column)]
    sorts = [
        use
        for use in group
        if use.how == "sort" and use.block.has_limit and not use.block.filters and not use.block.is_grouped
    ]
    missing += [use for use in sorts if not _is_covered(known, use)]
    yield from missing


def _any(known: Schema, ranges: Iterable[Use]) -> bool:
    return any(_is_covered(known, use) for use in ranges)


def _is_covered(known: Schema, use: Use) -> bool:
    return known.covering(use.table, [use.key]) is not None


def _is_selective(known: Schema, use: Use) -> bool:
    if use.filter is None or use.filter.by not in GIVEN or _SECRETS.search(use.column):
        return False
    return known.tables[use.table].columns[use.column] not in _SMALL_TYPES


def _is_foreign_key(known: Schema, use: Use) -> bool:
    """Whether the index that would serve is a foreign key's, which is another rule's."""
    return any(each.table == use.table and each.columns[:1] == (use.column,) for each in known.foreign_keys)


def _index_type(use: Use) -> str:
    return "trigram" if use.filter and use.filter.operator in _PATTERNS else ""


def _finding(project: Project, known: Schema, scans: list[_Scan]) -> Finding:
    first = next((scan for scan in scans if project.reach.routes(scan.call.function)), scans[0])
    use, places = first.use, list(dict.fromkeys(scan.call.place for scan in scans))
    places.remove(first.call.place)
    routes = sorted({route for scan in scans for route in project.reach.routes(scan.call.function)})
    trigram = _index_type(use)
    fix = f"`{create_index(use.table, [use.key], trigram)}` outside a transaction, with lock_timeout set" + (
        " (needs `CREATE EXTENSION pg_trgm`)."
        if trigram
        else "; UNIQUE, if there may be one of each."
        if _may_be_unique(use)
        else "."
    )
    return RULE.at(
        first.call.place, f"{use.table}.{use.column} is {_how(use)}, without an index: `{shown(first.text)}`",
        severity=Severity.medium if routes and not trigram and use.how == "filter" else Severity.low,
        confidence=Confidence.medium, fix=fix, evidence=(Evidence(known.tables[use.table].place,
        f"{use.table} is made here"),), more=tuple(places), routes=tuple(routes),
    )  # fmt: skip


def _may_be_unique(use: Use) -> bool:
    return (
        bool(re.search(r"name|mail|login|slug|code", use.column))
        and use.filter is not None
        and use.filter.operator == "="
    )


def _how(use: Use) -> str:
    if use.filter is None:
        return "what rows are sorted by for a LIMIT" if use.how == "sort" else "joined by"
    if use.filter.operator in _PATTERNS:
        return f"searched by {use.filter.operator.upper()}"
    return (
        f"looked up by {use.key}"
        if use.function
        else "looked up by value"
        if use.filter.operator in EQUAL
        else "filtered by a range"
    )


_DDL = "CREATE TABLE users (id bigint PRIMARY KEY, email text)"
_APP = (
    "import psycopg2\nfrom flask import Flask, jsonify\n\napp = Flask(__name__)\n\n\ndef create_tables(cur):\n"
    '    cur.execute("{}")\n\n\n@app.get("/users/<email>")\ndef user(email):\n'
    '    conn = psycopg2.connect("dbname=shop")\n    cur = conn.cursor()\n'
    '    cur.execute("SELECT id FROM users WHERE email = %s", (email,))\n    return jsonify(cur.fetchone())\n\n\n'
    'if __name__ == "__main__":\n    create_tables(psycopg2.connect("dbname=shop").cursor())\n'
)

RULE = Rule(
    id="H204",
    name="unindexed-filter",
    finds="A column that a query of a route looks rows up by, searches by LIKE or sorts by for a LIMIT, where the"
    " project's own DDL makes no index that begins with it.",
    why="The server reads the whole table for each such request: no harm with a thousand rows, a core per request"
    " with a million. Looking a user up by name at each login is the usual case.",
    fix="Add an index with CREATE INDEX CONCURRENTLY, or a UNIQUE where there may be one of each.",
    leaves_alone=(
        "A column that is the first one of an index, a primary key or a UNIQUE; a query that another equality"
        " narrows by one.",
        "A table whose CREATE TABLE is not in the project.",
        "Foreign keys, which unindexed-foreign-key reports; booleans and constants, which pick too many rows for"
        " an index.",
        "Statements of scripts and commands.",
    ),
    severity=Severity.medium,
    check=_check,
    example=_APP.format(_DDL),
    instead=_APP.format(_DDL.replace("email text", "email text UNIQUE")),
)
