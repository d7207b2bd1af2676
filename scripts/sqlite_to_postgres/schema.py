"""What a SQLite file declares: tables, columns, keys, indexes, checks, and what has no like in PostgreSQL.

Read from PRAGMAs, and from the text of CREATE where they say nothing. If this is wrong, the target lacks a
rule that the data kept.
"""

from __future__ import annotations

import itertools
import sqlite3
from dataclasses import dataclass, field

from .tokens import Token, body, enclosed_after, parts, tokenize, word_after

_CONSTRAINTS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")


@dataclass(frozen=True)
class Column:
    """A column; `default` and `generated` are SQLite's text."""

    name: str
    declared: str
    not_null: bool
    default: str | None
    collation: str
    generated: bool


@dataclass(frozen=True)
class Key:
    """One part of an index: a column's name, or an expression's tokens."""

    column: str | None
    expression: tuple[Token, ...]
    descending: bool
    collation: str


@dataclass(frozen=True)
class Index:
    """An index; `origin` is c (CREATE INDEX), u (UNIQUE) or pk, as PRAGMA index_list says it."""

    name: str
    unique: bool
    origin: str
    keys: tuple[Key, ...]
    where: tuple[Token, ...]


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key; `parents` is empty where it means the parent's primary key."""

    columns: tuple[str, ...]
    parent: str
    parents: tuple[str, ...]
    on_update: str
    on_delete: str
    deferred: bool


