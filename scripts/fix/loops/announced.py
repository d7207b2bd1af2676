"""What a loop can announce of a statement: its text and its values for each row, or why that cannot be said.

Only what the runtime takes as reading is announced, by the runtime's own test. If this is wrong, nothing changes
but that rows are asked for in vain.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from backend.read_only import effect

from ...audit.model.code import Call
from ...audit.model.project import Project
from ...audit.model.values import Text, texts
from ...audit.rules.reached import reached
from ...audit.sql.statement import statement
from .folding import text as constant_text
from .guards import guarded
from .heads import Head
from .reader import Reader
from .sending import Sending
from .terms import Unknown
from .visible import spelled

PLACEHOLDER = re.compile(r"%(?:%|\((?P<name>[^)]*)\)s|s)")
_WRITES = ("insert", "update", "delete", "merge", "copy", "call", "do", "ddl", "set")
_SOURCES = (ast.Name, ast.Attribute, ast.Subscript)


@dataclass(frozen=True)
class Announcement:
    """A statement that a loop's header announces.

    Attributes:
        sql: Its text, exactly as it is executed.
        name: How the header's place calls that text already; "" when it has no name there.
        values: Its values, as an expression of one element.
        helper: The function that executes it.
        is_own: Whether the text is written in that function.
    """

    sql: str
    name: str
    values: ast.expr
    helper: str
    path: str
    is_own: bool


def announcement(project: Project, reader: Reader, head: Head, sending: Sending) -> Announcement:
    """Return what a loop says of a statement in advance.

    Raises:
        Unknown: It cannot be said, or asking in advance is no use.
    """
    node = sending.call.node
    if not isinstance(node, ast.Call) or sending.call.does != "execute":
        raise Unknown("it is no plain execute()")
    sql, name = _text(project, reader, sending, node)
    _refuse_statement(sql)
    values = _values(reader, sending, node)
    _refuse_mismatch(sql, values)
    _refuse_changed(head, sending.start, values)
    if not any(isinstance(each, ast.Name) and each.id == head.parameter for each in ast.walk(values)):
        raise Unknown("it asks the same in each turn; ask it once, before the loop")
    function = sending.call.function
    is_own = sending.call is not sending.start and getattr(node.args[0], "id", "") not in sending.frame.given
    values = guarded(reader, head, sending.start, values)
    return Announcement(sql, name, values, function.name, function.path, is_own)


def _text(project: Project, reader: Reader, sending: Sending, node: ast.Call) -> tuple[str, str]:
    """Return a statement's text, and a name that it has where the header stands."""
    said = _said(reader, sending, node)
    if said is not None:
        return said
    known = known_texts(project, sending)
    constants = {each.constant for each in known}
    if len(constants) == 1 and (only := constants.pop()) is not None:
        return only, ""
    raise Unknown("its text is made anew for each row" if known else "its text is not known here")


def _said(reader: Reader, sending: Sending, node: ast.Call) -> tuple[str, str] | None:
    given = _argument(node, 0, ("query", "sql", "operation"))
    if given is None:
        return None
    try:
        term = reader.expression(given, sending.frame)
        sql = constant_text(spelled(reader, term))
    except Unknown:
        return None
    name = ast.unparse(term) if isinstance(term, (ast.Name, ast.Attribute)) else ""
    return None if sql is None else (sql, name)


def said_texts(project: Project, reader: Reader, sending: Sending) -> list[Text]:
    """Return the texts that a statement of the loop can have."""
    node = sending.call.node
    said = _said(reader, sending, node) if isinstance(node, ast.Call) else None
    return [Text((said[0],))] if said is not None else known_texts(project, sending)


def known_texts(project: Project, sending: Sending) -> list[Text]:
    """Return the texts that the audit knows for a statement of the loop."""
    found = [each.text for each in reached(project, sending.start) if each.call is sending.call and each.text]
    return found or texts(sending.call.sql)


def writes(text: Text) -> bool:
    """Whether a statement makes the runtime forget what was asked in advance."""
    if text.constant is not None:
        return effect(text.constant) == "write" and not _is_read(text)
    read = statement(text)
    return read is not None and read.kind in _WRITES


def _is_read(text: Text) -> bool:
    read = statement(text)
    return read is not None and read.kind in ("select", "show", "explain") and not read.is_locking


def _refuse_statement(sql: str) -> None:
    read = statement(Text((sql,)))
    if read is not None and read.kind != "select":
        raise Unknown(f"it writes ({read.kind.upper()})")
    if read is not None and read.is_locking:
        raise Unknown("it locks rows")
    does = effect(sql)
    if does == "moment":
        raise Unknown("it answers anew each time (now(), random(), ...)")
    if does != "read":
        raise Unknown("it is no plain SELECT, or calls a function that may write")


def _values(reader: Reader, sending: Sending, node: ast.Call) -> ast.expr:
    given = _argument(node, 1, ("vars", "parameters", "args", "params"))
    if given is None:
        return ast.Constant(value=None)
    found = reader.expression(given, sending.frame)
    if isinstance(found, ast.List):
        return ast.Tuple(elts=found.elts, ctx=ast.Load())
    is_nothing = isinstance(found, ast.Constant) and found.value is None
    if is_nothing or isinstance(found, (ast.Tuple, ast.Dict, *_SOURCES)):
        return found
    raise Unknown(f"its values `{ast.unparse(found)}` are no tuple, list or dict")


def _argument(node: ast.Call, position: int, names: tuple[str, ...]) -> ast.expr | None:
    if len(node.args) > position:
        found = node.args[position]
        return None if isinstance(found, ast.Starred) else found
    return next((each.value for each in node.keywords if each.arg in names), None)


def _refuse_mismatch(sql: str, values: ast.expr) -> None:
    """Refuse values that are not those of the text: it is then the text of another call."""
    marks = [match["name"] for match in PLACEHOLDER.finditer(sql) if match[0] != "%%"]
    if isinstance(values, ast.Tuple) and values.elts:
        if any(mark is not None for mark in marks) or len(marks) != len(values.elts):
            raise Unknown(f"its text has {len(marks)} placeholders for {len(values.elts)} values")
    elif isinstance(values, ast.Dict):
        keys = {each.value for each in values.keys if isinstance(each, ast.Constant)}
        if not set(marks) <= keys:
            raise Unknown("its text has placeholders that its values do not have")
    elif not isinstance(values, _SOURCES) and marks:
        raise Unknown("its text has placeholders, and no values are given")


def _refuse_changed(head: Head, start: Call, values: ast.expr) -> None:
    """Refuse values that the loop changes in the row before the statement."""
    used = {ast.unparse(each) for each in ast.walk(values) if isinstance(each, (ast.Subscript, ast.Attribute))}
    for each in ast.walk(head.inside):
        if not isinstance(each, (ast.Subscript, ast.Attribute)) or not isinstance(each.ctx, ast.Store):
            continue
        if each.lineno < start.node.lineno and ast.unparse(each) in used:
            raise Unknown(f"the loop changes `{ast.unparse(each)}` before")
