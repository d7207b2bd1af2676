"""The query whose rows a loop is over: from the fetch back to the statement before it."""

from __future__ import annotations

from ..finding import Place
from ..model.code import Call, Loop
from ..model.project import STATEMENTS, Project
from ..model.values import Site, Text, texts
from .reached import Reached


def row_query(project: Project, loop: Loop) -> Reached | None:
    """Return the statement that brings a loop's rows; None when the code leaves several or none."""
    rows = [each for each in loop.behind if each.source == "row"]
    rows.sort(key=lambda each: each.shape != "rows")
    for each in rows:
        call = statement_before(project, each.site)
        if call is not None:
            return _said(project, call, loop)
    return None


def row_place(loop: Loop) -> Place | None:
    """Return where the rows are fetched."""
    found = [each.site for each in loop.behind if each.source == "row"]
    return Place(found[0].path, found[0].line, found[0].col + 1) if found else None


def statement_before(project: Project, site: Site) -> Call | None:
    """Return the last statement before a fetch in the same function, on its cursor where that is known."""
    function = project.function_at(site)
    if function is None:
        return None
    before = [call for call in function.calls if call.does in STATEMENTS and call.node.lineno <= site.line]
    place = (site.line, site.col)
    cursors = {
        cursor
        for call in function.calls
        if call.does == "fetch" and (call.node.lineno, call.node.col_offset) == place
        for cursor in call.receiver
    }
    own = [call for call in before if cursors & call.receiver]
    return max(own or before, key=lambda call: call.node.lineno, default=None)


def _said(project: Project, call: Call, loop: Loop) -> Reached | None:
    """Return the one text that a statement can have for this loop."""
    found = texts(call.sql)
    if len(found) > 1:
        near = project.reach.closure([loop.function])
        found = [text for text in found if text.site and project.function_at(text.site) in near]
    if len(found) > 1:
        found = _nearest(found, loop)
    return Reached(call, found[0]) if len(found) == 1 else None


def _nearest(found: list[Text], loop: Loop) -> list[Text]:
    """Return the texts that a loop's header has, else the last before it."""
    first, last = loop.header.lineno, loop.header.end_lineno or loop.header.lineno
    here = [(text.site.line, text) for text in found if text.site and text.site.path == loop.function.path]
    inside = [text for line, text in here if first <= line <= last]
    before = [(line, text) for line, text in here if line < first]
    if inside or not before:
        return inside
    nearest = max(line for line, _ in before)
    return [text for line, text in before if line == nearest]
