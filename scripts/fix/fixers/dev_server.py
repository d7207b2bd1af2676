"""`dev-server`: `app.run()` stands under a guard, so that a WSGI server can import the app.

What follows it in the file has run only when the server had stopped; it goes under the guard as well, since it
would run at import else (`conn.close()`). If this is wrong, the app does not start by hand, or starts twice.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from ...audit.finding import Finding
from ...audit.model.code import Call, Module
from ...audit.rules.dev_server import NAMES
from ...audit.rules.flask_app import runs
from ...audit.rules.literals import dotted
from ..fixer import Change, Context, Edit, Fixer, Left
from ..layout import block_of, has_own_lines, indented, quoted
from ..source import Source
from .importers import starts_by_import

GUARDED = (
    "app.run() is under its guard; Gunicorn is the start in production: `harden vendor` brings wsgi.py for it"
)
CLOSERS = frozenset({"close", "closeall", "disconnect", "dispose", "putconn", "quit", "shutdown"})
_DEFINITIONS = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom,
)  # fmt: skip


class _Unclear(Exception):
    """A start that is left alone; its text is the reason."""


def _fix(context: Context) -> Iterator[Change | Left]:
    calls = runs(context.project)
    for finding in context.of("dev-server"):
        module = context.module(finding.place.path)
        if module is None:
            yield Left(
                finding, "the command is what starts it: let it be `gunicorn wsgi:app`, see `harden vendor`"
            )
            continue
        yield from _answers(context, finding, [each for each in calls if each.function.module is module])


def _answers(context: Context, finding: Finding, calls: list[Call]) -> Iterator[Change | Left]:
    """Yield what is done about the starts of a file."""
    found: dict[tuple[Edit, ...], Change | Left] = {}
    for call in calls:
        try:
            answer = _answer(context, finding, call)
        except _Unclear as reason:
            answer = Left(finding, str(reason))
        found.setdefault(answer.edits if isinstance(answer, Change) else (), answer)
    changes = [each for each in found.values() if isinstance(each, Change)]
    if changes:
        yield from changes
    else:
        yield from found.values() or [Left(finding, "the call that starts it was not found")]


def _answer(context: Context, finding: Finding, call: Call) -> Change | Left:
    if call.target in NAMES and call.target != "werkzeug.serving.run_simple":
        raise _Unclear(f"{NAMES[call.target]} brings a server of its own; Gunicorn's worker has to fit it")
    module = call.function.module
    statement = _start(call)
    source = context.source(module.path)
    if call.is_guarded or _is_under_guard(module, statement):
        return _behind_guard(source, module, finding, statement)
    entry = starts_by_import(context.project, module)
    if entry:
        raise _Unclear(f"{entry[0].path} starts the server by importing this file; start it there, under a guard")
    return _guarded(source, module, finding, statement)


def _start(call: Call) -> ast.stmt:
    """Return the statement of a module's own code that starts the server: the run, or the call of its function."""
    module, seen = call.function.module, set()
    while not call.function.is_module:
        callers = call.function.callers
        if call.function in seen or not callers:
            raise _Unclear(f"app.run() stands in {call.function.name}(), which nothing calls at import")
        seen.add(call.function)
        if len(callers) > 1 or callers[0].function.module is not module:
            raise _Unclear(f"app.run() stands in {call.function.name}(), which is called from elsewhere as well")
        call = callers[0]
    statement = module.statement(call.node)
    if not isinstance(statement, ast.Expr) or statement.value is not call.node:
        raise _Unclear("app.run() is a part of another statement")
    return statement


def _is_under_guard(module: Module, statement: ast.stmt) -> bool:
    return _guard(module, statement) is not None


def _guard(module: Module, statement: ast.stmt) -> ast.If | None:
    """Return the `if __name__ == "__main__"` that a statement is under."""
    for each in module.ancestors(statement):
        if isinstance(each, ast.If) and any(
            isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(each.test)
        ):
            return each
    return None


