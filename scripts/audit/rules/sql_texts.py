"""Statements whose text is not constant: what goes into them, and where the code is that puts it there.

A helper that runs what it is given, `run(sql)`, is not the place: each of its callers that builds a text is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..model.code import Call, Function
from ..model.project import STATEMENTS, Project
from ..model.values import Composed, Data, Hole, Site, Text, Value
from .allow_lists import is_checked

HARMLESS = frozenset({"constant", "environment"})
HIGHEST = 4  # callers that hand a text on, one to the next


@dataclass
class Built:
    """A call that runs, or hands on, a text that is not constant.

    Attributes:
        call: The execute, or the call of the helper that runs its parameter.
        runs: The execute behind it; the same call when there is no helper.
        raw: Whether the text went into `psycopg2.sql.SQL()`.
    """

    call: Call
    runs: Call
    texts: dict[Text, None] = field(default_factory=dict)
    holes: dict[Hole, None] = field(default_factory=dict)
    raw: bool = False


def built(project: Project) -> list[Built]:
    """Return every statement with something in its text that is no constant, in the order of the source."""
    found: dict[Call, Built] = {}
    for call in project.calls(*STATEMENTS, "copy"):
        risky = [(value, holes) for value in call.sql if (holes := _risky(project, value))]
        for value, holes in sorted(risky, key=repr):
            for place in _places(call, value, holes):
                each = found.setdefault(place, Built(place, call))
                each.holes.update(dict.fromkeys(holes))
                each.texts.update({value: None} if isinstance(value, Text) else {})
                each.raw = each.raw or isinstance(value, Composed)
    return sorted(found.values(), key=lambda each: each.call.place)


def _risky(project: Project, value: Value) -> list[Hole]:
    """Return the holes of a text that something else than constants fills and nothing restricts."""
    if isinstance(value, Data):
        site = Site(value.site.path, value.site.line, value.site.col)
        return [Hole(site, (value.source,))] if value.source in ("request", "remote") else []
    holes = value.holes if isinstance(value, Text) else value.raw if isinstance(value, Composed) else ()
    open_ones = [each for each in holes if set(each.sources) - HARMLESS]
    return [each for each in open_ones if not _is_restricted(project, each)]


def _is_restricted(project: Project, hole: Hole) -> bool:
    function = project.function_at(hole.site)
    return function is not None and is_checked(function, hole)


def _places(call: Call, value: Value, holes: list[Hole]) -> Iterator[Call]:
    """Yield where a text is handed over: the execute itself, unless the whole text comes in by a parameter."""
    found = _handing(call.function, value, holes, HIGHEST)
    yield from found or [call]


def _handing(function: Function, value: Value, holes: list[Hole], left: int) -> list[Call]:
    if left == 0 or function.is_module or any(_lies_in(hole.site, function) for hole in holes):
        return []
    found: dict[Call, None] = {}
    for caller in function.callers:
        given = [*caller.arguments, *caller.keywords.values()]
        if any(_is_same(each, value) for values in given for each in values):
            above = _handing(caller.function, value, holes, left - 1)
            found.update(dict.fromkeys(above or [caller]))
    return list(found)


def _is_same(given: Value, value: Value) -> bool:
    if isinstance(given, Text) and isinstance(value, Text):
        return given == value or (given.site is not None and given.site == value.site and bool(given.holes))
    return given == value


def _lies_in(site: Site, function: Function) -> bool:
    return site.path == function.path and not function.is_module and function.holds(site.line)


def building(project: Project, found: Built) -> Site | None:
    """Return where the text begins to be made, when that is another line than the call's."""
    sites = sorted(text.site for text in found.texts if text.site)
    place = found.call.place
    elsewhere = [site for site in sites if (site.path, site.line) != (place.path, place.line)]
    return elsewhere[0] if elsewhere else None