@dataclass(frozen=True)
class Table:
    """A table; `rowid` is the name that reaches its row number, or empty for WITHOUT ROWID."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    row_number: str | None
    rowid: str
    indexes: tuple[Index, ...]
    foreign_keys: tuple[ForeignKey, ...]
    checks: tuple[tuple[Token, ...], ...]


@dataclass
class Schema:
    """All of a file; `others` are (kind, name, SQL) of views, triggers and virtual tables."""

    tables: list[Table] = field(default_factory=list)
    others: list[tuple[str, str, str]] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)


def quoted(name: str) -> str:
    """Return a name as SQLite quotes it."""
    return '"' + name.replace('"', '""') + '"'


def read_schema(connection: sqlite3.Connection) -> Schema:
    """Read what the file declares.

    Raises:
        sqlite3.DatabaseError: the file is damaged there.
    """
    schema = Schema()
    rows = list(connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master ORDER BY rowid"))
    virtual = [name for kind, name, text in rows if kind == "table" and _is_virtual(text)]
    for kind, name, text in rows:
        if kind in ("view", "trigger"):
            schema.others.append((kind, name, text))
        elif kind == "table" and name in virtual:
            schema.others.append(("virtual table", name, text))
        elif kind == "table" and not name.startswith("sqlite_") and not _is_shadow(name, virtual):
            schema.tables.append(_read_table(connection, name, text))
        elif name == "sqlite_sequence":
            counters = connection.execute("SELECT name, seq FROM sqlite_sequence")
            schema.counters = {str(table): int(last) for table, last in counters if isinstance(last, int)}
    return schema


def _is_virtual(text: str) -> bool:
    return [token.upper for token in tokenize(text)[:2]] == ["CREATE", "VIRTUAL"]


# The tables in which FTS3, FTS5 and R*Tree keep their own data: https://www.sqlite.org/vtab.html#xshadowname
_SHADOWS = ("content", "segments", "segdir", "docsize", "stat", "data", "idx", "config", "node", "rowid", "parent")


def _is_shadow(name: str, virtual: list[str]) -> bool:
    return any(name == f"{owner}_{suffix}" for owner in virtual for suffix in _SHADOWS)


def _read_table(connection: sqlite3.Connection, name: str, text: str) -> Table:
    inside, after = body(tokenize(text))
    definitions = parts(inside)
    info = list(connection.execute(f"PRAGMA table_xinfo({quoted(name)})"))
    columns = tuple(_column(row, _definition(definitions, row[1])) for row in info)
    key = tuple(row[1] for row in sorted(info, key=lambda row: int(row[5])) if row[5])
    indexes = _indexes(connection, name)
    without_rowid = any((one.upper, two.upper) == ("WITHOUT", "ROWID") for one, two in itertools.pairwise(after))
    taken = {column.name.lower() for column in columns}
    rowid = next((word for word in ("rowid", "_rowid_", "oid") if word not in taken), "")
    numbered = len(key) == 1 and not without_rowid and not any(index.origin == "pk" for index in indexes)
    return Table(
        name, columns, key, key[0] if numbered else None, "" if without_rowid else rowid, indexes,
        _foreign_keys(connection, name, definitions),
        tuple(tuple(check) for part in definitions for check in enclosed_after(part, "CHECK")),
    )  # fmt: skip


def _definition(definitions: list[list[Token]], name: str) -> list[Token]:
    own = (part for part in definitions if part[0].upper not in _CONSTRAINTS)
    return next((part for part in own if part[0].name.lower() == name.lower()), [])


def _column(row: tuple[object, ...], definition: list[Token]) -> Column:
    _, name, declared, not_null, default, _, hidden = row
    return Column(
        str(name), str(declared or ""), bool(not_null), None if default is None else str(default),
        word_after(definition, "COLLATE").upper(), hidden in (2, 3),
    )  # fmt: skip


def _indexes(connection: sqlite3.Connection, table: str) -> tuple[Index, ...]:
    found = []
    for _, name, unique, origin, *_ in connection.execute(f"PRAGMA index_list({quoted(table)})").fetchall():
        row = connection.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?", (name,)
        ).fetchone()
        inside, after = body(_from_table(tokenize(row[0] if row and row[0] else "")))
        spelled = parts(inside)
        info = connection.execute(f"PRAGMA index_xinfo({quoted(name)})").fetchall()
        keys = [
            Key(column, tuple(_bare(spelled[place])) if column is None and place < len(spelled) else (),
                bool(desc), str(collation).upper())
            for place, _, column, desc, collation, is_key in info if is_key
        ]  # fmt: skip
        where = after[1:] if after and after[0].upper == "WHERE" else []
        found.append(Index(str(name), bool(unique), str(origin), tuple(keys), tuple(where)))
    return tuple(reversed(found))


def _from_table(tokens: list[Token]) -> list[Token]:
    """Leave out the index's own name, which may hold a parenthesis only inside quotes."""
    return tokens[next((place for place, token in enumerate(tokens) if token.upper == "ON"), 0) :]


def _bare(part: list[Token]) -> list[Token]:
    """Return a key's expression without ASC, DESC and COLLATE."""
    if part[-1].upper in ("ASC", "DESC"):
        part = part[:-1]
    return part[:-2] if len(part) > 2 and part[-2].upper == "COLLATE" else part


def _foreign_keys(
    connection: sqlite3.Connection, table: str, definitions: list[list[Token]]
) -> tuple[ForeignKey, ...]:
    groups: dict[int, list[tuple[object, ...]]] = {}
    for row in connection.execute(f"PRAGMA foreign_key_list({quoted(table)})"):
        groups.setdefault(int(row[0]), []).append(row)
    texts = [[token.upper for token in part] for part in definitions]
    # SQLite numbers them from the last one declared.
    deferred = ["DEFERRED" in text and "NOT" not in text[text.index("REFERENCES") :]
                for text in texts if "REFERENCES" in text][::-1]  # fmt: skip
    found = []
    for number, rows in sorted(groups.items(), reverse=True):
        rows.sort(key=lambda row: int(str(row[1])))
        parents = tuple(str(row[4]) for row in rows if row[4] is not None)
        late = number < len(deferred) and deferred[number]
        found.append(ForeignKey(tuple(str(row[3]) for row in rows), str(rows[0][2]), parents,
                                str(rows[0][5]), str(rows[0][6]), late))  # fmt: skip
    return tuple(found)
