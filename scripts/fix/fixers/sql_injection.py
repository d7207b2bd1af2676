"""`sql-injection`: values that are put into a statement's text are bound instead.

Quoted values stay the very strings that they were (None stays 'None'), so answers stay the same. A value without
quotes may be a string or a number; where callers may give SQL instead (`NULL`), the change is unsafe. If this is
wrong, a statement fails or finds other rows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ...audit.finding import Finding, Place
from ...audit.model.values import Connection, Container, Cursor
from ...audit.rules.sql_texts import Built, built
from ..fixer import Change, Context, Edit, Fixer, Left
from ..source import Source
from ..sqltext.carried import assignment, check_same
from ..sqltext.doubts import check_no_sql, check_not_escaped, may_be_row
from ..sqltext.literals import Unreadable, Value
from ..sqltext.rewrite import NO_VALUE, Bound, Knowledge, rewritten
from ..sqltext.template import Template, template

# What is no SQL by intention; a constant without quotes may be `NULL`, and so may what a caller gives.
_OUTSIDE = {"request", "session", "row", "generated", "remote", "file", "terminal", "environment"}
_DRIVERS = {
    "MySQLdb", "aiopg", "aiosqlite", "asyncpg", "databases", "flask_mysqldb", "flask_sqlalchemy", "mysql",
    "peewee", "psycopg", "pymssql", "pymysql", "pyodbc", "sqlalchemy", "sqlite3",
}  # fmt: skip
_TEXTS = re.compile(r"<(?:string:)?(\w+)>")
_NUMBERS = re.compile(r"<(?:int|float)(?:\([^)]*\))?:(\w+)>")
ALLOW_LIST = """\
ALLOWED = {"name": "name", "newest": "created_at DESC"}
clause = ALLOWED.get(asked)
if clause is None:
    abort(400)"""
HELPER = "def run(sql, values=None):\n    cur.execute(sql, values)\n\nrun(\"... WHERE id = %s\", (value,))"
PLAIN = "safe when callers give plain values, and no SQL (NULL, 'quoted') in them"
DOUBT = "safe when the value is written as its column's type: '007' is stored as it is, and '9.99' is no integer"
WIDTH = 110  # characters of a line
GONE = ("format", "replace", "str", "join", "map", "strip")


def _fix(context: Context) -> Iterator[Change | Left]:
    everything = built(context.project)
    for finding in context.of("sql-injection"):
        found = next((each for each in everything if _is_of(each, finding)), None)
        try:
            yield _answer(context, finding, found)
        except Unreadable as reason:
            yield Left(finding, str(reason), ALLOW_LIST if str(reason) == NO_VALUE else "")


def _is_of(each: Built, finding: Finding) -> bool:
    place = each.call.place
    return (place.path, place.end_line, place.end_col) == (
        finding.place.path, finding.place.end_line, finding.place.end_col,
    )  # fmt: skip


def _answer(context: Context, finding: Finding, found: Built | None) -> Change | Left:
    if found is None:
        return Left(finding, NO_VALUE, ALLOW_LIST)
    if found.runs is not found.call:
        return Left(finding, "a helper runs the text; let it take the values and hand them on", HELPER)
    call = found.call.node
    if found.raw:
        return Left(finding, "the text goes into sql.SQL(); give it a constant, and values by sql.Placeholder()")
    if not _is_execute(found, call) or not _is_psycopg2(context, found):
        return Left(finding, "not a plain `execute` of a psycopg2 cursor")
    assert isinstance(call, ast.Call)
    source = context.source(finding.place.path)
    bound, made = _bound(source, found, call)
    if bound.is_plain and any(len(text.holes) < len(made.values) for text in found.texts):
        raise Unreadable("a constant is put in as well, and may be SQL")
    _check_builtins(found, bound.values)
    edits = (*bound.edits, *_values(source, call, bound.values))
    sources = {each for text in found.texts for hole in text.holes for each in hole.sources if not hole.is_number}
    is_one_each = all(len(text.holes) == len(made.values) for text in found.texts)
    is_safe = not bound.is_plain or (is_one_each and sources <= _OUTSIDE and not bound.is_doubtful)
    note = "" if is_safe else DOUBT if bound.is_doubtful else PLAIN
    return Change(
        (finding,), Place(finding.place.path, made.node.lineno), "values are bound: %s, and beside the text",
        edits, is_safe, note=note, replaces=GONE,
    )  # fmt: skip


def _is_execute(found: Built, call: ast.expr) -> bool:
    is_method = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "execute"
    return is_method and not any(isinstance(value, Connection) for value in found.call.receiver)


def _is_psycopg2(context: Context, found: Built) -> bool:
    """Whether the cursor is psycopg2's; one of unknown making is when the project has no other driver."""
    drivers = {value.connection.driver if value.connection else ""
               for value in found.call.receiver if isinstance(value, Cursor)}  # fmt: skip
    if drivers == {"psycopg2"}:
        return True
    imported = {name.partition(".")[0] for module in context.project.modules for name in _imported(module.tree)}
    return drivers <= {"psycopg2", ""} and "psycopg2" in imported and not imported & _DRIVERS


def _imported(tree: ast.Module) -> Iterator[str]:
    for each in ast.walk(tree):
        if isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom) and each.module and not each.level:
            yield each.module


