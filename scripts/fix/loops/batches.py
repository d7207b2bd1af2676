"""A loop that does nothing but write one row per turn, as one `execute_batch`: psycopg2 sends a hundred at once.

Everything happens in the same order, in the same transaction. On a connection in autocommit each statement would
be kept by itself when a later one fails, so a project that turns it on is left alone.
"""

from __future__ import annotations

import ast
import io
import tokenize

from ...audit.finding import Finding
from ...audit.model.code import Call, Loop, Module
from ...audit.model.project import Project
from ...audit.model.values import Cursor, Text, texts
from ...audit.rules.repetition import Repeat
from ...audit.sql.statement import statement
from ..fixer import Change, Context, Edit, Import
from ..source import Source
from .layout import width
from .terms import stored

_WRITES = ("insert", "update", "delete")
_LOOKS_BACK = ("rowcount", "statusmessage", "lastrowid", "query")
_DRIVERS = ("psycopg2", "")


def batched(context: Context, finding: Finding, repeat: Repeat) -> Change | str:
    """Return the change that sends a loop's writes in batches, or why not; "" when the loop does anything else."""
    loop = repeat.loop
    call = _only_write(repeat)
    if loop is None or call is None or not isinstance(loop.node, ast.For) or not isinstance(call.node, ast.Call):
        return ""
    if _is_looked_at(call, loop.node):
        return "what the last write left in the cursor, or the loop's own name, is used behind the loop"
    if _has_autocommit(context.project):
        return "connections may be in autocommit here, where each write is kept even if a later one fails"
    module = loop.function.module
    source = context.source(module.path)
    start, end = source.span(loop.node)
    if _has_comments(source.text[start:end]) or not _is_whole_line(source, start, end):
        return "there are comments in the loop, for which a single call has no place"
    new = _written(source, loop.node, call.node)
    return Change(
        (finding,), finding.place, "the loop's writes go to the server by the hundred, not one by one",
        (Edit(module.path, start, end, new),), imports=(Import(module.path, "psycopg2.extras", "execute_batch"),),
        replaces=(ast.unparse(call.node.func),),
        note="Same statements in the same order and transaction; a hundred share a round trip.",
    )  # fmt: skip


def _only_write(repeat: Repeat) -> Call | None:
    """Return the execute that is all that a loop does."""
    node = repeat.loop.node if repeat.loop is not None else None
    if not isinstance(node, ast.For) or node.orelse or len(node.body) != 1 or len(repeat.calls) != 1:
        return None
    call, only = repeat.calls[0], node.body[0]
    assert repeat.loop is not None
    if not isinstance(only, ast.Expr) or only.value is not call.node or not isinstance(call.node, ast.Call):
        return None
    fits = call.does == "execute" and len(call.node.args) == 2 and not call.node.keywords
    if not fits or not _is_cursor(call, repeat.loop) or not _is_constant_write(call, node):
        return None
    has_query = any(each is not call and each.does for each in repeat.function.calls if repeat.loop in each.loops)
    return None if has_query else call


def _is_cursor(call: Call, loop: Loop) -> bool:
    """Whether the call is made on a psycopg2 cursor that the loop itself does not read."""
    assert isinstance(call.node, ast.Call)
    func = call.node.func
    if not isinstance(func, ast.Attribute) or func.attr != "execute":
        return False
    cursors = [value for value in call.receiver if isinstance(value, Cursor)]
    if any(value.connection and value.connection.driver not in _DRIVERS for value in cursors):
        return False
    root: ast.expr = func.value
    while isinstance(root, ast.Attribute):
        root = root.value
    is_same = isinstance(root, ast.Name) and root.id not in stored(loop.node)
    return bool(cursors) and is_same and not set(cursors) & set(loop.source)


