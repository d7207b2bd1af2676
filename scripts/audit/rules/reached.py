"""Which statements a call gets to, and what they say: the call graph from the side of a loop.

A helper that runs any statement, `run(sql)`, has the texts of all its callers; here each call keeps those that it
can have brought. If that choice is wrong, a finding names another caller's statement, or is missing.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from ..model.code import Call, Function
from ..model.project import STATEMENTS, Project
from ..model.values import Text, texts
from .branches import NOTHING_GIVEN, Given, bind, is_open

DEEPEST = 4  # calls that arguments are followed through
SHOWN = 90  # characters of a statement in a message
# What a loop may run for each turn without it being a query: sessions, transactions, schema.
_NO_QUERY = re.compile(
    r"\s*(set|reset|show|discard|begin|start|commit|end|rollback|abort|savepoint|release|create|alter|drop|truncate|grant|revoke"
    r"|comment|vacuum|analyze|reindex|refresh|listen|unlisten|notify|lock|deallocate|declare|close|select\s+1\s*;?\s*$"
    r"|select\s+(set_config|pg_advisory|pg_notify|nextval))\b",
    re.IGNORECASE,
)
_NOISE = re.compile(r"/\*.*?\*/|--[^\n]*|\s+", re.DOTALL)


@dataclass(frozen=True)
class Reached:
    """A statement that a call gets to; `text` is None where the code does not say what it is."""

    call: Call
    text: Text | None

    @property
    def sql(self) -> str:
        """The statement in one line of at most `SHOWN` characters; empty when it is not known."""
        return shown(self.text) if self.text is not None else ""

    @property
    def whole(self) -> str:
        """The statement in one line, "..." for what is put in; empty when it is not known."""
        return in_line(self.text) if self.text is not None else ""


def in_line(text: Text) -> str:
    """Return a statement in one line."""
    return _NOISE.sub(" ", text.with_holes("...")).strip().rstrip(";").rstrip()


def shown(text: Text) -> str:
    """Return a statement as a message has it: one line, cut."""
    found = in_line(text)
    return found if len(found) <= SHOWN else f"{found[: SHOWN - 3].rstrip()}..."


def reached(project: Project, call: Call) -> list[Reached]:
    """Return the queries that a call gets to: itself, or those inside what it runs."""
    found = []
    for each in _behind(project, call):
        choices = texts(each.sql) if each is call else _of(project, call, texts(each.sql))
        if not choices:
            found.append(Reached(each, None))
        found.extend(
            Reached(each, text) for text in choices if not _NO_QUERY.match(_NOISE.sub(" ", text.with_holes("x")))
        )
    return found


def _behind(project: Project, call: Call) -> list[Call]:
    """Return the statements that a call gets to, past the branches that its arguments rule out."""
    found: dict[Call, None] = {}
    seen: set[tuple[Call, int]] = set()
    todo: list[tuple[Call, Given, int]] = [(call, NOTHING_GIVEN, 0)]
    while todo:
        each, outer, depth = todo.pop()
        if each.does in STATEMENTS:
            found[each] = None
        elif depth == DEEPEST:
            found.update(dict.fromkeys(project.reach.behind(each, *STATEMENTS)))
        elif (each, depth) not in seen:
            seen.add((each, depth))
            for callee in each.callees:
                given = bind(each, callee, outer)
                inside = [*callee.calls, *(one for wrapper in callee.wrappers for one in wrapper.calls)]
                todo.extend(
                    (one, given, depth + 1) for one in reversed(inside) if _is_run(project, callee, one, given)
                )
    return list(found)


def _is_run(project: Project, callee: Function, call: Call, given: Given) -> bool:
    if not project.reach.behind(call, *STATEMENTS):
        return False
    return call.function is not callee or is_open(callee, call.node, given)


def _of(project: Project, call: Call, found: list[Text]) -> list[Text]:
    """Return the texts that a statement can have here: those the call gives, or functions that run make."""
    if len(found) < 2:
        return found
    given = {text.site for values in (*call.arguments, *call.keywords.values()) for text in texts(values)}
    inside = set(project.reach.closure(call.callees))
    places = [(text, text.site) for text in found if text.site is not None]
    last = call.node.end_lineno or call.node.lineno
    for choice in (
        [text for text, site in places if site in given],
        [text for text, site in places if project.function_at(site) in inside],
        [
            text
            for text, site in places
            if site.path == call.function.path and call.node.lineno <= site.line <= last
        ],
        [text for text, site in places if project.function_at(site) is call.function],
    ):
        if choice:
            return choice
    return found


def is_cached(function: Function) -> bool:
    """Whether a decorator keeps what a function returned: `@lru_cache`, `@cache.memoize()`."""
    decorators = getattr(function.node, "decorator_list", [])
    return any(re.search(r"cache|memoi[sz]e", ast.unparse(each), re.IGNORECASE) for each in decorators)
