"""Reads CREATE TABLE, CREATE INDEX and ALTER TABLE into a schema.

A statement that PostgreSQL's grammar does not take, SQLite's for one, is left out; temporary tables are as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..finding import Place
from ..sql.tree import Node, column, kind, parse, strings, table
from .tables import ForeignKey, Index, Schema, Table

_DELETES = {"c": "cascade", "n": "set null", "d": "set default", "r": "restrict"}
Locate = Callable[[int, str], Place]  # from an offset in the statement and a name that stands there


def apply(schema: Schema, sql: str, locate: Locate) -> None:
    """Add what one or several statements make."""
    nodes = parse(sql) or []
    data = sql.encode()
    for each in nodes:
        start = int(each.get("stmt_location", 0))
        name, fields = kind(each.get("stmt", {}))
        where = _Where(data, start, locate)
        if name == "CreateStmt":
            _create(schema, fields, where)
        elif name == "IndexStmt":
            _index(schema, fields, where)
        elif name == "AlterTableStmt":
            _alter(schema, fields, where)


class _Where:
    """Turns the parser's byte offsets into places."""

    def __init__(self, data: bytes, start: int, locate: Locate) -> None:
        self._data, self._locate = data, locate
        self._start = start + len(data[start:]) - len(data[start:].lstrip())

    def __call__(self, fields: Node, name: str) -> Place:
        offset = int(fields.get("location", -1))
        offset = offset if offset > 0 else self._start
        return self._locate(len(self._data[:offset].decode(errors="replace")), name)


def _create(schema: Schema, fields: Node, where: _Where) -> None:
    name = table(fields["relation"])
    if fields["relation"].get("relpersistence") == "t":
        return
    made = schema.tables.setdefault(name, Table(name, where(fields["relation"], name)))
    for each in fields.get("tableElts", ()):
        _element(schema, made, each, where)


def _element(schema: Schema, made: Table, node: Node, where: _Where) -> None:
    name, fields = kind(node)
    if name == "Constraint":
        _constraint(schema, made.name, fields, (), where)
    if name != "ColumnDef":
        return
    own = str(fields.get("colname", "")).lower()
    made.columns[own] = ".".join(strings(fields.get("typeName", {}).get("names", ()))[-1:])
    made.places.setdefault(own, where(fields, own))
    for each in fields.get("constraints", ()):
        _constraint(schema, made.name, each.get("Constraint", {}), (own,), where)


def _constraint(schema: Schema, name: str, fields: Node, own: tuple[str, ...], where: _Where) -> None:
    type_ = fields.get("contype")
    if type_ in ("CONSTR_PRIMARY", "CONSTR_UNIQUE"):
        columns = tuple(strings(fields.get("keys", ()))) or own
        word = "primary key" if type_ == "CONSTR_PRIMARY" else "unique"
        if columns:
            _add(schema, Index(name, columns, where(fields, columns[0]), word, is_unique=True))
    elif type_ == "CONSTR_EXCLUSION":
        keys = [_key(each.get("List", {}).get("items", [{}])[0]) for each in fields.get("exclusions", ())]
        _add(
            schema,
            Index(name, tuple(keys), where(fields, ""), "exclude", method=fields.get("access_method", "gist")),
        )
    elif type_ == "CONSTR_FOREIGN":
        columns = tuple(strings(fields.get("fk_attrs", ()))) or own
        target = table(fields.get("pktable", {}))
        made = ForeignKey(name, columns, target, where(fields, columns[0] if columns else target),
                          _DELETES.get(fields.get("fk_del_action", ""), ""))  # fmt: skip
        if all((made.table, made.columns) != (each.table, each.columns) for each in schema.foreign_keys):
            schema.foreign_keys.append(made)


def _add(schema: Schema, index: Index) -> None:
    if index not in schema.indexes:
        schema.indexes.append(index)


def _index(schema: Schema, fields: Node, where: _Where) -> None:
    name = table(fields.get("relation", {}))
    parts = [each.get("IndexElem", {}) for each in fields.get("indexParams", ())]
    operators = tuple(word for part in parts for word in strings(part.get("opclass", ())))
    _add(schema, Index(
        name, tuple(_key({"IndexElem": part}) for part in parts), where(fields.get("relation", {}), name), "index",
        bool(fields.get("unique")), _predicate(fields.get("whereClause")), fields.get("accessMethod", "btree"),
        operators,
    ))  # fmt: skip


def _key(node: Node) -> str:
    fields = node.get("IndexElem", {})
    if "name" in fields:
        return str(fields["name"]).lower()
    parts, wrapper = column(fields.get("expr"))
    return f"{wrapper}({parts[-1]})" if parts and wrapper else parts[-1] if parts else ""


def _predicate(node: Node | None) -> str:
    if not node:
        return ""
    name, fields = kind(node)
    if name == "NullTest" and fields.get("nulltesttype") == "IS_NOT_NULL":
        parts, _ = column(fields.get("arg"))
        return parts[-1] if parts else "?"
    return "?"


def _alter(schema: Schema, fields: Node, where: _Where) -> None:
    if fields.get("objtype", "OBJECT_TABLE") != "OBJECT_TABLE":
        return
    name = table(fields.get("relation", {}))
    commands: Iterable[Node] = (each.get("AlterTableCmd", {}) for each in fields.get("cmds", ()))
    for command in commands:
        definition = command.get("def", {})
        if command.get("subtype") == "AT_AddConstraint":
            _constraint(schema, name, definition.get("Constraint", {}), (), where)
        elif command.get("subtype") == "AT_AddColumn":
            known = schema.tables.get(name) or Table(name, where(fields.get("relation", {}), name))
            _element(schema, known, definition, where)
