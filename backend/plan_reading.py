"""One sentence about a plan, where there is something certain to say: a big table read in full without an index.

The catalog is asked which indexes there are, so that no index is missed that exists. What an index would bring is
for people to judge. Knows plans as EXPLAIN (VERBOSE, FORMAT JSON) prints them. If this is wrong, people make an
index that they do not need.
"""

from __future__ import annotations

from typing import Any

from .catalog import Catalog, Table
from .conditions import column_of, conjuncts
from .plan_text import Plan, nodes

BIG = 128  # pages of 8 KiB; smaller tables are read in full in a millisecond


def reading(plan: Plan, catalog: Catalog) -> str:
    """Return a sentence, "" when there is none to say.

    Args:
        plan: the node at the top.
        catalog: what is known of its tables.
    """
    found = dict.fromkeys(filter(None, (_about(node, catalog) for _, node in nodes(plan))))
    return "; ".join(found)


def _about(node: Plan, catalog: Catalog) -> str:
    if node.get("Node Type") != "Seq Scan" or "Filter" not in node:
        return ""
    table = _table(node, catalog)
    if table is None or table.pages < BIG:
        return ""
    columns = _equal_columns(node)
    if not columns or any(index.columns and index.columns[0] in columns for index in table.indexes):
        return ""
    names = " or ".join(sorted(columns))
    size = table.pages * 8 / 1024
    return f"reads all of {table.label} ({size:.0f} MB) to find rows by {names}, and no index begins with that"


def _table(node: Plan, catalog: Catalog) -> Table | None:
    matches = catalog.matches((node.get("Schema", ""), node.get("Relation Name", "")))
    return matches[0] if len(matches) == 1 else None


def _equal_columns(node: Plan) -> set[str]:
    """Return the columns that the filter compares for equality with a value; none when it has an OR."""
    alias = node.get("Alias", "")
    sides = [part.compared(alias, "=") for part in conjuncts(str(node["Filter"]))]
    columns: list[Any] = [column_of(side) for side in sides if side is not None]
    return {column[0] for column in columns if column is not None}
