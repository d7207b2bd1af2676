"""Finds in a plan the tables that are read in full for every row of their parent, because an index is missing.

What counts is not the scan that the planner chose, for on a small table it chooses any, but whether it could do
better: a scope is a part of the plan that is repeated per row; a table in it is reached when an index leads from
the parent's row, or from another table reached before, to its rows. Tables that nothing reaches are reported.
Knows plans as EXPLAIN (VERBOSE, FORMAT JSON) prints them, and the catalog; no connection. If this is wrong, a
missing index stays unnoticed until the tables have grown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .catalog import Catalog, Index, Table
from .conditions import Condition, column_of, conjuncts, quoted_column, without_aliases

Plan = dict[str, Any]

_CONDITIONS = ("Filter", "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "TID Cond")


@dataclass(frozen=True)
class Unserved:
    """A table without the index that a repeated part of a plan needs.

    Attributes:
        keys: what the index should be on: columns, or expressions in parentheses; empty when no plain index can
            serve the condition.
        condition: as PostgreSQL prints it.
    """

    table: Table
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    condition: str


@dataclass
class _Scan:
    alias: str
    table: Table | None
    used: list[tuple[str, list[Condition]]] = field(default_factory=list)  # an index's name, what it looks up


@dataclass
class _Scope:
    is_repeated: bool
    scans: dict[str, _Scan] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)  # aliases of what is no table
    conditions: list[Condition] = field(default_factory=list)


def tables_in(plan: Plan) -> set[tuple[str, str]]:
    """Return the tables of a plan as pairs of schema and name."""
    own = {(plan["Schema"], plan["Relation Name"])} if "Relation Name" in plan and "Schema" in plan else set()
    return own.union(*(tables_in(child) for child in plan.get("Plans", ())))


def unserved(plan: Plan, catalog: Catalog) -> list[Unserved]:
    """Return the tables that are read in full for every row of a parent.

    Args:
        plan: made with `enable_seqscan` off, so that an index the catalog cannot judge shows by being used.
        catalog: of the tables in it.
    """
    scopes = [_Scope(False)]
    _walk(plan, scopes[0], scopes, catalog)
    found = [item for scope in scopes if scope.is_repeated for item in _unreached(scope, catalog)]
    return list({(item.table.id, item.columns): item for item in found}.values())


def _walk(plan: Plan, scope: _Scope, scopes: list[_Scope], catalog: Catalog) -> None:
    scope.conditions += [part for name in _CONDITIONS if name in plan for part in conjuncts(plan[name])]
    _note_scan(plan, scope, catalog)
    for child in plan.get("Plans", ()):
        _walk(child, _scope_of(child, plan, scope, scopes), scopes, catalog)


def _note_scan(plan: Plan, scope: _Scope, catalog: Catalog) -> None:
    if "Relation Name" in plan:
        table = next(iter(catalog.matches((plan.get("Schema", ""), plan["Relation Name"]))), None)
        scan = scope.scans.setdefault(plan["Alias"], _Scan(plan["Alias"], table))
        scan.used += list(_used_indexes(plan))
    elif "Alias" in plan:
        scope.others.add(plan["Alias"])


def _used_indexes(plan: Plan) -> Iterator[tuple[str, list[Condition]]]:
    if "Index Name" in plan and "Index Cond" in plan:
        yield plan["Index Name"], conjuncts(plan["Index Cond"])
    for child in plan.get("Plans", ()) if plan["Node Type"].startswith("Bitmap") else ():
        yield from _used_indexes(child)


def _scope_of(child: Plan, parent: Plan, scope: _Scope, scopes: list[_Scope]) -> _Scope:
    """Return the scope that a child belongs to: its parent's, or one of its own where it is run by itself."""
    relation = child.get("Parent Relationship")
    if relation in ("SubPlan", "InitPlan"):
        is_repeated = scope.is_repeated or relation == "SubPlan"
    elif parent["Node Type"] == "Nested Loop" and relation == "Inner" and not scope.is_repeated:
        is_repeated = _is_lateral(child)
        if not is_repeated:
            return scope
    else:
        return scope
    scopes.append(_Scope(is_repeated))
    return scopes[-1]


def _is_lateral(inner: Plan) -> bool:
    """Tell whether a scan in it that no index serves depends on rows from outside; a plain join's does not."""
    nodes = list(_nodes(inner))
    inside = {node["Alias"] for node in nodes if "Alias" in node}
    return any(
        condition.aliases - inside
        for node in nodes
        if "Relation Name" in node and "Index Cond" not in node and "Filter" in node
        for condition in conjuncts(node["Filter"])
    )


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _unreached(scope: _Scope, catalog: Catalog) -> list[Unserved]:
    inside = set(scope.scans) | scope.others
    outside = {alias for condition in scope.conditions for alias in condition.aliases} - inside
    if not outside:
        return []  # it does not depend on the parent's row, so it is run once
    known = outside | scope.others
    waiting = {alias: scan for alias, scan in scope.scans.items() if scan.table is not None}
    known |= set(scope.scans) - set(waiting)
    while reached := {alias for alias, scan in waiting.items() if _is_reached(scan, known, scope, catalog)}:
        known |= reached
        waiting = {alias: scan for alias, scan in waiting.items() if alias not in reached}
    blamed = [item for scan in waiting.values() if (item := _blame(scan, outside, scope, catalog))]
    anything = inside | outside
    return blamed or [item for scan in waiting.values() if (item := _blame(scan, anything, scope, catalog))]


