"""Statements that make, drop and rebuild indexes on a database in use, each with its way back.

CONCURRENTLY takes no lock that stops writes, and must stand outside a transaction. On a partitioned table it is
not possible: there the index is made on each partition, then on the parent alone, which adopts them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .advice import Change
from .catalog import Catalog, Index, Table
from .names import literal, made_name, qualified, quoted


def created(catalog: Catalog, table: Table, columns: Sequence[str], *, keys: Sequence[str] = (), method: str = "",
            predicate: str = "", include: Sequence[str] = (), probes: Iterable[str] = ()) -> Change:  # fmt: skip
    """Return a new index.

    Args:
        columns: What it is named after: columns, unquoted.
        keys: As SQL writes them, with DESC, operator classes or expressions; the columns when empty.
        method: "gin" and the like; "" for a B-tree.
        predicate: Of a partial index.
        include: Columns of INCLUDE, unquoted.
        probes: Statements with `$1` that have to use it; by default a lookup by the columns.
    """
    name = made_name([table.name, *columns], catalog.index_names(table.schema))
    keys = keys or [quoted(each) for each in columns]
    rest = f"{f' USING {method}' if method else ''} ({', '.join(keys)})"
    rest += f" INCLUDE ({', '.join(map(quoted, include))})" if include else ""
    rest += f" WHERE {predicate}" if predicate else ""
    full = qualified(table.schema, name)
    up = [f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {quoted(name)} ON {table.full}{rest}"]
    down = [f"DROP INDEX CONCURRENTLY IF EXISTS {full}"]
    if table.kind == "p":
        up, down = [f"CREATE INDEX IF NOT EXISTS {quoted(name)} ON {table.full}{rest}"], [f"DROP INDEX IF"
        f" EXISTS {full}"]
    asked = tuple(probes) or (_lookup(table, columns),)
    return Change("create index", tuple(up), tuple(down), table.full, full, asked)


def _lookup(table: Table, columns: Sequence[str]) -> str:
    return f"SELECT * FROM {table.full} WHERE " + " AND ".join(
        f"{quoted(each)} = ${number}" for number, each in enumerate(columns, 1)
    )


def dropped(table: Table, index: Index) -> Change:
    """Return an index's end; its definition is the way back."""
    how = "" if table.kind == "p" else "CONCURRENTLY "  # not possible on a partitioned table
    definition = index.definition.replace(f" ON ONLY {table.full} ", f" ON {table.full} ", 1)
    down = re.sub(r"^CREATE (UNIQUE )?INDEX ", rf"CREATE \1INDEX {how}IF NOT EXISTS ", definition)
    up = f"DROP INDEX {how}IF EXISTS {index.full}"
    return Change("drop index", (up,), (down, *_comment(index)), table.full, index.full)


def _comment(index: Index) -> tuple[str, ...]:
    return (f"COMMENT ON INDEX {index.full} IS {literal(index.comment)}",) if index.comment else ()


def rebuilt(table: Table, index: Index) -> Change:
    """Return an index made anew beside the old one; nothing has to be taken back."""
    return Change("rebuild index", (f"REINDEX INDEX CONCURRENTLY {index.full}",), (), table.full, index.full)
