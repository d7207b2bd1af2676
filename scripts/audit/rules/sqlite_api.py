"""H413: calls of sqlite3's own that psycopg2 has not, or has otherwise: the rest of what moving the app takes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..evidence.nodes import nodes
from ..evidence.purpose import is_for_development
from ..finding import Finding, Place, Severity
from ..model.code import Module
from ..model.project import Project
from ..model.values import Connection
from ..rule import Rule

# What is found: a sentence on it, and what stands for it. In the order of docs/sqlite-code.md.
_TEXTS = {
    "execute": ("a psycopg2 connection has no `execute`", "make a cursor: `with conn.cursor() as cur`"),
    "executemany": ("a psycopg2 connection has no `executemany`", "`insert_many`, or `execute_values`"),
    "executescript": ("psycopg2 has no `executescript`", "`cur.execute` takes several statements without values"),
    "row_factory": ("psycopg2 has no `row_factory`", "`psycopg2.connect(..., cursor_factory=DictCursor)`"),
    "text_factory": ("psycopg2 has no `text_factory`", "text is `str`, and `bytea` a memoryview"),
    "total_changes": ("psycopg2 has no `total_changes`", "`cur.rowcount` of the statement"),
    "detect_types": ("`detect_types` is sqlite3's", "leave it out: PostgreSQL's columns have types"),
    "check_same_thread": ("`check_same_thread` is sqlite3's", "leave it out: each request has a connection"),
    "register": ("adapters and converters of sqlite3", "leave them out, or psycopg2's `register_adapter`"),
    "create_function": ("functions of Python's inside SQL", "a function of PostgreSQL's own"),
    "except": ("exceptions of sqlite3", "the same names in psycopg2; after one, `rollback()` comes first"),
}  # fmt: skip
_ATTRIBUTES = ("row_factory", "text_factory", "total_changes")
_KEYWORDS = ("detect_types", "check_same_thread")
_METHODS = {"executescript": "executescript", "create_function": "create_function",
            "create_aggregate": "create_function", "create_collation": "create_function"}  # fmt: skip
_REGISTERS = ("register_adapter", "register_converter")
Use = tuple[str, ast.expr | ast.keyword]  # what, and where


def _check(project: Project) -> Iterator[Finding]:
    shortcuts = _shortcuts(project)
    for module in project.modules:
        if is_for_development(module.path):
            continue
        found: dict[str, list[Place]] = {}
        names = _names(module)
        uses = [*shortcuts.get(module, ()), *(_uses(module, names) if names else ())]
        for what, node in sorted(uses, key=lambda use: (use[1].lineno, use[1].col_offset)):
            found.setdefault(what, []).append(module.place(node))
        for what, places in found.items():
            yield _finding(what, list(dict.fromkeys(places)))


def _shortcuts(project: Project) -> dict[Module, list[Use]]:
    """Return, by module, the statements that are executed on a connection of sqlite3 itself."""
    found: dict[Module, list[Use]] = {}
    for call in project.calls("execute", "executemany"):
        receivers = [each for each in call.receiver if isinstance(each, Connection)]
        name = _method(call.node)
        is_known = bool(receivers) and len(receivers) == len(call.receiver)
        if name in _TEXTS and is_known and all(each.driver == "sqlite3" for each in receivers):
            found.setdefault(call.function.module, []).append((name, call.node))
    return found


def _method(node: ast.expr) -> str:
    return node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""


def _names(module: Module) -> set[str]:
    """Return what a module calls sqlite3: "sqlite3", or "sql" after `import sqlite3 as sql`."""
    found = {
        alias.asname or alias.name
        for node in nodes(module, ast.Import) for alias in node.names if alias.name == "sqlite3"
    }  # fmt: skip
    return found | {"sqlite3" for node in nodes(module, ast.ImportFrom) if node.module == "sqlite3"}


def _uses(module: Module, names: set[str]) -> Iterator[Use]:
    """Yield the uses of sqlite3 in a module that imports it by these names."""
    for node in nodes(module, ast.Attribute, ast.Call, ast.ExceptHandler):
        if isinstance(node, ast.Attribute) and node.attr in _ATTRIBUTES:
            yield node.attr, node
        elif isinstance(node, ast.Call):
            yield from _of_call(node, names)
        elif isinstance(node, ast.ExceptHandler) and node.type is not None:
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            yield from (("except", kind) for kind in kinds if _is_of_sqlite(kind, names))


def _of_call(node: ast.Call, names: set[str]) -> Iterator[Use]:
    name = _method(node)
    if name in _METHODS:
        yield _METHODS[name], node
    elif name in _REGISTERS and _is_of_sqlite(node.func, names):
        yield "register", node
    elif _is_of_sqlite(node.func, names) and name == "connect":
        yield from ((each.arg, each) for each in node.keywords if each.arg in _KEYWORDS)


def _is_of_sqlite(node: ast.expr, names: set[str]) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names


def _finding(what: str, places: list[Place]) -> Finding:
    said, instead = _TEXTS[what]
    more = f", here and in {len(places) - 1} more" if len(places) > 1 else ""
    return RULE.at(places[0], f"{said}{more}", fix=f"For PostgreSQL: {instead}.", more=tuple(places[1:]))


_HEAD = (
    "import sqlite3\n\nfrom flask import Flask, jsonify\n\napp = Flask(__name__)\n\n\n"
    "@app.get('/users')\ndef users():\n"
)

RULE = Rule(
    id="H413",
    name="sqlite-api",
    finds="Calls and attributes of sqlite3 that psycopg2 has not, or has otherwise: `conn.execute`, `row_factory`,"
    " `executescript`, `detect_types`, `total_changes`, `except sqlite3.Error`.",
    why="Beside the statements (H412) these are the lines that moving to PostgreSQL changes; each kind is told of"
    " once in a file, with its places. docs/sqlite-code.md has both sides of each, executed by a test.",
    fix="Change it together with the move: docs/sqlite-code.md.",
    leaves_alone=(
        "Files that do not import sqlite3, connections of other drivers, and of drivers that are not known.",
        "What both have: cursors, `fetchall`, `commit`, `with conn:`.",
        "Development's own files and tests.",
    ),
    severity=Severity.low,
    check=_check,
    example=f"{_HEAD}    conn = sqlite3.connect('shop.db')\n    conn.row_factory = sqlite3.Row\n"
    "    return jsonify([dict(row) for row in conn.execute('SELECT id, name FROM users LIMIT 50')])\n",
    instead=_HEAD.replace("import sqlite3\n", "import psycopg2\nfrom psycopg2.extras import RealDictCursor\n")
    + "    conn = psycopg2.connect('dbname=shop connect_timeout=5', cursor_factory=RealDictCursor)\n"
    "    cur = conn.cursor()\n    cur.execute('SELECT id, name FROM users LIMIT 50')\n"
    "    return jsonify(cur.fetchall())\n",
)
