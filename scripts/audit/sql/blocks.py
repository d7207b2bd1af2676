"""Reads PostgreSQL's tree of a query into `Select`s.

Walks down the AND of a WHERE; what stands under OR is kept as optional, what stands under NOT is left out.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from .prepared import HOLE
from .select import Column, Filter, Select
from .tree import Node, column, kind, strings, table, walk

AGGREGATES = frozenset({
    "count", "sum", "avg", "min", "max", "array_agg", "string_agg", "json_agg", "jsonb_agg", "json_object_agg",
    "jsonb_object_agg", "bool_and", "bool_or", "every", "stddev", "variance", "percentile_cont",
    "percentile_disc", "mode",
})  # fmt: skip
_KINDS = {"AEXPR_IN": "in", "AEXPR_LIKE": "like", "AEXPR_ILIKE": "ilike", "AEXPR_BETWEEN": "between",
"AEXPR_OP_ANY": "any",
          "AEXPR_OP": ""}  # fmt: skip
_CLOCKS = (["now"], ["clock_timestamp"], ["statement_timestamp"])
_PARTS = {"ParamRef": "placeholder", "SubLink": "select", "SQLValueFunction": "now"}
_NUMBERED = re.compile(r"\$\d")
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
Tables = dict[str, Select]


def read_select(fields: Node, outer: Tables | None = None) -> Select:
    """Return the query of a SelectStmt's fields; `outer` are the CTEs around it."""
    ctes = {**(outer or {}), **read_ctes(fields, outer)}
    found = Select()
    if fields.get("op", "SETOP_NONE") != "SETOP_NONE":
        found.arms = [read_select(fields[side], ctes) for side in ("larg", "rarg") if side in fields]
        _limits(found, fields)
        return found
    for each in fields.get("fromClause", ()):
        _from(found, each, ctes)
    where(found, fields.get("whereClause"), ctes)
    _outputs(found, fields, ctes)
    _limits(found, fields)
    return found


def read_ctes(fields: Node, outer: Tables | None = None) -> Tables:
    """Return the queries of WITH by name; one of them may use those before it."""
    found: Tables = {}
    for each in fields.get("withClause", {}).get("ctes", ()):
        cte = each.get("CommonTableExpr", {})
        name, query = kind(cte.get("ctequery", {}))
        made = Select()
        found[str(cte.get("ctename", "")).lower()] = made
        if name == "SelectStmt":
            made.__dict__.update(read_select(query, {**(outer or {}), **found}).__dict__)
    return found


def _limits(found: Select, fields: Node) -> None:
    count = fields.get("limitCount")
    found.has_limit = count is not None and not count.get("A_Const", {}).get("isnull")
    found.has_offset = "limitOffset" in fields
    if count is not None:
        found.limit = count.get("A_Const", {}).get("ival", {}).get("ival")


def _from(found: Select, node: Node, ctes: Tables) -> None:
    todo = [node]
    conditions: list[tuple[Node, bool]] = []
    while todo:
        name, fields = kind(todo.pop(0))
        alias = str(fields.get("alias", {}).get("aliasname", "")).lower()
        if name == "JoinExpr":
            todo[:0] = [fields["larg"], fields["rarg"]]
            if "quals" in fields:
                conditions.append((fields["quals"], fields.get("jointype") != "JOIN_INNER"))
        elif name == "RangeVar":
            relation = table(fields)
            if relation in ctes and "schemaname" not in fields:
                found.sources.append(ctes[relation])
                relation = ""
            found.names[alias or table(fields)] = relation
        elif name == "RangeSubselect":
            found.sources.append(read_select(kind(fields["subquery"])[1], ctes))
            found.names[alias] = ""
    for quals, is_outer in conditions:
        count = len(found.filters)
        where(found, quals, ctes)
        if is_outer:
            found.filters[count:] = [replace(each, is_outer=True) for each in found.filters[count:]]


def where(found: Select, node: Node | None, ctes: Tables) -> None:
    """Add the conditions of a WHERE or an ON to a query."""
    todo = [(node, False)] if node else []
    while todo:
        each, is_optional = todo.pop(0)
        name, fields = kind(each)
        if name == "BoolExpr" and fields.get("boolop") in ("AND_EXPR", "OR_EXPR"):
            loose = is_optional or fields["boolop"] == "OR_EXPR"
            todo[:0] = [(arg, loose) for arg in fields.get("args", ())]
        elif name == "BoolExpr":
            _nested(found, fields, ctes)
        else:
            _condition(found, name, fields, is_optional, ctes)


def _condition(found: Select, name: str, fields: Node, is_optional: bool, ctes: Tables) -> None:
    if name == "A_Expr":
        _compared(found, fields, is_optional, ctes)
    elif name == "NullTest":
        _add(found, fields.get("arg"), "null", "literal", is_optional)
    elif name == "SubLink":
        _sub_link(found, fields, is_optional, ctes)
    elif name == "ColumnRef" and HOLE.search(" ".join(column({name: fields})[0])):
        found.has_unknown_filter = True
    else:
        _nested(found, fields, ctes)


