"""A change as plain SQL: a file for the way there and one for the way back, each fit for psql and for squawk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pglast import ast, parse_sql
from pglast.parser import ParseError, scan

from ..doctor.names import literal, qualified

# Ours waits this long behind transactions that are older than it; nobody waits behind ours but other DDL.
LOCK_TIMEOUT = 60.0  # seconds
# A build reads the whole table twice: 4 h is some 500 GB on a slow disk, and a role's default would cancel it.
STATEMENT_TIMEOUT = 4 * 3600.0  # seconds
KINDS = ("create index", "rebuild index", "validate constraint", "drop index")  # in the order of their files


@dataclass(frozen=True)
class Timeouts:
    """Of one statement, in seconds."""

    lock: float = LOCK_TIMEOUT
    statement: float = STATEMENT_TIMEOUT


class Unfit(Exception):
    """A statement that cannot be made safe; with the reason."""


def files_of(kind: str, up: Sequence[str], down: Sequence[str], reasons: Iterable[str], probes: Iterable[str],
             timeouts: Timeouts) -> tuple[str, str]:  # fmt: skip
    """Return the texts of both files.

    Args:
        kind: one of `KINDS`.
        reasons: the findings, one line each.
        probes: statements that have to use what is made, with `$1` for values.

    Raises:
        Unfit: a statement is none that can run while others read and write.
    """
    header = ["Written by scripts/harden migrate write.", *reasons]
    asked = [f"probe: {each}" for each in probes]
    is_transaction = kind == "validate constraint"  # ALTER TABLE has no IF; squawk asks for a transaction
    there = _file([*header, *asked], _safe(up), timeouts, is_transaction)
    return there, _file([*header, "The way back."], _safe(down), timeouts, is_transaction)


def _file(header: Iterable[str], statements: Sequence[str], timeouts: Timeouts, is_transaction: bool) -> str:
    scope = "SET LOCAL" if is_transaction else "SET"
    lines = [f"-- {' '.join(each.split())}" for each in header]
    if not statements:
        return "\n".join([*lines, "-- There is nothing to do on this way.", ""])
    if not is_transaction:
        lines.append("-- Not inside a transaction: CONCURRENTLY is refused there.")
    lines += [
        "", *(["BEGIN;"] if is_transaction else []),
        "-- Waits behind older transactions; readers and writers do not wait for it, other DDL and VACUUM do.",
        f"{scope} lock_timeout = '{_ms(timeouts.lock)}';",
        "-- Large tables take hours; a role's own limit would cancel it.",
        f"{scope} statement_timeout = '{_ms(timeouts.statement)}';", "",
        *(f"{each};" for each in statements), *(["COMMIT;"] if is_transaction else []), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _ms(seconds: float) -> str:
    return f"{round(seconds)}s" if seconds == round(seconds) else f"{round(seconds * 1000)}ms"


def _safe(statements: Sequence[str]) -> list[str]:
    found = []
    for each in statements:
        found.extend(safe(each))
    return found


def _is(node: Any, kind: type[ast.Node]) -> bool:
    return isinstance(node, kind)  # without narrowing: the parser's types have each field optional


def safe(statement: str) -> list[str]:
    """Return a statement as it may run on a live database, and what has to follow it.

    Raises:
        Unfit: it cannot be.
    """
    statement = statement.strip().rstrip(";").strip()
    try:
        (raw,) = parse_sql(statement)
    except (ParseError, ValueError):
        raise Unfit("it cannot be parsed as one statement") from None
    node: Any = raw.stmt
    if _is(node, ast.IndexStmt):
        return _created(node, statement)
    if _is(node, ast.DropStmt) and re.match(r"(?i)DROP\s+INDEX\b", statement):
        return [_with(statement, node.concurrent, "" if node.missing_ok else "IF EXISTS")]
    if _is(node, ast.ReindexStmt) and re.match(r"(?i)REINDEX\b.*\bINDEX\b", statement):
        if "concurrently" not in {each.defname for each in node.params or ()}:
            return [re.sub(r"(?i)\bINDEX\s+", "INDEX CONCURRENTLY ", statement, count=1)]
        return [statement]
    if _is(node, ast.CommentStmt) and re.match(r"(?i)COMMENT\s+ON\s+INDEX\b", statement):
        return [statement]
    if _is(node, ast.AlterTableStmt) and re.search(r"(?i)\bVALIDATE\s+CONSTRAINT\b", statement):
        return [statement]
    raise Unfit("it is none of the statements that leave readers and writers alone")


def _created(node: Any, statement: str) -> list[str]:
    if not node.idxname or not node.relation.schemaname:
        raise Unfit("the index has no name, or the table no schema")
    if not node.concurrent:  # the doctor writes it so for a partitioned table, where CONCURRENTLY is refused
        raise Unfit("without CONCURRENTLY it stops writes; on a partitioned table make it on each partition "
                    "CONCURRENTLY, then on the parent, which adopts them")  # fmt: skip
    name = qualified(node.relation.schemaname, node.idxname)
    made = statement if node.if_not_exists else _with(statement, True, "IF NOT EXISTS")
    table = qualified(node.relation.schemaname, node.relation.relname)
    is_computed = any(each.expr is not None for each in node.indexParams)
    # An expression has no statistics before an ANALYZE, and the planner would guess.
    return [made, *([f"ANALYZE {table}"] if is_computed else []), check(name)]


def _with(statement: str, is_concurrent: bool, exists: str) -> str:
    """Return a statement with CONCURRENTLY and IF [NOT] EXISTS behind its INDEX."""
    tokens = scan(statement)
    at = next(each.end + 1 for each in tokens if each.name == "INDEX")
    if is_concurrent:
        at = next(each.end + 1 for each in tokens if each.name == "CONCURRENTLY")
    added = ("" if is_concurrent else " CONCURRENTLY") + (f" {exists}" if exists else "")
    return statement[:at] + added + statement[at:]


def check(name: str) -> str:
    """Return a statement that fails when an index is missing or invalid: IF NOT EXISTS passes one by."""
    said = literal(f"{name} is invalid; DROP INDEX CONCURRENTLY it, and run this again".replace("%", "%%"))
    tag = "$check$"
    while tag in name:
        tag = f"${tag[1:-1]}x$"
    return (
        f"DO {tag}\nBEGIN\n"
        f"    IF NOT (SELECT indisvalid FROM pg_catalog.pg_index\n            WHERE indexrelid = "
        f"{literal(name)}::pg_catalog.regclass) THEN\n"
        f"        RAISE EXCEPTION {said};\n"
        f"    END IF;\nEND\n{tag}"
    )


_CHECKED = re.compile(r"WHERE indexrelid = E?'((?:[^']|'')*)'::pg_catalog\.regclass\) THEN")


def check_of(text: str) -> str | None:
    """Return the index that a statement of `check` looks at; None when it is another statement."""
    found = _CHECKED.search(text)
    if found is None:
        return None
    name = found[1].replace("''", "'").replace("\\\\", "\\")
    return name if check(name) == text else None
