"""What a statement looks for: which columns of which tables it filters, joins and sorts by, block by block.

Read from PostgreSQL's own tree, and resolved by the catalog: schemas, quoted names, aliases, CTEs, correlated
sub-selects. What stands under OR, NOT or a function that is not understood is left out, for an index may not
help it. If this is wrong, an index is advised that the planner never takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ...audit.sql.tree import Node, kind, walk
from ..catalog import Catalog, Column, Table

RANGES = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_CONTAINS = {"@>", "<@", "&&", "?", "?|", "?&", "@@", "@?"}
_AGGREGATES = ("count", "sum", "avg", "min", "max", "json_agg", "jsonb_agg", "array_agg", "string_agg")
_FUNCTIONS = ("lower", "upper", "date", "md5", "trim", "btrim")


@dataclass(frozen=True)
class Use:
    """A column that a block needs to find its rows by.

    Attributes:
        how: "equal", "range", "contains", "pattern", "join" or "sort".
        operator: As the statement has it.
        expression: As an index would have it, when a function stands around the column; else "".
        pattern: Of a LIKE with a literal, that literal; else "".
        is_desc, nulls_first: Of a sort.
        other: Of a join, the column on the other side.
    """

    table: Table
    column: Column
    how: str
    operator: str = "="
    expression: str = ""
    pattern: str = ""
    is_desc: bool = False
    nulls_first: bool = False
    other: tuple[Table, Column] | None = None


@dataclass
class Block:
    """One query block.

    Attributes:
        tables: By alias.
        outer: The block around it, whose columns it may name.
        uses: In the order of the text.
        sorts: Of ORDER BY with a LIMIT, when all of it is plain columns of one table; else empty.
        is_grouped: GROUP BY, DISTINCT or an aggregate: the sort is of its result.
    """

    tables: dict[str, Table | None] = field(default_factory=dict)
    outer: Block | None = None
    uses: list[Use] = field(default_factory=list)
    sorts: list[Use] = field(default_factory=list)
    is_grouped: bool = False

    def of(self, table: Table) -> list[Use]:
        """Return the uses of one table's columns."""
        return [each for each in self.uses if each.table is table]


def blocks_of(catalog: Catalog, tree: Node) -> list[Block]:
    """Return every block of a statement."""
    reader = _Reader(catalog)
    name, fields = kind(tree)
    if name in ("SelectStmt", "UpdateStmt", "DeleteStmt", "InsertStmt", "MergeStmt"):
        reader.read(name, fields, None, frozenset())
    return reader.blocks


class _Reader:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.blocks: list[Block] = []

    def read(self, name: str, fields: Node, outer: Block | None, ctes: frozenset[str]) -> None:
        """Read one statement or sub-select."""
        named = [each["CommonTableExpr"] for each in fields.get("withClause", {}).get("ctes", ())]
        ctes = ctes | {str(each.get("ctename")) for each in named}
        for each in named:
            self._inner(each.get("ctequery", {}), None, ctes)
        if fields.get("op", "SETOP_NONE") != "SETOP_NONE":
            for side in ("larg", "rarg"):
                self.read("SelectStmt", fields[side], outer, ctes)
            return
        if name == "InsertStmt":
            self._inner(fields.get("selectStmt", {}), outer, ctes)
            return
        block = Block(outer=outer)
        self.blocks.append(block)
        quals = self._from(block, fields, ctes)
        for each in quals:
            self._where(block, each, ctes)
        self._sorts(block, fields)
        for part in ("targetList", "havingClause", "valuesLists"):
            self._subselects(fields.get(part), block, ctes)

    def _inner(self, node: Node, outer: Block | None, ctes: frozenset[str]) -> None:
        name, fields = kind(node)
        if name in ("SelectStmt", "UpdateStmt", "DeleteStmt", "InsertStmt"):
            self.read(name, fields, outer, ctes)

    def _subselects(self, start: object, block: Block, ctes: frozenset[str]) -> None:
        for name, fields in walk(start, ("SubLink", "SelectStmt")):
            if name == "SubLink":
                self._inner(fields.get("subselect", {}), block, ctes)
                self._subselects(fields.get("testexpr"), block, ctes)

    def _from(self, block: Block, fields: Node, ctes: frozenset[str]) -> list[Node]:
        """Add the tables of FROM, USING and the statement's own; return the conditions of WHERE and ON."""
        quals = [fields["whereClause"]] if "whereClause" in fields else []
        todo = [*fields.get("fromClause", ()), *fields.get("usingClause", ())]
        if isinstance(fields.get("relation"), dict):
            todo.append({"RangeVar": fields["relation"]})
        while todo:
            name, each = kind(todo.pop(0))
            alias = str(each.get("alias", {}).get("aliasname", ""))
            if name == "JoinExpr":
                todo[:0] = [each["larg"], each["rarg"]]
                quals += [each["quals"]] if "quals" in each else []
            elif name == "RangeVar":
                relation, schema = str(each.get("relname", "")), str(each.get("schemaname", ""))
                is_cte = relation in ctes and not schema
                block.tables[alias or relation] = None if is_cte else self._catalog.named(relation, schema)
            elif name == "RangeSubselect":
                block.tables[alias] = None
                self._inner(each.get("subquery", {}), block, ctes)
        return quals

    def _where(self, block: Block, start: Node, ctes: frozenset[str]) -> None:
        todo = [start]
        while todo:
            node = todo.pop(0)
            name, fields = kind(node)
            if name == "BoolExpr" and fields.get("boolop") == "AND_EXPR":
                todo[:0] = fields.get("args", [])
                continue
            if name == "A_Expr":
                block.uses.extend(_compared(block, fields))
            self._subselects(node, block, ctes)

    def _sorts(self, block: Block, fields: Node) -> None:
        targets = fields.get("targetList", [])
        calls = [each for name, each in walk(targets, ("SubLink",)) if name == "FuncCall"]
        block.is_grouped = bool(fields.get("groupClause") or fields.get("distinctClause")) or any(
            _name(each) in _AGGREGATES and "over" not in each
            for each in calls
        )
        if "limitCount" not in fields or block.is_grouped:
            return
        found = [_sorted(block, each.get("SortBy", {})) for each in fields.get("sortClause", ())]
        if found and all(found) and len({id(each.table) for each in found if each}) == 1:
            block.sorts = [each for each in found if each]


