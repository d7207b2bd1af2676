"""`check`: what is wrong with nested queries, told without data and without values for their parameters.

PostgreSQL plans each statement for unknown parameters; from that come the errors in it, a cost that would set
the JIT compiler to work, and the indexes that a child is in want of, on an empty table as on a full one.
All of it happens in one DO block per node, which leaves nothing behind: it works in the caller's transaction,
read-only ones too, and behind PgBouncer in transaction mode, and a client that dies half-way leaves no trace.
Must not import Flask, the pool or nodes. If this is wrong, a start-up check is silent and production is slow.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS

from .catalog import Catalog, read_known
from .errors import NodeError, SchemaError
from .planwalk import Plan, Unserved, tables_in, unserved
from .rows import only_value

_PARAMETER = re.compile(r"%\((?P<name>\w+)\)s|%%")
_CAST_MAY_HELP = ("42P18", "42P08", "42725", "42883", "42804", "22P02")  # errors that a parameter's type can be

# The plans outlive the inner block, the settings do not: the error at its end undoes them. A prepared statement
# is no part of a transaction, so it is taken away by hand, whatever happened. The second plan must be prepared
# anew, for a kept plan does not notice a changed setting.
_ASK = """DO {outer} DECLARE
    answer refcursor := '{name}'; usual json; forced json; code text; said text;
BEGIN
    BEGIN
        PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
        EXECUTE {prepare};
        EXECUTE {explain} INTO usual;
        EXECUTE 'DEALLOCATE {name}';
        PERFORM set_config('enable_seqscan', 'off', true);
        EXECUTE {prepare};
        EXECUTE {explain} INTO forced;
        RAISE SQLSTATE 'ZZUND';
    EXCEPTION WHEN SQLSTATE 'ZZUND' THEN NULL;
        WHEN OTHERS OR query_canceled THEN code := SQLSTATE; said := SQLERRM;
    END;
    IF EXISTS (SELECT FROM pg_prepared_statements s WHERE s.name = '{name}') THEN
        EXECUTE 'DEALLOCATE {name}';
    END IF;
    OPEN answer FOR SELECT json_build_object(
        'usual', usual, 'forced', forced, 'code', code, 'said', said,
        'jit', CASE WHEN current_setting('jit')::bool THEN current_setting('jit_above_cost')::float8 END)::text;
END {outer}; FETCH ALL FROM {name}"""


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a node.

    Attributes:
        kind: "index" (a table is read in full for every row of its parent), "cost" (the JIT compiler will be set
            to work), "statement" (PostgreSQL refuses it).
        node: the beginning of the node.
        message: one line: what it is and what it costs.
        fix: the statement or the step that ends it.
        table: the table, as SQL writes it; "" where none is to blame.
        columns: the columns by which the table's rows are looked for.
        foreign_key: the constraint that lacks the index; "" where it is another condition.
    """

    kind: str
    node: str
    message: str
    fix: str
    table: str = ""
    columns: tuple[str, ...] = ()
    foreign_key: str = ""


def check(conn: Any, *nodes: Any) -> list[Problem]:
    """Return what is wrong with these nodes; an empty list when nothing is.

    Run it where the app's migrations have run, with or without data: at start-up, in CI. It takes some
    milliseconds per node and reads no table of the app's.

    Args:
        conn: a connection, in whatever state but an aborted transaction; it comes back as it was.
        *nodes: made by `one`, `many`, `one_from`, `many_from`.

    Raises:
        NodeError: something else than a node or a tree was passed.
        psycopg2.Error: the connection is unusable, or the transaction aborted.
    """
    was_idle = conn.info.transaction_status == TRANSACTION_STATUS_IDLE
    try:
        plans = [_planned(conn, node) for node in nodes]
        catalog = read_known(conn, {table for plan in plans for table in plan.tables})
        return [problem for plan in plans for problem in _problems(plan, catalog)]
    finally:
        if was_idle and conn.info.transaction_status == TRANSACTION_STATUS_INTRANS:
            conn.rollback()


def describe(problems: Iterable[Problem]) -> str:
    """Return problems as text: what, where, and the fix below it; each fix once."""
    lines, fixes = [], set()
    for problem in problems:
        lines.append(f"{problem.kind}: {problem.message}\n  in {problem.node}")
        if problem.fix not in fixes:
            lines.append(f"  fix: {problem.fix}")
        fixes.add(problem.fix)
    return "\n".join(lines) or "no problems"


@dataclass(frozen=True)
class _Planned:
    """A node with its plan, made without sequential scans, or with what was wrong already.

    Attributes:
        cost: as estimated for the usual plan.
        jit_above: the cost from which on the JIT compiler is used; None when never.
    """

    node: str
    refused: Problem | None = None
    plan: Plan = field(default_factory=dict)
    cost: float = 0.0
    jit_above: float | None = None

    @property
    def tables(self) -> set[tuple[str, str]]:
        return tables_in(self.plan)


