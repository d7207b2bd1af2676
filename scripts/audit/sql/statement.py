"""What a text of the code does when it is executed: its kind, its tables, what bounds its rows.

Parsed by PostgreSQL's own grammar where a way to read the holes is found; else its words say what they can
(`is_parsed` is False). Never raises for bad SQL. If it is wrong, rules about limits and indexes are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ..model.values import Text
from . import words
from .blocks import read_ctes, read_select, where
from .prepared import CLAUSE_HOLE, HOLE, candidates
from .select import Select
from .tree import Node, kind, parse, table, walk

_KINDS = {
    "SelectStmt": "select", "InsertStmt": "insert", "UpdateStmt": "update", "DeleteStmt": "delete",
    "MergeStmt": "merge", "VariableSetStmt": "set", "DiscardStmt": "set", "ListenStmt": "listen",
    "UnlistenStmt": "listen", "NotifyStmt": "notify", "CopyStmt": "copy", "CallStmt": "call", "DoStmt": "do",
    "ExplainStmt": "explain", "VariableShowStmt": "show", "LockStmt": "lock", "PrepareStmt": "prepare",
    "DeclareCursorStmt": "declare", "ExecuteStmt": "call",
}  # fmt: skip
_BEFORE_LIMIT = re.compile(r"\b(?:where|(?:order|group)\s+by|having)\b", re.IGNORECASE)
_TRANSACTIONS = {"BEGIN": "begin", "START": "begin", "COMMIT": "commit", "ROLLBACK": "rollback"}


@dataclass(frozen=True, eq=False)
class Statement:
    """One statement.

    Attributes:
        kind: select, insert, update, delete, merge, ddl, begin, commit, rollback, savepoint, set, listen, copy,
            ...
        reads: Tables, without their schemas, in the order of the text.
        writes: Tables that it changes.
        select: What it selects or what picks the rows it changes; None for what does neither.
        returning: Whether it has RETURNING.
        rows: Of an INSERT, how many rows of VALUES; 0 when they come from a query or are not known.
        is_open: Whether a hole may bring a clause, so that a LIMIT may be hidden.
        is_parsed: Whether the grammar took it; else only `kind`, the tables and `has_limit` are known.
        is_locking: FOR UPDATE and the like.
        others: The statements before it in the same text.
    """

    kind: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    select: Select | None = None
    returning: bool = False
    rows: int = 0
    has_limit: bool = False
    is_open: bool = False
    is_parsed: bool = True
    is_locking: bool = False
    others: tuple[Statement, ...] = ()

    @property
    def is_one_row(self) -> bool:
        """Whether its text alone says that it returns one row at most."""
        if self.kind == "insert" and self.returning:
            return self.rows == 1
        return self.kind == "select" and self.select is not None and self.select.is_one_row


def statement(text: Text) -> Statement | None:
    """Return what a text does; None when it is no SQL. Of several statements, the last one, with `others`."""
    return _statement(Text(text.pieces))


@lru_cache(maxsize=8192)
def _statement(text: Text) -> Statement | None:
    for sql in candidates(text):
        try:
            found = [_read(each.get("stmt", {}), sql) for each in parse(sql) or ()]
        except RecursionError:  # a UNION of a thousand queries
            break
        if found:
            return _last(found)
    return _by_words(text)


def _last(found: list[Statement]) -> Statement:
    last = found[-1]
    return Statement(**{**last.__dict__, "others": tuple(found[:-1])}) if len(found) > 1 else last


def _by_words(text: Text) -> Statement | None:
    sql = text.with_holes(" hole_0_ ")
    which = words.kind(sql)
    if not which:
        return None
    reads, writes = words.tables(sql)
    return Statement(
        which, reads, writes, has_limit=words.has_limit(sql), is_open=bool(text.holes), is_parsed=False
    )


def _read(node: Node, sql: str) -> Statement:
    name, fields = kind(node)
    if name == "TransactionStmt":
        word = str(fields.get("kind", "")).removeprefix("TRANS_STMT_").partition("_")[0]
        return Statement(_TRANSACTIONS.get(word, "savepoint"))
    which = _KINDS.get(name, "ddl")
    if which not in ("select", "insert", "update", "delete", "merge", "copy", "explain", "declare"):
        return Statement(which, writes=_relation(fields))
    writes = _relation(fields) if which in ("insert", "update", "delete", "merge", "copy") else ()
    select = _select(name, fields, writes)
    if select is not None and CLAUSE_HOLE in sql:
        select.has_unknown_filter = True
    return Statement(
        which, _reads(fields, name), writes, select,
        returning="returningList" in fields or "returningClause" in fields, rows=_rows(fields),
        has_limit=select is not None and select.has_limit, is_open=_may_end_otherwise(sql, select),
        is_locking="lockingClause" in fields,
    )  # fmt: skip


def _select(name: str, fields: Node, writes: tuple[str, ...]) -> Select | None:
    if name == "SelectStmt":
        return read_select(fields)
    if name == "InsertStmt":
        inner = fields.get("selectStmt", {}).get("SelectStmt", {})
        return None if not inner or "valuesLists" in inner else read_select(inner, read_ctes(fields))
    if name in ("UpdateStmt", "DeleteStmt"):
        ctes = read_ctes(fields)
        found = read_select({"fromClause": [*fields.get("fromClause", ()), *fields.get("usingClause", ())]}, ctes)
        relation = fields["relation"]
        found.names[str(relation.get("alias", {}).get("aliasname", "")).lower() or table(relation)] = writes[0]
        where(found, fields.get("whereClause"), ctes)
        return found
    inner = fields.get("query", {}).get("SelectStmt")
    return read_select(inner) if inner else None


def _relation(fields: Node) -> tuple[str, ...]:
    relation = fields.get("relation")
    return (table(relation),) if isinstance(relation, dict) and "relname" in relation else ()


def _rows(fields: Node) -> int:
    return len(fields.get("selectStmt", {}).get("SelectStmt", {}).get("valuesLists", ()))


def _reads(fields: Node, name: str) -> tuple[str, ...]:
    ctes: set[str] = set()
    found: dict[str, None] = {}
    for which, each in walk({name: fields}):
        if which == "CommonTableExpr":
            ctes.add(str(each.get("ctename", "")).lower())
        elif which == "RangeVar":
            found[table(each)] = None
    return tuple(each for each in found if each not in ctes and not HOLE.search(each))


def _may_end_otherwise(sql: str, select: Select | None) -> bool:
    """Whether a hole may bring a LIMIT: nothing behind it that would have to come before one."""
    if select is None:
        return CLAUSE_HOLE in sql
    if CLAUSE_HOLE in sql:
        return not _BEFORE_LIMIT.search(sql.rpartition(CLAUSE_HOLE)[2])
    words_ = [*(alias for alias, relation in select.names.items() if alias != relation), *select.tables]
    return any(HOLE.search(each) and not (HOLE.fullmatch(each) and each in select.tables) for each in words_)