def _name(call: Node) -> str:
    parts = [each["String"].get("sval", "") for each in call.get("funcname", ()) if "String" in each]
    return parts[-1] if parts else ""


def _sorted(block: Block, fields: Node) -> Use | None:
    found = _column(block, fields.get("node"))
    if found is None or found[2]:
        return None
    is_desc = fields.get("sortby_dir") == "SORTBY_DESC"
    nulls = fields.get("sortby_nulls", "SORTBY_NULLS_DEFAULT")
    first = is_desc if nulls == "SORTBY_NULLS_DEFAULT" else nulls == "SORTBY_NULLS_FIRST"
    return Use(found[0], found[1], "sort", "", "", "", is_desc, first)


def _compared(block: Block, fields: Node) -> Iterator[Use]:
    """Yield what one comparison needs: of two columns a join, else the column that is compared with a value."""
    operator, which = _operator(fields), fields.get("kind", "")
    left, right = _column(block, fields.get("lexpr")), _column(block, fields.get("rexpr"))
    if left and right:
        if operator == "=" and left[0] is not right[0] and not (left[2] or right[2]):
            yield Use(left[0], left[1], "join", "=", "", other=right[:2])
            yield Use(right[0], right[1], "join", "=", "", other=left[:2])
        return
    found, value = (left, fields.get("rexpr")) if left else (right, fields.get("lexpr"))
    if found is None or (right and not left and which not in ("AEXPR_OP", "")):
        return
    if not left:
        operator = RANGES.get(operator, operator if operator == "=" else "")
    how = _how(which, operator)
    if how and not _names_own_columns(block, value):
        yield Use(found[0], found[1], how, operator, found[2], _literal(value) if how == "pattern" else "")


def _operator(fields: Node) -> str:
    parts = [each["String"].get("sval", "") for each in fields.get("name", ()) if "String" in each]
    return str(parts[-1]) if parts else ""


def _how(which: str, operator: str) -> str:
    if which in ("AEXPR_IN", "AEXPR_OP_ANY", "AEXPR_OP", ""):
        if operator == "=":
            return "equal"
        if operator in RANGES and which == "AEXPR_OP":
            return "range"
        return "contains" if operator in _CONTAINS and which == "AEXPR_OP" else ""
    if which in ("AEXPR_LIKE", "AEXPR_ILIKE") and operator in ("~~", "~~*"):
        return "pattern"
    return "range" if which == "AEXPR_BETWEEN" else ""


def _column(block: Block, node: Node | None) -> tuple[Table, Column, str] | None:
    """Return the table, the column and the expression around it; None for anything else, or another block's."""
    name, fields = kind(node or {})
    if name == "FuncCall" and _name(fields) in _FUNCTIONS and len(fields.get("args", ())) == 1:
        inner = _column(block, fields["args"][0])
        return (inner[0], inner[1], f"{_name(fields)}({inner[1].name})") if inner and not inner[2] else None
    if name != "ColumnRef":
        return None
    parts = [each["String"].get("sval", "") for each in fields.get("fields", ()) if "String" in each]
    if len(parts) == 1:
        known = [table for table in block.tables.values() if table is not None and parts[0] in table.by_name]
        table = known[0] if len(known) == 1 else None
    else:
        table = block.tables.get(parts[-2]) if parts else None
    return (table, table.by_name[parts[-1]], "") if table is not None and parts[-1] in table.by_name else None


def _names_own_columns(block: Block, value: Node | None) -> bool:
    """Whether a value is made of columns of the same block: then it is no value that an index can be asked for."""
    return any(
        name == "ColumnRef" and _column(block, {name: fields}) for name, fields in walk(value or {}, ("SubLink",))
    )


def _literal(node: Node | None) -> str:
    name, fields = kind(node or {})
    return str(fields.get("sval", {}).get("sval", "")) if name == "A_Const" else ""
