"""What to paste for a loop that is left alone: the statement for all turns, made from the one that is there.

Reads become one `fetch_grouped` with `= ANY`, writes one `execute_many` of the same statement; both are the kit's.
What the code does not say plainly stands as a name, `keys` or `values`, with a comment.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from ...audit.finding import Finding
from ...audit.model.values import Text
from ...audit.rules.batch_advice import for_all, kind
from ...audit.rules.n_plus_one import RECURSIVE
from ...audit.rules.reached import Reached
from ...audit.rules.repetition import Repeat
from ...audit.sql.statement import statement

_MOST = 3  # statements that are written out
_KEY = re.compile(r"([\w.\"]+) = ANY\(%s\)$")


def suggestion(finding: Finding, repeat: Repeat | None) -> str:
    """Return code for a finding; the audit's advice in words where no code can be made."""
    if repeat is None or repeat.loop is None or finding.fix == RECURSIVE:
        return RECURSIVE
    found = [text for each in _distinct(repeat.queries) if (text := _code(each, repeat))][:_MOST]
    return "\n".join(found) or finding.fix


def _distinct(queries: Iterable[Reached]) -> list[Reached]:
    known = {each.whole: each for each in queries if each.text is not None and each.text.constant is not None}
    return [each for each in known.values() if (read := statement(Text((each.whole,)))) and read.is_parsed]


def _code(query: Reached, repeat: Repeat) -> str:
    if kind(query) in ("INSERT", "UPDATE", "DELETE"):
        return f"execute_many(conn, {_literal(query.whole)}, {_list(query, repeat, 'values')})"
    statement = for_all(query)
    key = _KEY.search(statement)
    if kind(query) not in ("SELECT", "WITH") or key is None:
        return ""
    name = key[1].rpartition(".")[2].strip('"')
    source = f"{statement[: -len('%s)')]}%(ids)s)"
    return f'by_{name} = fetch_grouped(conn, {_literal(source)}, {_list(query, repeat, "keys")}, key="{name}")'


def _list(query: Reached, repeat: Repeat, name: str) -> str:
    """Return the values of all turns, where the loop itself executes; else a name for them."""
    node = query.call.node
    loop = repeat.loop.node if repeat.loop is not None else None
    is_plain = isinstance(loop, ast.For) and query.call in repeat.calls and isinstance(node, ast.Call)
    if not is_plain or not isinstance(node, ast.Call) or not isinstance(loop, ast.For) or len(node.args) != 2:
        return name
    values = node.args[1]
    if name == "keys":
        if not isinstance(values, (ast.Tuple, ast.List)) or len(values.elts) != 1:
            return name
        values = values.elts[0]
    used = {each.id for each in ast.walk(values) if isinstance(each, ast.Name)}
    given = {each.id for each in ast.walk(loop.target) if isinstance(each, ast.Name)}
    own = {each.id for one in loop.body for each in ast.walk(one) if isinstance(each, ast.Name) and _is_set(each)}
    if not used & given or used & own:
        return name
    return f"[{ast.unparse(values)} for {ast.unparse(loop.target)} in {ast.unparse(loop.iter)}]"


def _is_set(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _literal(sql: str) -> str:
    return f'"{sql}"' if '"' not in sql and "\\" not in sql else repr(sql)