def _is_reached(scan: _Scan, known: set[str], scope: _Scope, catalog: Catalog) -> bool:
    assert scan.table is not None
    for name, conditions in scan.used:
        sources = set().union(*(condition.aliases for condition in conditions)) - {scan.alias}
        index = next((index for index in scan.table.indexes if index.name == name), None)
        if sources and sources <= known and (index is None or _leads(index, scan.alias, conditions)):
            return True
    return _has_access(scan, known, scope, catalog)


def _leads(index: Index, alias: str, conditions: Iterable[Condition]) -> bool:
    """Tell whether what is looked up is the first column of an index: else all of the index is read."""
    return index.columns[0] is None or any(index.columns[0] in part.columns_of(alias) for part in conditions)


def _has_access(scan: _Scan, known: set[str], scope: _Scope, catalog: Catalog) -> bool:
    """Tell whether an index finds the rows of a table by the equality of columns with what is known."""
    assert scan.table is not None
    wanted = set(_equal_columns(scan, known, scope))
    fixed = wanted | set(_equal_columns(scan, set(), scope))
    if not wanted:
        return False
    usable = [index for index in scan.table.indexes if index.holds_all_rows(sorted(fixed))]
    if any(index.unique and len(_run(index, fixed)) == len(index.columns) for index in usable):
        return True
    runs = [_run(index, fixed) for index in usable]
    keys = _foreign_keys(scan.table, wanted, fixed, catalog)
    if keys:
        return any(key <= set(run) for key in keys for run in runs)
    return any(wanted & set(run) for run in runs)


def _run(index: Index, fixed: set[str]) -> list[str]:
    """Return the columns that lead an index as far as they are fixed."""
    run: list[str] = []
    for column in index.columns if index.method in ("btree", "hash") else ():
        if column not in fixed or column is None:
            break
        run.append(column)
    return run


def _foreign_keys(table: Table, wanted: set[str], fixed: set[str], catalog: Catalog) -> list[set[str]]:
    """Return the columns of the foreign keys that are followed, none that is a part of another."""
    keys = [set(key.columns) for key in catalog.keys if key.child == table.id]
    followed = [key for key in keys if key <= fixed and key & wanted]
    return [key for key in followed if not any(key < other for other in followed)]


def _equal_columns(scan: _Scan, known: set[str], scope: _Scope) -> dict[str, Condition]:
    """Return the columns that must equal something known; with nothing known, something constant."""
    found: dict[str, Condition] = {}
    for condition in scope.conditions:
        others = condition.aliases - {scan.alias}
        column = _column(scan, condition.compared(scan.alias, "="))
        if column is not None and (others <= known if others else not known):
            found.setdefault(column, condition)
    return found


def _column(scan: _Scan, side: str | None) -> str | None:
    """Return the column that an index would have to be on; None for an expression, which an index could be on."""
    found = column_of(side) if side else None
    if found is None or scan.table is None or found[0] not in scan.table.columns:
        return None
    # An index on a varchar serves its text as well; on a number it does not.
    is_served = not found[1] or scan.table.columns[found[0]].type.startswith("character varying")
    return found[0] if is_served else None


def _blame(scan: _Scan, known: set[str], scope: _Scope, catalog: Catalog) -> Unserved | None:
    """Describe the index that is missing on a table; None when it depends on nothing known, or has it."""
    if scan.table is None or scan.table.kind in "vf" or _has_access(scan, known, scope, catalog):
        return None
    equal = _equal_columns(scan, known - {scan.alias}, scope)
    if equal:
        columns = _in_key_order(scan.table, set(equal), catalog)
        keys = tuple(_key(scan, equal[column]) for column in columns)
        return Unserved(scan.table, columns, keys, " AND ".join(equal[name].text for name in columns))
    for condition in scope.conditions:
        others = condition.aliases - {scan.alias}
        if scan.alias in condition.aliases and others and others <= known:
            key = _key(scan, condition)
            columns = tuple(sorted(condition.columns_of(scan.alias)))
            return Unserved(scan.table, columns, (key,) if key else (), condition.text)
    return None


def _in_key_order(table: Table, columns: set[str], catalog: Catalog) -> tuple[str, ...]:
    """Return the columns of the longest foreign key among these, else these in the table's order."""
    keys = [key.columns for key in catalog.keys if key.child == table.id and set(key.columns) <= columns]
    return max(keys, key=len, default=tuple(name for name in table.columns if name in columns))


def _key(scan: _Scan, condition: Condition) -> str:
    """Return what an index must be on to serve a condition; "" when none of the plain kind does."""
    side = condition.compared(scan.alias)
    if side is None:
        return ""
    return quoted_column(side) if _column(scan, side) is not None else f"({without_aliases(side)})"
