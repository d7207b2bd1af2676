"""A plan as lines of text without the values in it, made of what EXPLAIN (FORMAT JSON) returns.

From JSON, because in its text form a literal with a line break looks like a line of the plan. Of each node only
what is named here is shown; numbers are rounded, for an estimate of 987,654,321 rows may be somebody's value.
Knows no connections. If this is wrong, personal data stands in the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Plan = dict[str, Any]
LONGEST = 8000  # characters of a plan
MOST_NODES = 200
_CONDITIONS = (
    "Join Filter", "Hash Cond", "Merge Cond", "Index Cond", "Recheck Cond", "TID Cond", "Filter",
    "One-Time Filter", "Run Condition", "Order By", "Sort Key", "Presorted Key", "Group Key", "Cache Key",
    "Sampling Parameters",
)  # fmt: skip
_JOINS = {"Nested Loop": "Nested Loop", "Hash Join": "Hash", "Merge Join": "Merge"}
_AGGREGATES = {"Sorted": "GroupAggregate", "Hashed": "HashAggregate", "Mixed": "MixedAggregate"}
# As ruleutils.c prints an expression: it never writes E'', and a backslash in quotes is only a backslash, or two.
_TOKEN = re.compile(
    r"""(?P<name>"(?:[^"]|"")*(?:"|\Z))
    |(?P<value>[bBxX]?'(?:[^']|'')*(?:'|\Z)|(?:\d[\w.]*|\.\d[\w.]*)(?:(?<=[eE])[+-]\d+)?)
    |(?P<word>[^\W\d][\w$]*|\$\d+)""",
    re.VERBOSE,
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def without_values(expression: str) -> str:
    """Return an expression, as PostgreSQL prints it, with `?` for each literal."""
    return _TOKEN.sub(lambda found: "?" if found["value"] else found[0], expression)


def with_values(expression: str) -> str:
    """Return an expression as it is, on one line and without control characters."""
    return " ".join(_CONTROL.sub(" ", expression).split())


def plan_text(plan: Plan, shown: Callable[[str], str] = without_values) -> str:
    """Return a plan as lines, one per node and condition, deeper ones indented.

    Args:
        plan: the node at the top.
        shown: what becomes of an expression.
    """
    lines = []
    for number, (depth, node) in enumerate(nodes(plan)):
        if number >= MOST_NODES:
            lines.append("...")
            break
        lines += ["  " * depth + line for line in _lines(node, depth, shown)]
    text = "\n".join(lines)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def nodes(plan: Plan) -> Iterator[tuple[int, Plan]]:
    """Yield each node with its depth, from the top down."""
    waiting = [(0, plan)]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        waiting += [(depth + 1, child) for child in reversed(node.get("Plans", ()))]


def _lines(node: Plan, depth: int, shown: Callable[[str], str]) -> Iterator[str]:
    name = node.get("Subplan Name")
    of = f" of {' '.join(name.split())}" if name else ""
    arrow = "-> " if depth else ""
    figures = f"(cost={_rounded(node, 'Total Cost')} rows={_rounded(node, 'Plan Rows')})"
    yield f"{arrow}{_kind(node)}{_target(node)}{of} {figures}"
    for key in _CONDITIONS:
        value = node.get(key)
        if value:
            yield f"     {key}: {', '.join(map(shown, value if isinstance(value, list) else [value]))}"


def _kind(node: Plan) -> str:
    kind = str(node.get("Node Type", "?"))
    join = node.get("Join Type", "Inner")
    if kind in _JOINS and (join != "Inner" or kind != "Nested Loop"):
        kind = f"{_JOINS[kind]} {join} Join" if join != "Inner" else kind
    if kind == "Aggregate":
        kind = _AGGREGATES.get(node.get("Strategy", ""), kind)
    if node.get("Partial Mode") in ("Partial", "Finalize"):
        kind = f"{node['Partial Mode']} {kind}"
    return f"Parallel {kind}" if node.get("Parallel Aware") else kind


def _target(node: Plan) -> str:
    index = f" using {node['Index Name']}" if "Index Name" in node else ""
    name = next((node[key] for key in ("Relation Name", "Function Name", "CTE Name") if key in node), "")
    alias = node.get("Alias", "")
    on = f" on {name}" if name else ""
    return f"{index}{on}{' ' + alias if alias and alias != name else ''}"


def _rounded(node: Plan, key: str) -> str:
    """Return a number with two digits that mean something."""
    return f"{float(f'{float(node.get(key) or 0):.2g}'):.0f}"
