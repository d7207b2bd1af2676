"""Costs with an index that is not there, by the server's own planner: HypoPG's hypothetical indexes.

Nothing is made and nothing is executed: EXPLAIN of a prepared statement with a generic plan, in a read-only
transaction. Behind a transaction pooler nothing is prepared. Source: https://hypopg.readthedocs.io/
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from ..index_changes import created
from ..session import NotSeen, Question
from ..workload.proposals import Proposal
from ..workload.statements import Asked

if TYPE_CHECKING:
    from ..target import Target

MOST_STATEMENTS = 3  # of a proposal, the most expensive
LARGEST_PID = 2**22  # of Linux; PgBouncer answers with another number
_NUMBER = re.compile(r"\$(\d+)")
_NAME = "harden_doctor_asked"


def costs(target: Target, proposals: Sequence[Proposal]) -> dict[int, tuple[float, float]]:
    """Return the planner's cost without and with each index, for the statement that gains most.

    Raises:
        Lost: the server went away.
    """
    if not 0 < target.session.connection.info.backend_pid <= LARGEST_PID:
        return {}
    schema = target.server.extensions["hypopg"][1]
    found = {}
    for number, proposal in enumerate(proposals):
        target.say(f"planning {proposal.table.name}", number, len(proposals))
        best: tuple[float, float] | None = None
        for asked in proposal.asked[:MOST_STATEMENTS]:
            try:
                pair = _pair(target, proposal, asked, schema)
            except NotSeen:
                continue  # a type or an operator that EXPLAIN cannot know; another statement will do
            if best is None or pair[0] / max(pair[1], 0.01) > best[0] / max(best[1], 0.01):
                best = pair
        if best is not None:
            found[number] = best
    return found


def _pair(target: Target, proposal: Proposal, asked: Asked, schema: str) -> tuple[float, float]:
    create = hypothetical_index(target, proposal)
    make = sql.SQL("SELECT indexrelid FROM {}({})").format(
        sql.Identifier(schema, "hypopg_create_index"), sql.Literal(create)
    )
    reset = sql.SQL("SELECT {}()").format(sql.Identifier(schema, "hypopg_reset"))
    before = planned(target, asked.text, [])
    try:
        after = planned(target, asked.text, [(make, None)])
    finally:
        target.session.rows(reset)
    return before, after


def hypothetical_index(target: Target, proposal: Proposal) -> str:
    """Return the CREATE INDEX that HypoPG takes: without a name, and not CONCURRENTLY."""
    change = created(target.catalog, proposal.table, proposal.columns, keys=proposal.keys, method=proposal.method)
    return re.sub(r"^CREATE INDEX.*? ON ", "CREATE INDEX ON ", change.up[-1])


def planned(target: Target, text: str, first: Sequence[Question]) -> float:
    """Return the cost of a statement's generic plan.

    Args:
        text: with `$1` for values.
        first: what is asked in the same transaction before.

    Raises:
        NotSeen: it cannot be planned here.
    """
    path: Question = ("SELECT set_config('search_path', %s, true)", (_search_path(target),))
    try:
        rows = target.session.asked([*first, path, *generic(text)])
    finally:
        target.session.rows(f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_prepared_statements WHERE name = '{_NAME}') "
                            f"THEN DEALLOCATE {_NAME}; END IF; END $$")  # fmt: skip
    return cost_of(rows[0][0])


def cost_of(plan: Any) -> float:
    """Return the total cost of EXPLAIN (FORMAT JSON)."""
    document = json.loads(plan) if isinstance(plan, str) else plan
    return float(document[0]["Plan"]["Total Cost"])


def generic(text: str) -> list[Question]:
    """Return what asks for a generic plan: it prepares the statement, and explains it with NULLs."""
    count = max((int(number) for number in _NUMBER.findall(text)), default=0)
    values = f"({', '.join(['NULL'] * count)})" if count else ""
    return [
        (f"PREPARE {_NAME} AS {text}", None),
        ("SET LOCAL plan_cache_mode = force_generic_plan", None),
        (f"EXPLAIN (FORMAT JSON) EXECUTE {_NAME}{values}", None),
    ]


def _search_path(target: Target) -> str:
    found = target.server.settings.get("search_path")
    return found.setting if found else "public"