def _compared(found: Select, fields: Node, is_optional: bool, ctes: Tables) -> None:
    left, right = fields.get("lexpr"), fields.get("rexpr")
    operator = _KINDS.get(fields.get("kind", ""), "other") or (strings(fields.get("name", ())) or ["other"])[-1]
    if operator in ("in", "like", "ilike") and strings(fields.get("name", ()))[-1:] in (["<>"], ["!~~"], ["!~~*"]):
        operator = "<>"
    if operator == "any" and strings(fields.get("name", ()))[-1:] != ["="]:
        operator = "other"
    first, second = resolved(found, left), resolved(found, right)
    if first and second:
        if operator == "=":
            found.joins.append((first, second))
        return
    if second and not first:
        left, right, operator = right, left, _FLIPPED.get(operator, operator)
    if HOLE.search(" ".join(column(left)[0])):
        found.has_unknown_filter = True
        if operator == "=" and left and not first:  # a column that the code names is still compared with a value
            found.filters.append(Filter(Column("", "", "?"), operator, _by(right), "", is_optional))
    inner = [read_select(each, ctes) for _, link in walk(right, ("SubLink",)) for each in _queries(link)]
    found.nested.extend(inner)
    bound = inner[0] if inner else None
    _add(found, left, operator, _by(right), is_optional, _pattern(right), bound)
    if not first and not second:
        _add_expression(found, left, Filter(Column("", ""), operator, _by(right), "", is_optional, inner=bound))


def _sub_link(found: Select, fields: Node, is_optional: bool, ctes: Tables) -> None:
    inner = [read_select(each, ctes) for each in _queries(fields)]
    found.nested.extend(inner)
    if fields.get("subLinkType") == "ANY_SUBLINK" and inner:
        _add(found, fields.get("testexpr"), "in", "select", is_optional, "", inner[0])
    elif fields.get("subLinkType") == "EXISTS_SUBLINK" and not is_optional:
        found.exists.extend(inner)


def _nested(found: Select, node: Any, ctes: Tables) -> None:
    for name, fields in walk(node, ("SubLink",)):
        if name == "SubLink":
            found.nested.extend(read_select(each, ctes) for each in _queries(fields))


def _queries(link: Node) -> list[Node]:
    name, fields = kind(link.get("subselect", {}))
    return [fields] if name == "SelectStmt" else []


def _add(found: Select, node: Node | None, operator: str, by: str, is_optional: bool, pattern: str = "",
         inner: Select | None = None) -> None:  # fmt: skip
    which = resolved(found, node)
    if which is not None:
        found.filters.append(Filter(which, operator, by, pattern, is_optional, inner=inner))


def _add_expression(found: Select, node: Node | None, condition: Filter) -> None:
    """Add a condition on something that is made of a column: `md5(mail) = %s`, `(a, b) = (%s, %s)`."""
    for name, fields in walk(node, ("SubLink",)):
        which = resolved(found, {name: fields}) if name == "ColumnRef" else None
        if which is not None:
            found.filters.append(replace(condition, column=replace(which, function="?")))
            return


def resolved(found: Select, node: Node | None) -> Column | None:
    """Return the column that a node is, with its table when that is clear; None for anything else."""
    parts, wrapper = column(node)
    if not parts or (len(parts) == 1 and HOLE.fullmatch(parts[0])):
        return None
    if len(parts) > 1:
        return Column(found.names.get(parts[-2], ""), parts[-1], wrapper)
    tables = [name for name in found.names.values() if name]
    return Column(tables[0] if len(found.names) == 1 and tables else "", parts[0], wrapper)


def _by(node: Node | list[Node] | None) -> str:
    found = {_part(name, fields) for name, fields in walk(node)}
    if {"now", "less"} <= found:
        return "past"
    return next((word for word in ("select", "placeholder", "hole", "now") if word in found), "literal")


def _part(name: str, fields: Node) -> str:
    """Return what one node adds to a value."""
    if name in _PARTS:
        return _PARTS[name]
    if name == "FuncCall":
        return "now" if strings(fields.get("funcname", ()))[-1:] in _CLOCKS else ""
    if name == "A_Expr":
        return "less" if strings(fields.get("name", ())) == ["-"] else ""
    if name == "ColumnRef":
        return "hole" if HOLE.search(" ".join(column({name: fields})[0])) else ""
    value = str(fields.get("sval", {}).get("sval", "")) if name == "A_Const" else ""
    return "placeholder" if _NUMBERED.search(value) else "hole" if HOLE.search(value) else ""


def _pattern(node: Node | list[Node] | None) -> str:
    for name, fields in walk(node):
        if name == "ParamRef":
            return ""
        if name == "A_Const" and "sval" in fields:
            return str(fields["sval"].get("sval", ""))
    return ""


def _outputs(found: Select, fields: Node, ctes: Tables) -> None:
    targets = fields.get("targetList", [])
    calls = [each for name, each in walk(targets, ("SubLink",)) if name == "FuncCall"]
    found.is_aggregate = any(
        set(strings(each.get("funcname", ()))) & AGGREGATES and "over" not in each for each in calls
    )
    found.is_grouped = bool(fields.get("groupClause"))
    for clause in (targets, fields.get("havingClause")):
        _nested(found, clause, ctes)
    aliases = {str(each["ResTarget"]["name"]).lower() for each in targets if "name" in each.get("ResTarget", {})}
    found.group_by = [each for each in (resolved(found, node) for node in fields.get("groupClause", ())) if each]
    for sort in fields.get("sortClause", ()):
        which = resolved(found, sort.get("SortBy", {}).get("node"))
        if which and which.name not in aliases:
            found.order_by.append(which)
