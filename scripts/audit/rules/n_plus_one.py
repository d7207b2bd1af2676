"""H201: a statement for each row of an earlier query."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..finding import Evidence, Finding, Severity
from ..model.code import Call
from ..model.project import Project
from ..rule import Rule
from . import batch_advice
from .repetition import Repeat, recursions, repeats
from .row_source import row_place, row_query
from .turns import ROWS

NAMED = 3  # calls named in a message
QUERIES = 8  # statements shown as evidence
RECURSIVE = (
    "Walk the hierarchy in the database: one `WITH RECURSIVE` query returns it all; a list of the ids seen ends"
    " cycles."
)


def _check(project: Project) -> Iterator[Finding]:
    for repeat in repeats(project):
        if repeat.turns.over == ROWS:
            yield _loop(project, repeat)
    for repeat in recursions(project):
        yield _recursion(project, repeat)


def _loop(project: Project, repeat: Repeat) -> Finding:
    assert repeat.loop is not None
    query = row_query(project, repeat.loop)
    source = f"of `{query.sql}`" if query and query.sql else f"in `{_short(repeat.loop.header)}`"
    statements = {each.call for each in repeat.queries}
    deep = f", {repeat.depth} loops deep" if repeat.depth > 1 else ""
    message = f"{_statements(len(statements))} for each row {source}{deep}: {_named(repeat)}"
    place = query.call.place if query else row_place(repeat.loop)
    evidence = [Evidence(place, "the rows come from here")] if place is not None else []
    is_walk = isinstance(repeat.loop.node, ast.While) and query is not None and query.call in statements
    fix = RECURSIVE if is_walk else batch_advice.advice(repeat.queries)
    return _finding(project, repeat, message, fix, evidence, _gain(len(statements)))


def _recursion(project: Project, repeat: Repeat) -> Finding:
    count = _statements(len({each.call for each in repeat.queries}))
    message = f"{repeat.function.name}() calls itself with a row's value, {count} for each turn: {_named(repeat)}"
    return _finding(project, repeat, message, RECURSIVE, [], "a statement per level -> 1")


def _gain(count: int) -> str:
    return f"1 + {f'{count} x ' if count > 1 else ''}N statements -> {1 + count}"


def _finding(
    project: Project, repeat: Repeat, message: str, fix: str, evidence: list[Evidence], gain: str
) -> Finding:
    routes = project.reach.routes(repeat.function)
    shown = list(repeat.queries)[:QUERIES]
    evidence += [Evidence(each.call.place, f"runs {each.sql or 'a statement'}") for each in shown]
    severity = Severity.high if routes and not repeat.is_cached else Severity.low
    places = dict.fromkeys(call.place for call in repeat.calls)
    return RULE.at(
        repeat.place, message, severity=severity, confidence=repeat.turns.confidence, fix=fix, gain=gain,
        evidence=tuple(dict.fromkeys(evidence)), more=tuple(places)[1:], routes=routes,
    )  # fmt: skip


def _statements(count: int) -> str:
    return "a statement" if count == 1 else f"{count} statements"


def _named(repeat: Repeat) -> str:
    names = list(dict.fromkeys(_name(call, repeat) for call in repeat.calls))
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _name(call: Call, repeat: Repeat) -> str:
    """Return a call as people speak of it: the helper with its statement, or the statement."""
    own = [each for each in repeat.queries if each.call is call]
    if own:
        return f"`{own[0].sql}`" if own[0].sql else f"`{_short(call.node)}`"
    name = _short(call.node.func) + "()" if isinstance(call.node, ast.Call) else _short(call.node)
    inside = next((each for each in repeat.queries if each.sql and each.call.function in call.callees), None)
    return f"{name} runs `{inside.sql}`" if inside else name


def _short(node: ast.AST) -> str:
    found = ast.unparse(node)
    return found if len(found) <= 60 else f"{found[:57]}..."


RULE = Rule(
    id="H201",
    name="n-plus-one",
    finds="A statement that runs once for each row of an earlier query: in a loop, a comprehension, `map`, or a"
    " recursion; directly or inside what is called there.",
    why="The page slows down with the data: one round trip for each row. In the applications measured, the worst"
    " routes ran 22 to 57 statements for a page, most through a helper in another file. It is no slow query,"
    " so no slow-query log shows it.",
    fix="Ask once for all rows: `fetch_by_ids` or `= ANY(%s)` and a dict, `many(...)` where a route returns JSON,"
    " `insert_many` or `execute_values` for writes, `WITH RECURSIVE` for hierarchies.",
    leaves_alone=(
        "Loops over what the client sent, lines of a file or constants: query-in-loop (H202) has them.",
        "Batches: `for chunk in chunks(ids, 500)`, `range(0, n, 500)`, `executemany` now and then.",
        "Loops that try again, poll, or draw a code until one is free.",
        "A statement that runs once because the loop is left behind it, or that stands after the loop.",
        "Loops over the columns of one row; transaction control, session settings and schema statements.",
    ),
    severity=Severity.high,
    check=_check,
    example="def posts(conn):\n    cur = conn.cursor()\n"
    '    cur.execute("SELECT id, author_id FROM posts LIMIT 50")\n    found = []\n'
    "    for post in cur.fetchall():\n"
    '        cur.execute("SELECT name FROM users WHERE id = %s", (post[1],))\n'
    "        found.append((post, cur.fetchone()))\n    return found\n",
    instead="def posts(conn):\n    cur = conn.cursor()\n"
    '    cur.execute("SELECT id, author_id FROM posts LIMIT 50")\n    rows = cur.fetchall()\n'
    '    cur.execute("SELECT id, name FROM users WHERE id = ANY(%s)", ([row[1] for row in rows],))\n'
    "    names = dict(cur.fetchall())\n    return [(row, names.get(row[1])) for row in rows]\n",
)
