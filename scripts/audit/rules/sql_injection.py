"""H301: SQL whose text is put together from values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Place, Severity
from ..model.project import Project
from ..model.values import Hole
from ..rule import Rule
from .named_parameters import Named, named
from .reached import shown
from .sql_texts import HARMLESS, Built, building, built

# From the worst: what a source is called, how bad and how sure it is.
SOURCES = {
    "request": ("what the client sends", Severity.critical, Confidence.high),
    "remote": ("another server's answer", Severity.high, Confidence.high),
    "session": ("a value of the session", Severity.high, Confidence.high),
    "row": ("a value read from the database", Severity.high, Confidence.high),
    "file": ("what stands in a file", Severity.high, Confidence.medium),
    "terminal": ("what is typed in", Severity.medium, Confidence.medium),
    "parameter": ("a parameter that any caller can fill", Severity.high, Confidence.medium),
    "unknown": ("a value that is no constant", Severity.high, Confidence.medium),
    "generated": ("a time or a random value", Severity.low, Confidence.medium),
}
_IDENTIFIER = re.compile(
    r"\b(order\s+by|group\s+by)\b[\w\s.,\"]*\x00"
    r"|\b(from|join|into|update|table|asc|desc|schema|database|index|view|role|user)\s+\"?\x00"
    r"|\x00\"?\s*(=|<|>|\bi?like\b|\bin\b|\bis\b|asc\b|desc\b|\.)",
    re.IGNORECASE,
)
BOUND = (
    "Write `%s` in the text and give the values beside it: `cur.execute(sql, (value,))`; no quotes around `%s`."
)
NAMED = (
    "A table, a column or ASC/DESC cannot be bound: take it from a dict of the allowed ones, or quote it with"
    " `psycopg2.sql.Identifier`."
)  # fmt: skip
RAW = "Give `sql.SQL` a constant only, and put values in by `sql.Placeholder`, names by `sql.Identifier`."


def _check(project: Project) -> Iterator[Finding]:
    everything = built(project)
    for found in everything:
        yield _finding(project, found)
    for each in named(project, [found.runs for found in everything]):
        yield _named(project, each)


def _finding(project: Project, found: Built) -> Finding:
    worst = _worst(list(found.holes))
    is_number = all(hole.is_number for hole in found.holes)
    what, severity, confidence = SOURCES[worst]
    routes = project.reach.routes(found.call.function)
    if not routes and severity is Severity.high and worst in ("parameter", "unknown"):
        severity = Severity.medium
    if is_number:
        what, severity, confidence = f"{what}, as a number", Severity.low, Confidence.medium
    message = (
        f"{what} goes into the text of `{_shown(found)}`"
        if found.texts
        else f"{what} goes into the text of a statement"
    )
    if found.raw:
        message = f"{what} goes into sql.SQL() as it is"
    return RULE.at(
        _place(project, found), message, severity=severity, confidence=confidence, fix=_fix(found),
        evidence=tuple(_evidence(project, found)), routes=routes,
    )  # fmt: skip


def _named(project: Project, found: Named) -> Finding:
    """Return the mildest: a parameter that every caller fills with a constant."""
    names = ", ".join(f"`{name}`" for name in found.parameters)
    message = (
        f"{names} goes into the text of `{shown(found.text)}`; every caller gives a constant, the next one may not"
    )
    routes = project.reach.routes(found.call.function)
    return RULE.at(
        found.call.place, message, severity=Severity.low, confidence=Confidence.low, fix=NAMED, routes=routes
    )


def _worst(holes: list[Hole]) -> str:
    open_ones = [hole for hole in holes if not hole.is_number] or holes
    sources = {source for hole in open_ones for source in hole.sources} - HARMLESS
    return next((each for each in SOURCES if each in sources), "unknown")


def _shown(found: Built) -> str:
    return shown(max(found.texts, key=lambda text: len(text.with_holes("..."))))


def _place(project: Project, found: Built) -> Place:
    """Return the call; where a helper of another file runs the text, from the line that builds it."""
    place, site = found.call.place, building(project, found)
    if found.runs is found.call or found.runs.function.path == found.call.function.path or site is None:
        return place
    if site.path != place.path or not 0 <= place.line - site.line <= 30:
        return place
    return Place(place.path, site.line, site.col + 1, place.end_line, place.end_col)


def _evidence(project: Project, found: Built) -> Iterator[Evidence]:
    site = building(project, found)
    if site is not None:
        yield Evidence(Place(site.path, site.line, site.col + 1), "the text begins here")
    if found.runs is not found.call:
        yield Evidence(found.runs.place, "it is run here")
    for hole in sorted(found.holes, key=lambda each: each.site)[:5]:
        names = [SOURCES[source][0] for source in hole.sources if source in SOURCES]
        if names:
            yield Evidence(
                Place(hole.site.path, hole.site.line, hole.site.col + 1), f"put in here: {', '.join(names)}"
            )


def _fix(found: Built) -> str:
    if found.raw:
        return RAW
    marked = [text.with_holes("\x00") for text in found.texts]
    parts = [BOUND] if not marked or any(_IDENTIFIER.sub("", text).count("\x00") for text in marked) else []
    if any(_IDENTIFIER.search(text) for text in marked):
        parts.append(NAMED)
    return " ".join(parts)


RULE = Rule(
    id="H301",
    name="sql-injection",
    finds="A statement whose text is made with values: by an f-string, `%`, `+`, `.format` or `join`, also when a"
    " helper or another file runs it. Graded by where the values come from.",
    why="Whoever can choose the value writes the statement: reads other users' rows, changes or deletes them, logs"
    " in without a password. A text that a name with an apostrophe breaks is the mild form of the same.",
    fix="Bind values, `cur.execute(sql, (value,))`; take names of columns and tables from an allow-list or quote"
    " them with `psycopg2.sql.Identifier`.",
    leaves_alone=(
        "psycopg2.sql composition and `mogrify`; `sql.SQL()` of anything but a constant is reported.",
        "Placeholders put together, `','.join(['%s'] * len(ids))`; constant conditions with bound values.",
        "f-strings without a field, constants of modules and classes, values of a dict of constants.",
        "A name that was looked up in a fixed collection before: `if sort not in ALLOWED: abort(400)`.",
        "What the environment says: who sets it owns the database.",
    ),
    severity=Severity.critical,
    check=_check,
    example='from flask import request\n\n\ndef find(cur):\n    name = request.args["name"]\n'
    "    cur.execute(f\"SELECT id FROM users WHERE name = '{name}'\")\n    return cur.fetchall()\n",
    instead='from flask import request\n\n\ndef find(cur):\n    name = request.args["name"]\n'
    '    cur.execute("SELECT id FROM users WHERE name = %s", (name,))\n    return cur.fetchall()\n',
)
