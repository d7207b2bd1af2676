"""The statements of a migration, read by PostgreSQL's own parser: what each one does, and to which thing.

Only statements that leave readers and writers alone are known here; a file with any other is refused before
anything runs. If this is wrong, a file that locks a table out is run on a live database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pglast import ast, enums, parse_sql, split
from pglast.parser import ParseError

from ..doctor.names import qualified
from ..errors import CommandError
from .sqltext import check_of


@dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
        kind: "create index", "drop index", "rebuild index", "validate constraint", "analyze", "comment", "set",
            "check", "begin" or "commit".
        text: Without its semicolon.
        schema, name: Of the index, or of the constraint's table and the constraint; "" where there is none.
        table: The table's own name, in `schema`; "" where the statement does not say it.
        columns: Plain columns of a new index, for its size.
    """

    kind: str
    text: str
    schema: str = ""
    name: str = ""
    table: str = ""
    columns: tuple[str, ...] = ()

    @property
    def full(self) -> str:
        """The name with its schema, as SQL writes it."""
        return qualified(self.schema, self.name)


def read(text: str, where: str) -> tuple[Statement, ...]:
    """Return a file's statements.

    Args:
        where: the file's name, for messages.

    Raises:
        CommandError: it cannot be parsed, or one of them is none that may run on a live database.
    """
    try:
        nodes, texts = parse_sql(text), split(text)
    except ParseError as error:
        raise CommandError(f"{where} cannot be parsed: {error.args[0]}; mend it, or write it anew") from None
    return tuple(_statement(raw.stmt, _bare(part), where) for raw, part in zip(nodes, texts, strict=True))


def _bare(text: str) -> str:
    """Return a statement without the comments before it."""
    lines = text.strip().splitlines()
    while lines and (lines[0].startswith("--") or not lines[0].strip()):
        del lines[0]
    return "\n".join(lines)


def _statement(node: Any, text: str, where: str) -> Statement:
    found = _index(node, text) or _table(node, text) or _frame(node, text)
    if found is None:
        raise CommandError(f"{where}: {_shown(text)!r} is none of the statements that this runs on a live "
                           "database; run it with your own tool, at a quiet time")  # fmt: skip
    if found.name and not found.schema:
        raise CommandError(f"{where}: {_shown(text)!r} names no schema; write {found.name} with its schema")
    return found


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:77] + "..."


def _is(node: Any, kind: type[ast.Node]) -> bool:
    return isinstance(node, kind)  # without narrowing: the parser's types have each field optional


def _index(node: Any, text: str) -> Statement | None:
    if _is(node, ast.IndexStmt) and node.concurrent and node.idxname:
        table = node.relation
        columns = tuple(each.name for each in (*node.indexParams, *(node.indexIncludingParams or ())) if each.name)
        return Statement("create index", text, table.schemaname or "", node.idxname, table.relname, columns)
    if _is(node, ast.DropStmt) and node.concurrent and len(node.objects) == 1:
        names = [part.sval for part in node.objects[0]]
        return Statement("drop index", text, names[-2] if len(names) > 1 else "", names[-1])
    is_rebuild = _is(node, ast.ReindexStmt) and node.kind == enums.ReindexObjectType.REINDEX_OBJECT_INDEX
    if is_rebuild and "concurrently" in {each.defname for each in node.params or ()}:
        return Statement("rebuild index", text, node.relation.schemaname or "", node.relation.relname)
    return None


def _table(node: Any, text: str) -> Statement | None:
    is_one = _is(node, ast.AlterTableStmt) and len(node.cmds) == 1
    if is_one and node.cmds[0].subtype == enums.AlterTableType.AT_ValidateConstraint:
        table = node.relation
        return Statement("validate constraint", text, table.schemaname or "", node.cmds[0].name, table.relname)
    if _is(node, ast.CommentStmt) and node.objtype == enums.ObjectType.OBJECT_INDEX:
        names = [part.sval for part in node.object]
        return Statement("comment", text, names[-2] if len(names) > 1 else "", names[-1])
    if _is(node, ast.VacuumStmt) and not node.is_vacuumcmd and len(node.rels or ()) == 1:
        table = node.rels[0].relation
        return Statement("analyze", text, table.schemaname or "", table.relname, table.relname)
    return None


def _frame(node: Any, text: str) -> Statement | None:
    if _is(node, ast.VariableSetStmt) and node.name in ("lock_timeout", "statement_timeout"):
        return Statement("set", text)
    if _is(node, ast.TransactionStmt):
        kinds = {enums.TransactionStmtKind.TRANS_STMT_BEGIN: "begin",
                 enums.TransactionStmtKind.TRANS_STMT_COMMIT: "commit"}  # fmt: skip
        kind = kinds.get(node.kind)
        return Statement(kind, text) if kind else None
    if _is(node, ast.DoStmt) and check_of(text) is not None:
        return Statement("check", text)
    return None
