"""Rolls back after a failed statement on a connection that lives on, so that the next request does not inherit it.

An `except` that ends the error rolls back first; a write that nothing guards gets `except Exception:` around it,
which rolls back and raises again. A connection that died with the error is left alone: rolling back on it would
raise, and the handler would not get to its own work.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from ...audit.finding import Finding
from ...audit.model.code import Call, Function
from ...audit.rules.closing_paths import CATCH_ALL, CATCH_DATABASE
from ...audit.rules.expression_names import name_of, root_of, walk_own
from ...audit.rules.rollback_cover import RollbackCover
from ..connections.lasting import same_connection
from ..connections.wrapping import is_plain, line_behind, wrapped
from ..fixer import Change, Context, Edit, Fixer, Left
from ..source import Source

RULE = "missing-rollback"
NO_NAME = "no name that is set before the statement stands for its connection here"
SHARED_LINES = "statements share their lines"
DATABASE = CATCH_ALL | CATCH_DATABASE | {
    "IntegrityError", "OperationalError", "ProgrammingError", "DataError", "InternalError", "NotSupportedError",
}  # fmt: skip
NOT_HERE = "the statement is not known any more"


def _fix(context: Context) -> Iterator[Change | Left]:
    for finding in context.of(RULE):
        calls = _calls(context, finding)
        answer = _answer(context, finding, calls) if calls else NOT_HERE
        yield answer if isinstance(answer, Change) else Left(finding, answer)


def _calls(context: Context, finding: Finding) -> list[Call]:
    """Return the statements that a finding is about."""
    places = {finding.place, *finding.more, *(each.place for each in finding.evidence)}
    found = context.project.calls("execute", "executemany", "copy")
    return [call for call in found if call.place in places]


def _answer(context: Context, finding: Finding, calls: list[Call]) -> Change | str:
    """Return the change for one function, or why there is none."""
    function = calls[0].function
    source = context.source(function.path)
    cover = RollbackCover(context.project)
    handlers = list(dict.fromkeys(each for call in calls for each in _handlers(cover, call)))
    bare = [call for call in calls if not _handlers(cover, call)]
    edits: list[Edit] = []
    for handler in handlers:
        guard = _guard(context, source, calls[0], handler.lineno)
        if not guard:
            return NO_NAME
        if not _has_own_lines(source, handler):
            return SHARED_LINES
        edits.append(_first(source, handler, guard))
    if bare:
        found = _around(context, source, bare)
        if isinstance(found, str):
            return found
        edits += found
    return Change((finding,), finding.place, "a failed statement is rolled back", tuple(edits))


def _handlers(cover: RollbackCover, call: Call) -> list[ast.ExceptHandler]:
    """Return the handlers of the nearest `try` around a call that catch what a statement raises."""
    for node in cover.tries(call):
        found = [
            each for each in node.handlers if _catches(each) and not cover.rolls_back(each, call.function)
        ]
        if found:
            return found
    return []


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(name_of(each).rpartition(".")[2] in DATABASE for each in types)


def _has_own_lines(source: Source, handler: ast.ExceptHandler) -> bool:
    return handler.body[0].lineno > _header_end(handler) and is_plain(source, handler.body[:1])


def _header_end(handler: ast.ExceptHandler) -> int:
    return (handler.type.end_lineno if handler.type else None) or handler.lineno


def _first(source: Source, handler: ast.ExceptHandler, guard: Sequence[str]) -> Edit:
    """Return the edit that makes lines the first of a handler."""
    at = source.line_start(_header_end(handler) + 1)
    indent = source.indent(handler.body[0])
    return Edit(source.path, at, at, "".join(f"{indent}{line}\n" for line in guard))


def _around(context: Context, source: Source, calls: list[Call]) -> list[Edit] | str:
    """Return the edits that put statements and their commit into a `try:` that rolls back."""
    region = _region(calls)
    if not region:
        return "its statements stand in different blocks"
    if not is_plain(source, region):
        return SHARED_LINES
    guard = _guard(context, source, calls[0], region[0].lineno)
    if not guard:
        return NO_NAME
    indent = source.indent(region[0])
    lines = [f"{indent}except Exception:", *(f"{indent}{source.step}{line}" for line in (*guard, "raise"))]
    return [*wrapped(source, region), line_behind(source, region[-1], "\n".join(lines))]


def _region(calls: list[Call]) -> list[ast.stmt]:
    """Return the statements from the first of the calls to their commit; none when no block has them all."""
    function = calls[0].function
    nodes = [call.node for call in calls]
    for block in _blocks(function):
        held = [index for index, each in enumerate(block) if any(node in nodes for node in ast.walk(each))]
        inside = [node for node in nodes if any(node in ast.walk(each) for each in block)]
        if len(inside) == len(nodes):
            commits = [index for index in range(held[-1], len(block)) if _commits(function, block[index])]
            return block[held[0] : (commits[0] if commits else held[-1]) + 1]
    return []


def _blocks(function: Function) -> list[list[ast.stmt]]:
    """Return a function's blocks, the innermost first."""
    found = [
        block for node in walk_own(function.node) for name in ("body", "orelse", "finalbody")
        if isinstance(block := getattr(node, name, None), list) and block and isinstance(block[0], ast.stmt)
    ]  # fmt: skip
    return sorted(found, key=lambda block: len(list(ast.walk(ast.Module(block, [])))))