def _bound(source: Source, found: Built, call: ast.Call) -> tuple[Bound, Template]:
    if not call.args or call.keywords or isinstance(call.args[0], ast.Starred):
        raise Unreadable("the text is not the first argument of `execute`")
    node, store = call.args[0], None
    module, scope = found.call.function.module, found.call.function.node
    if isinstance(node, ast.Name):
        store = assignment(module, scope, node)
        node = store.value
    made = template(source, node)
    if not made.values:
        raise Unreadable("its text is not put together here")
    if store is not None:
        check_same(module, store, call, made.values)
    for value in made.values:
        check_not_escaped(scope, value)
    is_filled = isinstance(made.node, ast.BinOp) and isinstance(made.node.op, ast.Mod)
    if is_filled and isinstance(made.node, ast.BinOp) and not isinstance(made.node.right, (ast.Tuple, ast.Dict)):
        _check_no_tuple(found, scope, made.node.right)
    bound = rewritten(source.path, made, _given(source, call), _knowledge(found, scope, len(made.values)))
    for value in made.values if bound.is_plain else ():
        check_no_sql(scope, value)
    return bound, made


def _check_builtins(found: Built, values: tuple[str, ...]) -> None:
    """Refuse a conversion whose name is another thing in this file."""
    used = {name for name in ("str", "int", "tuple") for value in values if value.startswith(f"{name}(")}
    for each in ast.walk(found.call.function.module.tree):
        name = each.arg if isinstance(each, ast.arg) else getattr(each, "name", "")
        if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load):
            name = each.id
        if name in used:
            raise Unreadable(f"`{name}` is not Python's own in this file; rename it")


def _check_no_tuple(found: Built, scope: ast.AST, node: ast.expr) -> None:
    """Refuse `text % value` where the value may be a tuple or a row, whose elements it takes."""
    given = (values for caller in found.call.function.callers
             for values in (*caller.arguments, *caller.keywords.values()))  # fmt: skip
    if may_be_row(scope, node) or any(isinstance(value, Container) for values in given for value in values):
        raise Unreadable("what fills the fields of `%` is not written out")


def _given(source: Source, call: ast.Call) -> list[str]:
    if len(call.args) == 1:
        return []
    given = call.args[1]
    if len(call.args) == 2 and isinstance(given, (ast.Tuple, ast.List)) and given.elts:
        return [source.segment(each) for each in given.elts]
    raise Unreadable("what is bound already is not written out at this call")


def _knowledge(found: Built, scope: ast.AST, count: int) -> Knowledge:
    names = (each for each in ast.walk(scope) if isinstance(each, ast.Name))
    stored = {each.id for each in names if not isinstance(each.ctx, ast.Load)}
    rules = [route.rule for route in found.call.function.routes] if not found.call.function.callers else []
    texts = set.intersection(*(set(_TEXTS.findall(rule)) for rule in rules)) if rules else set()
    numbers = set.intersection(*(set(_NUMBERS.findall(rule)) for rule in rules)) if rules else set()
    has_number = count == 1 and bool(found.holes) and all(hole.is_number for hole in found.holes)

    def named(value: Value, known: set[str]) -> bool:
        return isinstance(value.node, ast.Name) and value.node.id in known - stored

    return Knowledge(
        lambda value: named(value, texts),
        lambda value: named(value, numbers) or has_number,
    )


def _values(source: Source, call: ast.Call, values: tuple[str, ...]) -> list[Edit]:
    """Return the edit that gives values beside the text, in a tuple."""
    if len(call.args) == 2:
        start, end = source.span(call.args[1])
        return [Edit(source.path, start, end, _tuple(source, call.args[1].lineno, start, values))]
    start, end = source.span(call.args[0])
    opened = source.text[source.span(call.func)[1] : start].count("(") - 1
    while opened > 0 and (source.text[end].isspace() or source.text[end] == ")"):
        opened -= source.text[end] == ")"
        end += 1
    if opened:
        raise Unreadable("a comment or parentheses stand around the text")
    line = call.args[0].end_lineno or call.args[0].lineno
    return [Edit(source.path, end, end, f", {_tuple(source, line, end, values)}")]


def _tuple(source: Source, line: int, at: int, values: tuple[str, ...]) -> str:
    """Return a tuple of values, over several lines where it would not fit into its own."""
    if len(values) == 1:
        return f"({values[0]},)"
    made = f"({', '.join(values)})"
    if at - source.line_start(line) + len(made) < WIDTH or "\n" in made:
        return made
    text = source.line(line)
    outer = text[: len(text) - len(text.lstrip())]
    lines = [""]
    for each in values:
        if lines[-1] and len(outer) + len(lines[-1]) + len(each) > WIDTH - 10:
            lines.append("")
        lines[-1] += f" {each}," if lines[-1] else f"{each},"
    return "(\n" + "".join(f"{outer}{source.step}{each}\n" for each in lines) + f"{outer})"


FIXER = Fixer(
    rules=("sql-injection",),
    title="Values that are put into a statement's text are bound: `%s` in the text, the values beside it.",
    stage=1,
    leaves_alone=(
        "Names of tables and columns, ASC/DESC and clauses: they cannot be bound; an allow-list is suggested.",
        "Texts that a helper runs, that are put together in several steps, or used elsewhere as well.",
        "Values without quotes where their type matters: beside no column, in a calculation, in a function.",
        "Values that are escaped by hand before.",
    ),
    fix=_fix,
)