def _guarded(source: Source, module: Module, finding: Finding, statement: ast.stmt) -> Change:
    """Put a start under a guard, with what follows it in its block."""
    for parent in module.ancestors(statement):
        if not isinstance(parent, (ast.Module, ast.If)) and not _is_context_of_app(parent):
            what = type(parent).__name__.lower()
            raise _Unclear(
                f"app.run() stands in a `{what}`, which would end at import when only the run is guarded"
            )
        if isinstance(parent, ast.stmt) and _closers(module, parent):
            raise _Unclear("calls that close something follow the block that app.run() stands in")
    block = block_of(module, statement)
    moved = block[block.index(statement) :]
    definition = next((each for each in moved if isinstance(each, _DEFINITIONS)), None)
    if definition is not None:
        line = definition.lineno
        raise _Unclear(
            f"line {line} defines something behind app.run(), which never came into being while it served"
        )
    if any(isinstance(node, ast.Name) and node.id == "__name__" for each in moved[1:] for node in ast.walk(each)):
        raise _Unclear("another start follows app.run()")
    if not all(has_own_lines(source, each) for each in moved):
        raise _Unclear("app.run() shares its line with another statement")
    at = source.line_start(statement.lineno)
    head = f"{source.indent(statement)}if __name__ == {quoted(source, '__main__')}:\n"
    first, *others = indented(source, statement.lineno, _last(moved))
    edits = (Edit(source.path, at, at, head + first.text), *others)
    return Change((finding,), finding.place, f"{_said(statement)} only when the file is run by hand", edits)


def _is_context_of_app(node: ast.AST) -> bool:
    """Whether a `with` ends nothing that a served app needs."""
    return isinstance(node, ast.With) and all(
        dotted(item.context_expr).endswith((".app_context", ".test_request_context")) for item in node.items
    )


def _behind_guard(source: Source, module: Module, finding: Finding, statement: ast.stmt) -> Change | Left:
    """Move the calls behind a guard that close what the app needs: they run at import."""
    guard = _guard(module, statement)
    if guard is None or guard.orelse or not isinstance(module.parents[guard], ast.Module):
        return Left(finding, GUARDED)
    closers = _closers(module, guard)
    if not closers:
        return Left(finding, GUARDED)
    body = module.tree.body
    if body[body.index(guard) + 1] is not closers[0] or not all(has_own_lines(source, each) for each in closers):
        raise _Unclear(f"{_said(closers[0])} in line {closers[0].lineno} runs at import; move it under the guard")
    if guard.body[0].lineno == guard.lineno:
        raise _Unclear("the guard is one line; give app.run() a line of its own")
    step = source.indent(guard.body[0])
    edits = tuple(indented(source, closers[0].lineno, _last(closers), step))
    return Change((finding,), finding.place, f"{_said(closers[0])} under the guard: it ran at import", edits)


def _closers(module: Module, statement: ast.stmt) -> list[ast.stmt]:
    """Return the calls behind a statement, without another between them, that close something."""
    block = block_of(module, statement)
    found: list[ast.stmt] = []
    for each in block[block.index(statement) + 1 :]:
        value = each.value if isinstance(each, ast.Expr) else None
        if isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] in CLOSERS:
            found.append(each)
        elif found:
            break
    return found


def _last(statements: Sequence[ast.stmt]) -> int:
    return statements[-1].end_lineno or statements[-1].lineno


def _said(statement: ast.stmt) -> str:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return f"{dotted(value)}()" if isinstance(value, ast.Call) else "the start"


FIXER = Fixer(
    rules=("dev-server",),
    title='`app.run()` goes under `if __name__ == "__main__":`, with the calls that follow it in the file.',
    stage=2,
    leaves_alone=(
        "A start that is under its guard: what it lacks is Gunicorn, which `harden vendor` brings.",
        "`socketio.run()` and `manager.run()`, which bring servers of their own.",
        "`app.run()` in a `try` or a `with` that would end at import, or with definitions behind it.",
        "A file that another one imports to start the server.",
        "Commands in a Procfile or a Dockerfile.",
    ),
    fix=_fix,
)