def _commits(function: Function, node: ast.stmt) -> bool:
    nodes = set(ast.walk(node))
    return any(call.does == "commit" and call.node in nodes for call in function.calls)


def _guard(context: Context, source: Source, call: Call, line: int) -> list[str]:
    """Return the lines that roll back on a connection that is still there; none when it has no name."""
    name = next((each for each in _names(context, call) if _is_set(call.function, each, line)), "")
    if not name:
        return []
    test = f"not {name}.closed"
    if _may_be_none(call.function, name):
        test = f"{name} is not None and {test}"
    return [f"if {test}:", f"{source.step}{name}.rollback()"]


def _names(context: Context, call: Call) -> Iterator[str]:
    """Yield what a function calls the connection of a statement, then what its module calls it."""
    for function in (call.function, call.function.module.body):
        for each in function.calls:
            func = getattr(each.node, "func", None)
            is_its = each.does in ("commit", "rollback", "cursor") and not _is_cursor(each)
            if is_its and isinstance(func, ast.Attribute) and same_connection(each.receiver, call.receiver):
                yield name_of(func.value)
    owner = name_of(getattr(getattr(call.node, "func", None), "value", None))
    if owner and _is_cursor(call):
        yield f"{owner}.connection"


def _is_cursor(call: Call) -> bool:
    return any(type(value).__name__ == "Cursor" for value in call.receiver)


def _is_set(function: Function, name: str, line: int) -> bool:
    """Whether a name has its value before a line."""
    root = root_of(name)
    if not root:
        return False
    if root in function.parameters or root in function.globals:
        return True
    own = [node for node in walk_own(function.node) if isinstance(node, ast.Name) and node.id == root]
    stores = [node.lineno for node in own if isinstance(node.ctx, ast.Store)]
    return min(stores) < line if stores else True


def _may_be_none(function: Function, name: str) -> bool:
    """Whether the module gives a name None at some time."""
    return any(
        isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value is None
        and any(name_of(target) == name for target in node.targets)
        for node in ast.walk(function.module.tree)
    )  # fmt: skip


FIXER = Fixer(
    rules=(RULE,),
    title="An `except` that ends an error rolls back first; a write without one gets `except Exception:` with"
    " `rollback()` and `raise`.",
    stage=4,
    leaves_alone=(
        "Statements whose connection has no name that is set before them.",
        "Writes of one function that stand in different blocks.",
    ),
    fix=_fix,
)
