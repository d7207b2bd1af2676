"""Whether statements use a new index: asked of the planner, without values, as prepared statements are planned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg2
from psycopg2.extensions import connection

from ..database import first_line

_TIMEOUT = "5s"  # a plan takes milliseconds; the lock it needs is the weakest one


def said(conn: connection, probe: str, index: str) -> str:
    """Return one sentence on whether a statement's plan uses an index, and if not, what it prefers.

    Args:
        probe: with `$1`, `$2` for values; it is planned, never run.
        index: its name without the schema.
    """
    try:
        plan = _plan(conn, probe, is_forced=False)
        if index in _indexes(plan):
            return f"the plan uses it (cost {plan['Total Cost']:,.0f})"
        forced = _plan(conn, probe, is_forced=True)
    except psycopg2.Error as error:
        return f"its plan could not be asked for ({first_line(error)})"
    if index in _indexes(forced):
        return (f"the plan does not use it: {plan['Node Type']} costs {plan['Total Cost']:,.0f}, with the index "
                f"{forced['Total Cost']:,.0f}; the table may be too small, or wants an ANALYZE")  # fmt: skip
    return "the plan cannot use it; compare the statement's operators, casts and order with the index"


def _plan(conn: connection, probe: str, is_forced: bool) -> dict[str, Any]:
    numbers = [int(each) for each in re.findall(r"\$(\d+)", probe)]
    values = ", ".join(["NULL"] * max(numbers, default=0))
    try:
        with conn.cursor() as cursor:
            cursor.execute(
                f"BEGIN READ ONLY; SET LOCAL statement_timeout = '{_TIMEOUT}'; "
                f"SET LOCAL lock_timeout = '{_TIMEOUT}'; SET LOCAL plan_cache_mode = force_generic_plan"
            )
            if is_forced:
                cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"PREPARE harden_probe AS {probe}")
            cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE harden_probe{f'({values})' if values else ''}")
            (found,) = cursor.fetchone() or ({},)
            return dict(found[0]["Plan"])
    finally:
        with suppress(psycopg2.Error), conn.cursor() as cursor:
            cursor.execute("ROLLBACK")
            cursor.execute("DEALLOCATE harden_probe")


def _indexes(plan: dict[str, Any]) -> set[str]:
    return {str(node["Index Name"]) for node in _nodes(plan) if "Index Name" in node}


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)
