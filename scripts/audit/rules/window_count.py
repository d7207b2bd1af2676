"""H207: a page of a list that counts the whole list, for each page again."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.code import Call, Function
from ..model.project import Project
from ..model.values import Text
from ..rule import Rule
from ..sql.select import Select
from ..sql.shown import shown
from ..sql.statement import Statement, statement
from .origin import by_origin
from .running import running

# Of all rows: with a PARTITION BY it is a figure of its own, and no page's total.
_WINDOW = re.compile(r"\bcount\s*\(\s*[^()]*\)\s*over\s*\(\s*\)", re.IGNORECASE)
_COUNT = re.compile(r"^\s*select\s+count\s*\(\s*(\*|1|(\w+\.)?\w+)\s*\)(\s+(as\s+)?\w+)?\s+from\b", re.IGNORECASE)
_HOLE = " hole_0_ "


def _check(project: Project) -> Iterator[Finding]:
    pages: dict[Function, list[tuple[Call, Text, Statement]]] = {}
    counts: dict[Function, list[tuple[Call, Text, Statement]]] = {}
    reported: set[Call] = set()
    for origin, text, read in _selects(project):
        sql = text.with_holes(_HOLE)
        if _WINDOW.search(sql):
            if read.has_limit and origin not in reported:
                reported.add(origin)
                yield _of_window(project, origin, text)
        elif _COUNT.match(sql) and _is_plain(read):
            counts.setdefault(origin.function, []).append((origin, text, read))
        elif read.select is not None and read.select.has_offset and read.has_limit:
            pages.setdefault(origin.function, []).append((origin, text, read))
    for function, found in counts.items():
        for count in found:
            page = next((each for each in pages.get(function, ()) if _is_total(count[2], each[2])), None)
            if page is not None and count[0] not in reported:
                reported.add(count[0])
                yield _of_count(project, count, page)


def _selects(project: Project) -> Iterator[tuple[Call, Text, Statement]]:
    """Yield the queries that a request may run, by the call that brings each."""
    for call in project.calls("execute"):
        if not running(project).is_served(call.function):
            continue
        for origin, found in by_origin(call).items():
            for text in found if running(project).is_served(origin.function) else ():
                read = statement(text)
                if read is not None and read.kind == "select" and read.is_parsed:
                    yield origin, text, read


def _is_plain(read: Statement) -> bool:
    return read.select is not None and not (read.select.is_grouped or read.select.arms or read.has_limit)


def _is_total(count: Statement, page: Statement) -> bool:
    """Whether a count is of the list that a page is of: the same table, the same columns looked at."""
    assert count.select is not None
    assert page.select is not None
    return bool(count.select.tables) and count.select.tables[:1] == page.select.tables[:1] and (
        _filters(count.select) == _filters(page.select)
    )  # fmt: skip


def _filters(select: Select) -> set[tuple[str, str]]:
    return {(each.column.name, each.operator) for each in select.filters if not each.is_outer}


def _of_window(project: Project, origin: Call, text: Text) -> Finding:
    return RULE.at(
        origin.place, f"counts the whole list for each page of it: `{shown(text)}`",
        routes=project.reach.routes(origin.function),
        gain="a page costs what the list costs -> what a page costs",
    )  # fmt: skip


def _of_count(
    project: Project, count: tuple[Call, Text, Statement], page: tuple[Call, Text, Statement]
) -> Finding:
    origin, text, _ = count
    return RULE.at(
        origin.place, f"counts the whole list beside each page of it: `{shown(text)}`",
        severity=Severity.low, confidence=Confidence.medium, routes=project.reach.routes(origin.function),
        evidence=(Evidence(page[0].place, f"the page: {shown(page[1])}"),),
        gain="2 statements, one of them over the whole list -> 1",
    )  # fmt: skip


RULE = Rule(
    id="H207",
    name="window-count",
    finds="A page of a list whose statement has `count(*) OVER ()`, or that is counted as a whole by a second"
    " statement beside it.",
    why="A window count takes the LIMIT's point away: every row that passes the filters is made and counted before"
    " the first one is sent, for each page again. On 238,000 rows a count of all took 24 ms, one capped at 10,000"
    " took 1.6 ms, the planner's estimate 0.3 ms, and a list that only goes on needs none.",
    fix='`CursorPages` (one row more says whether there is a next page), or `NumberedPages(..., count="capped")`'
    ' or `"estimated"` where a number has to be shown: docs/row-patterns.md.',
    leaves_alone=(
        "A window count without LIMIT: the list is sent as a whole, and its length costs nothing more.",
        "`count(*) OVER (PARTITION BY ...)`, which is a figure of each group.",
        "A count of another table, or with other conditions, than the page beside it.",
    ),
    severity=Severity.medium,
    check=_check,
    example="from flask import request\n\n\ndef page(conn):\n    cur = conn.cursor()\n"
    '    cur.execute("SELECT id, name, count(*) OVER () FROM parts ORDER BY id LIMIT 20 OFFSET %s",'
    ' (request.args["skip"],))\n    return cur.fetchall()\n',
    instead='from flask import request\n\nfrom backend import CursorPages\n\nPARTS = CursorPages("SELECT id, name'
    ' FROM parts", order="id", size=20)\n\n\ndef page(conn):\n'
    '    return PARTS.fetch(conn, cursor=request.args.get("cursor"))\n',
)