def _is_constant_write(call: Call, node: ast.For) -> bool:
    """Whether the statement is one INSERT, UPDATE or DELETE, the same in each turn, with values."""
    found = texts(call.sql)
    assert isinstance(call.node, ast.Call)
    text, values = call.node.args
    names = {each.id for each in ast.walk(text) if isinstance(each, ast.Name)}
    if names & set(stored(node)) or any(isinstance(each, ast.Call) for each in ast.walk(text)):
        return False
    if len(found) != 1 or found[0].constant is None:
        return False
    if any(isinstance(each, (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)) for each in ast.walk(values)):
        return False
    read = statement(Text((found[0].constant,)))
    return read is not None and read.is_parsed and read.kind in _WRITES and not read.others


def _is_looked_at(call: Call, node: ast.For) -> bool:
    """Whether something behind the loop reads its cursor, or its names."""
    function, names = call.function, set(stored(node.target))
    inside = set(ast.walk(node))
    assert isinstance(call.node, ast.Call) and isinstance(call.node.func, ast.Attribute)
    cursor = ast.unparse(call.node.func.value)
    for each in ast.walk(function.node):
        if isinstance(each, ast.Attribute) and each.attr in _LOOKS_BACK and ast.unparse(each.value) == cursor:
            return True
        if not isinstance(each, ast.Name) or each in inside or each.id not in names or each.lineno < node.lineno:
            continue
        if isinstance(each.ctx, ast.Load) and not _is_given_again(function.module, each, node):
            return True
    end = node.end_lineno or node.lineno
    later = [each for each in function.calls if each.node.lineno > end and each.does in ("fetch", "execute")]
    return bool(later) and later[0].does == "fetch"


def _is_given_again(module: Module, use: ast.AST, node: ast.For) -> bool:
    """Whether a name of the loop has another value by the time it is read."""
    around = module.ancestors(use)
    names = set(stored(node.target))
    return any(
        isinstance(each, (ast.For, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp))
        and each is not node and node not in ast.walk(each) and names & set(stored(each))
        for each in around
    )  # fmt: skip


def _has_autocommit(project: Project) -> bool:
    """Whether anything in a project turns autocommit on."""
    if any(store.name == "autocommit" for store in project.stores()):
        return True
    calls = (call.node for call in project.calls() if isinstance(call.node, ast.Call))
    names = ("set_session", "set_isolation_level")
    return any(isinstance(node.func, ast.Attribute) and node.func.attr in names for node in calls)


def _has_comments(text: str) -> bool:
    lines = io.StringIO(text + "\n").readline
    try:
        return any(token.type == tokenize.COMMENT for token in tokenize.generate_tokens(lines))
    except (tokenize.TokenError, IndentationError):
        return True


def _is_whole_line(source: Source, start: int, end: int) -> bool:
    """Whether nothing but a comment stands beside the loop in its last line."""
    rest = source.text[end:].partition("\n")[0].strip()
    return not rest or rest.startswith("#")


def _written(source: Source, node: ast.For, call: ast.Call) -> str:
    assert isinstance(call.func, ast.Attribute)
    cursor, sql, values = (source.segment(each) for each in (call.func.value, *call.args))
    values = _whole(values, call.args[1])
    turns = f"for {source.segment(node.target)} in {_rows(source, node.iter)}"
    indent = source.indent(node)
    line = f"execute_batch({cursor}, {sql}, [{values} {turns}])"
    if len(indent) + len(line) <= width(source) and "\n" not in line:
        return line
    inner = indent + source.step
    return f"execute_batch(\n{inner}{cursor},\n{inner}{sql},\n{inner}[{values} {turns}],\n{indent})"


def _rows(source: Source, node: ast.expr) -> str:
    text = _whole(source.segment(node), node)
    return f"({text})" if isinstance(node, (ast.IfExp, ast.Lambda)) else text


def _whole(text: str, node: ast.expr) -> str:
    """Return a piece of code so that it may stand between commas."""
    return f"({text})" if isinstance(node, ast.Tuple) and not text.startswith("(") else text