def _planned(conn: Any, node: Any) -> _Planned:
    name = repr(node)
    if not hasattr(node, "sql") and not hasattr(node, "node"):
        raise NodeError(f"check() takes what one(), many(), one_from() and many_from() made, not {name[:60]}")
    try:
        sql = str((node if hasattr(node, "sql") else node.node(conn)).sql)  # a tree is compiled when it is used
    except (NodeError, SchemaError) as error:
        return _Planned(name, Problem("statement", name, str(error), "correct the tree"))
    found = _ask(conn, sql)
    if found["code"] is not None:
        return _Planned(name, _refused(name, found["code"], found["said"], sql))
    usual, forced = found["usual"][0]["Plan"], found["forced"][0]["Plan"]
    return _Planned(name, None, forced, usual["Total Cost"], found["jit"])


def _problems(planned: _Planned, catalog: Catalog) -> list[Problem]:
    if planned.refused is not None:
        return [planned.refused]
    missing = [_missing_index(planned.node, item, catalog) for item in unserved(planned.plan, catalog)]
    if missing or not _is_measured(planned, catalog):
        return missing  # a missing index is what makes it costly
    return _costly(planned)


def _is_measured(planned: _Planned, catalog: Catalog) -> bool:
    """Tell whether the cost is more than a guess: of a table without figures the planner assumes ten pages."""
    tables = [table for name in planned.tables for table in catalog.matches(name)]
    return all(table.pages > 0 for table in tables if table.kind in "rm")


def _ask(conn: Any, sql: str) -> Any:
    """Return the plans of a statement for unknown parameters, or the error that PostgreSQL finds in it."""
    numbered, count = _numbered(sql)
    name = f"nodecheck_{secrets.token_hex(8)}"
    values = f"({', '.join(['NULL'] * count)})" if count else ""
    text = _ASK.format(
        outer=f"${name}$",
        name=name,
        prepare=_literal(f"PREPARE {name} AS {numbered}"),
        explain=_literal(f"EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE {name}{values}"),
    )
    with conn.cursor() as cursor:
        cursor.execute(text)
        row = cursor.fetchone()
        if conn.info.transaction_status == TRANSACTION_STATUS_INTRANS:
            cursor.execute(f"CLOSE {name}")
    return json.loads(only_value(row))


def _numbered(sql: str) -> tuple[str, int]:
    """Return a statement with $1, $2 for its parameters, and how many they are."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "%"
        if found["name"] not in names:
            names.append(found["name"])
        return f"${names.index(found['name']) + 1}"

    return _PARAMETER.sub(number, sql), len(names)


def _literal(text: str) -> str:
    """Quote a text for the inside of the DO block, whatever is in it."""
    tag = f"$t{secrets.token_hex(8)}$"
    return f"{tag}{text}{tag}"


def _refused(node: str, code: str, said: str, sql: str) -> Problem:
    fix = "correct the statement"
    names = sorted({found["name"] for found in _PARAMETER.finditer(sql) if found["name"]})
    if code in _CAST_MAY_HELP and names:
        fix += f"; or give its parameters types, as in %({names[0]})s::bigint, for it is judged without values"
    return Problem("statement", node, f"PostgreSQL refuses it: {said} (SQLSTATE {code})", fix)


def _costly(planned: _Planned) -> list[Problem]:
    limit = planned.jit_above
    if limit is None or not 0 <= limit < planned.cost:
        return []
    said = (
        f"the estimated cost {planned.cost:.0f} is above jit_above_cost = {limit:.0f}: compiling it may take "
        "longer than running it"
    )
    return [Problem("cost", planned.node, said, "ALTER ROLE CURRENT_USER SET jit = off")]


def _missing_index(node: str, item: Unserved, catalog: Catalog) -> Problem:
    table = item.table.label
    key = next((k.name for k in catalog.keys if k.child == item.table.id and k.columns == item.columns), "")
    # CONCURRENTLY is refused on a partitioned table; its partitions are what a plan shows, one by one.
    fix = f"CREATE INDEX CONCURRENTLY ON {table} ({', '.join(item.keys)})"
    said = f"no index of {table} finds its rows by {', '.join(item.columns)}"
    return Problem(
        "index",
        node,
        f"{said} ({item.condition}){f', the foreign key {key}' if key else ''}: for every row of the parent "
        "the whole table is read",
        fix if item.keys else "write the condition as an equality of columns, or add an index for its operator",
        table,
        item.columns,
        key,
    )
