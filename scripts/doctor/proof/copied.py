"""Costs on a throw-away copy: the tables concerned, with generated rows of the same statistics, on a real server.

For databases without HypoPG. The copy has at most 100,000 rows a table, in a cluster of this machine that is gone
afterwards; the costs are scaled by the share of rows. Only types that come with PostgreSQL are generated: a table
with others is left to the estimate. Nothing of the data is read but pg_stats.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg2

from ...errors import CommandError
from ...stack import Stack
from ...stack.binaries import find
from ...stack.postgres import Cluster
from ...stack.runfolder import state_folder
from ..catalog import Table
from ..index_changes import created
from ..names import quoted
from ..workload.column_statistics import column_statistics
from ..workload.proposals import Proposal
from .generated import rows_statement
from .hypothetical import MOST_STATEMENTS, cost_of, generic

if TYPE_CHECKING:
    from ..target import Target

MOST_ROWS = 100_000


def costs(target: Target, proposals: Sequence[Proposal]) -> dict[int, tuple[float, float]]:
    """Return the planner's cost without and with each index on the copy, scaled to the table's real rows.

    Where there is no PostgreSQL on this machine, or a table cannot be generated, the proposal is left out.
    """
    if not proposals or not _is_here():
        return {}
    found = {}
    tables = {id(each): each for proposal in proposals for each in _tables(target, proposal)}
    with Stack() as stack:
        cluster = stack.postgres({"autovacuum": "off"})
        made = {key for key, table in tables.items() if _is_made(target, cluster, table)}
        for number, proposal in enumerate(proposals):
            target.say(f"a copy of {proposal.table.name}", number, len(proposals))
            if all(id(each) in made for each in _tables(target, proposal)):
                pair = _pair(target, cluster, proposal)
                if pair is not None:
                    found[number] = pair
    return found


def _is_here() -> bool:
    try:
        find(state_folder(None), lambda _: None, install=False)
    except CommandError:
        return False
    return True


def _tables(target: Target, proposal: Proposal) -> list[Table]:
    """Return every table of a proposal's statements."""
    from ..workload.uses import blocks_of

    found = {id(proposal.table): proposal.table}
    for asked in proposal.asked[:MOST_STATEMENTS]:
        for block in blocks_of(target.catalog, asked.tree):
            found |= {id(each): each for each in block.tables.values() if each is not None}
    return list(found.values())


def _is_made(target: Target, cluster: Cluster, table: Table) -> bool:
    """Make a table with its rows and indexes; returns whether that went well."""
    rows = int(min(max(table.rows, 0), MOST_ROWS))
    known = column_statistics(target.session, table)
    columns = ", ".join(f"{quoted(each.name)} {each.type}" for each in table.columns)
    try:
        cluster.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(table.schema)}")
        cluster.execute(f"CREATE TABLE {table.full} ({columns})")
        cluster.execute(rows_statement(table, known, rows))
        for index in target.catalog.of(table.oid):
            if index.is_valid:
                cluster.execute(index.definition)
        cluster.execute(f"ANALYZE {table.full}")
    except psycopg2.Error:
        return False
    return True


def _pair(target: Target, cluster: Cluster, proposal: Proposal) -> tuple[float, float] | None:
    share = min(1.0, MOST_ROWS / max(proposal.table.rows, 1))
    change = created(target.catalog, proposal.table, proposal.columns, keys=proposal.keys, method=proposal.method)
    best: tuple[float, float] | None = None
    with closing(cluster.connect()) as conn:
        for asked in proposal.asked[:MOST_STATEMENTS]:
            try:
                before = _planned(conn, asked.text)
                if proposal.needs:
                    _run(conn, f"CREATE EXTENSION IF NOT EXISTS {proposal.needs}")
                _run(conn, change.up[-1])
                _run(conn, f"ANALYZE {proposal.table.full}")
                after = _planned(conn, asked.text)
            except psycopg2.Error:
                continue
            finally:
                _run(conn, change.down[-1])
            if best is None or before / max(after, 0.01) > best[0] / max(best[1], 0.01):
                best = before / share, after
    return best


def _run(conn: Any, statement: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute(statement)


def _planned(conn: Any, text: str) -> float:
    with conn.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL; BEGIN")
        try:
            for question, values in generic(text):
                cursor.execute(question, values)
            return cost_of(cursor.fetchone()[0])
        finally:
            cursor.execute("ROLLBACK")
