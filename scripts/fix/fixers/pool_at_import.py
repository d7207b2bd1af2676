"""Makes the pools that connect at import the runtime's: same arguments, but the first request connects.

Where a file imports the class from `psycopg2.pool`, only the module of that import changes. The size of a pool is
left to a person: what the server can take is not in the code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...audit.finding import Finding
from ...audit.model.code import Call
from ...audit.rules.expression_names import name_of
from ..checks import calls
from ..connections.naming import VENDOR_FIRST, reference
from ..fixer import Change, Context, Edit, Fixer, Import, Left

IMPORT, LARGE = "pool-at-import", "pool-too-large"
CLASSES = ("SimpleConnectionPool", "ThreadedConnectionPool")
NOT_OURS = "the runtime has no class of this name that takes its place"
SIZE = "how many connections the server can spare is not in the code"


def _fix(context: Context) -> Iterator[Change | Left]:
    for finding in context.of(LARGE):
        yield Left(finding, SIZE, "maxconn = (max_connections - 10) // worker processes")
    pools = {call.place: call for call in context.project.calls("pool")}
    for finding in context.of(IMPORT):
        answer = _answer(context, finding, pools.get(finding.place))
        yield answer if isinstance(answer, Change) else Left(finding, answer)


def _answer(context: Context, finding: Finding, call: Call | None) -> Change | str:
    """Return the change for one pool, or why there is none."""
    if not context.kit:
        return VENDOR_FIRST
    node = call.node if call else None
    name = call.target.removeprefix("psycopg2.pool.") if call else ""
    if call is None or not isinstance(node, ast.Call) or name not in CLASSES:
        return NOT_OURS
    if _is_compared(call):
        return "its class is asked for elsewhere in the file, and would be another"
    edits = _by_import(context, call, name)
    imports: tuple[Import, ...] = ()
    gone: tuple[str, ...] = ()
    if not edits:
        way = reference(context, call.function.path, name)
        if way is None:
            return f"the file uses the name {name} for something else"
        source = context.source(call.function.path)
        edits = (Edit(source.path, *source.span(node.func), way[0]),)
        imports = (way[1],)
        gone = tuple(calls(ast.Call(func=node.func, args=[], keywords=[])))
    return Change(
        (finding,), finding.place, "the pool connects with the first request, in each process for itself", edits,
        imports=imports, replaces=gone, note="getconn() waits for a free connection; psycopg2's raises at once",
    )  # fmt: skip


def _is_compared(call: Call) -> bool:
    """Whether the file asks whether something is a pool of psycopg2."""
    nodes = [node for node in ast.walk(call.function.module.tree) if isinstance(node, ast.Call)]
    tests = [node for node in nodes if name_of(node.func) in ("isinstance", "issubclass")]
    return any("ConnectionPool" in ast.dump(node) for node in tests)


def _by_import(context: Context, call: Call, name: str) -> tuple[Edit, ...]:
    """Return the edit of `from psycopg2.pool import name` when that imports nothing but pools."""
    source = context.source(call.function.path)
    if not isinstance(call.node, ast.Call) or not isinstance(call.node.func, ast.Name):
        return ()
    for node in source.tree.body:
        if not isinstance(node, ast.ImportFrom) or node.module != "psycopg2.pool" or node.level:
            continue
        if any(alias.name == name for alias in node.names) and all(alias.name in CLASSES for alias in node.names):
            at = source.text.index("psycopg2.pool", source.span(node)[0])
            return (Edit(source.path, at, at + len("psycopg2.pool"), context.kit),)
    return ()


FIXER = Fixer(
    rules=(IMPORT, LARGE),
    title="`SimpleConnectionPool` and `ThreadedConnectionPool` of the runtime in place of psycopg2's: nothing"
    " connects before the first request.",
    stage=3,
    leaves_alone=(
        "Pools of other libraries, and subclasses of psycopg2's.",
        "The size of a pool.",
        "Files that ask whether something is a pool of psycopg2.",
    ),
    fix=_fix,
)
