"""Gives each request a connection of its own where a process shares one: only what opens it is called otherwise.

`conn = psycopg2.connect(...)` becomes `conn = connection_per_request(...)`, and a cursor that is kept with it
`cursor_per_request(conn, ...)`: stand-ins for what the request itself has leased. All uses stay as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...audit.model.code import Call
from ...audit.rules.vendored_kit import is_pooled
from ..checks import calls
from ..connections.adoption import adoption
from ..connections.hazards import hazard
from ..connections.lasting import Lasting, lasting, on
from ..connections.naming import VENDOR_FIRST, reference
from ..connections.opened import is_made_at_start
from ..fixer import Change, Context, Edit, Fixer, Import, Left
from ..source import Source

RULE = "global-shared-connection"
CONNECT, CURSOR = "connection_per_request", "cursor_per_request"
NO_APP = "no statement here gives a Flask app a name, and without adopt(app) nothing says when a request ends"
TAKEN = "the file uses the names connection_per_request and cursor_per_request for something else"


def _fix(context: Context) -> Iterator[Change | Left]:
    findings = context.of(RULE)
    if findings and not context.kit:
        yield from (Left(each, VENDOR_FIRST) for each in findings)
        return
    for found in lasting(context.project, findings):
        answer = _answer(context, found)
        if isinstance(answer, str):
            yield from (Left(each, answer, _suggestion(context)) for each in found.findings)
        else:
            yield answer


def _answer(context: Context, found: Lasting) -> Change | str:
    """Return the change for one connection, or why there is none."""
    reason = hazard(context.project, found)
    if reason:
        return reason
    adopted = None if is_pooled(context.project) else adoption(context)
    if adopted is None and not is_pooled(context.project):
        return NO_APP
    edits: list[Edit] = list(adopted.edits) if adopted else []
    imports: list[Import] = list(adopted.imports) if adopted else []
    ways = {call.node: reference(context, call.function.path, CONNECT) for call in found.connects}
    inner = {node: way for node, way in ways.items() if way}
    if len(inner) < len(found.connects):
        return TAKEN
    for call in found.cursors:
        way = reference(context, call.function.path, CURSOR)
        if way is None:
            return TAKEN
        edits += _cursor(context.source(call.function.path), call, way[0], inner)
        imports.append(way[1])
    wrapped = {_receiver(call) for call in found.cursors}
    for call in found.connects:
        text, wanted = inner[call.node]
        imports.append(wanted)
        if call.node not in wrapped:
            edits.append(_callee(context.source(call.function.path), call, text))
    gone = {name for call in (*found.connects, *found.cursors) for name in _names(call)}
    return Change(
        found.findings, found.findings[0].place, _title(found), tuple(edits),
        imports=tuple(dict.fromkeys(imports)), note=_note(context, found), replaces=tuple(sorted(gone)),
    )  # fmt: skip


def _callee(source: Source, call: Call, text: str) -> Edit:
    """Return the edit that calls something else with the same arguments."""
    assert isinstance(call.node, ast.Call)
    return Edit(source.path, *source.span(call.node.func), text)


def _cursor(source: Source, call: Call, text: str, inner: dict[ast.expr, tuple[str, Import]]) -> Iterator[Edit]:
    """Yield the edits that make `conn.cursor(...)` into `cursor_per_request(conn, ...)`."""
    node = call.node
    receiver = _receiver(call)
    assert isinstance(node, ast.Call) and receiver is not None
    start, end = source.span(receiver)
    func = receiver.func if isinstance(receiver, ast.Call) and receiver in inner else None
    if func is not None:  # psycopg2.connect(...).cursor()
        yield Edit(source.path, start, source.span(func)[1], f"{text}({inner[receiver][0]}")
    else:
        yield Edit(source.path, start, start, f"{text}(")
    opened = source.text.index("(", source.span(node.func)[1]) + 1
    has_more = bool(node.args or node.keywords)
    gap = "" if source.text[opened : opened + 1] in "\r\n" else " "
    yield Edit(source.path, end, opened, f",{gap}" if has_more else "")


def _receiver(call: Call) -> ast.expr | None:
    func = call.node.func if isinstance(call.node, ast.Call) else None
    return func.value if isinstance(func, ast.Attribute) else None


def _names(call: Call) -> list[str]:
    """Return a call's name as the engine counts calls."""
    assert isinstance(call.node, ast.Call)
    return list(calls(ast.Call(func=call.node.func, args=[], keywords=[])))


def _title(found: Lasting) -> str:
    what = "its own connection" if not found.cursors else "its own connection and cursor"
    return f"each request works with {what}, leased from the pool"


def _note(context: Context, found: Lasting) -> str:
    """Say what goes on besides: objects that requests make, and statements of the start."""
    project = context.project
    inits = [call.function for call in found.connects if call.function.name == "__init__"]
    if any(not is_made_at_start(project, each) for each in inits):
        return "an object that a request makes keeps its connection until the request ends"
    for call in project.calls("execute", "executemany"):
        if on(found.sites, call.receiver) and project.reach.is_import_time(call):
            return f"a statement runs at import ({call.function.path}:{call.place.line}), in each worker"
    return ""


def _suggestion(context: Context) -> str:
    return f"from {context.kit} import get_db_connection\n\nwith get_db_connection() as conn:\n    ..."


FIXER = Fixer(
    rules=(RULE,),
    title="A connection of the process stands for one per request: `connection_per_request(...)` in place of"
    " `psycopg2.connect(...)`, and `cursor_per_request(conn, ...)` for cursors that are kept.",
    stage=3,
    leaves_alone=(
        "A connection that a handler writes on and does not commit: today the next commit saves that.",
        "One that a session setting, a temporary table or an advisory lock is put on for all requests.",
        "One that is opened again while requests run, or given to what takes a real connection only.",
        "Cursors with a name, and cursors that one handler makes and another uses.",
    ),
    fix=_fix,
)
