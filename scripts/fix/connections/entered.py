"""`with psycopg2.connect(...) as conn:` commits and does not close; `closing(...)` around the connect does.

The transaction stays the `with`'s own: `with closing(psycopg2.connect(...)) as conn, conn:` commits or rolls back
first and closes then. If this is wrong, writes are lost.
"""

from __future__ import annotations

import ast

from ...audit.finding import Finding
from ...audit.model.code import Call
from ..fixer import Change, Context, Edit, Import
from ..imports import NameTaken, import_edits
from ..source import Source
from .held import Held


def entered(context: Context, source: Source, finding: Finding, call: Call) -> Change | str | None:
    """Return the change for a connection that a `with` opens, or why there is none; None when no `with` does."""
    module = call.function.module
    item = module.parents.get(call.node)
    if not isinstance(item, ast.withitem):
        return None
    statement = module.statement(call.node)
    target = item.optional_vars
    if not isinstance(statement, ast.With) or not isinstance(target, ast.Name) or call.does != "connect":
        return "a `with` enters it, and what that does at its end is not known"
    name = target.id
    found = Held(context.project, call, name, statement, [statement, *statement.body])
    reason = found.obstacle()
    if reason:
        return reason
    wanted = Import(source.path, "contextlib", "closing")
    try:
        import_edits(source, [wanted])
    except NameTaken:
        return "the file uses the name closing for something else"
    start, end = source.span(call.node)
    behind = source.span(target)[1]
    edits = (
        Edit(source.path, start, start, "closing("),
        Edit(source.path, end, end, ")"),
        Edit(source.path, behind, behind, f", {name}"),
    )
    return Change((finding,), finding.place, f"`{name}` is closed after its `with`", edits, imports=(wanted,))
