"""Bounds lists that load whole tables: a LIMIT on request, for it changes what is shown, and a page to paste."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ...audit.finding import Finding
from ...audit.model.code import Call
from ...audit.model.project import Project
from ...audit.model.values import Text
from ...audit.sql.statement import statement
from ..fixer import Change, Context, Edit, Fixer, Left
from ..source import Source

RULES = ("unbounded-select",)
MOST = 1000  # rows
_ORDER = re.compile(r"\s+order\s+by\s+(?P<columns>[\w\s.,\"]+)$", re.IGNORECASE)
_QUOTES = ('"""', "'''", '"', "'")


def _fix(context: Context) -> Iterator[Change | Left]:
    for finding in context.of(*RULES):
        yield _answer(context, finding)


def _answer(context: Context, finding: Finding) -> Change | Left:
    call = _call(context.project, finding)
    node = _text(call) if call is not None else None
    if call is None or node is None:
        return Left(finding, "its text is no literal of the call that runs it")
    sql = str(node.value)
    suggestion = _page(sql)
    at = _end(context.source(finding.place.path), node, sql)
    if at is None:
        return Left(finding, "no LIMIT fits behind its last word", suggestion)
    return Change(
        (finding,), finding.place, f"at most {MOST} rows", (Edit(finding.place.path, at, at, f" LIMIT {MOST}"),),
        is_safe=False, note=f"What is beyond is not shown; page it instead: {suggestion}",
    )  # fmt: skip


def _call(project: Project, finding: Finding) -> Call | None:
    return next((call for call in project.calls() if call.place == finding.place), None)


def _text(call: Call) -> ast.Constant | None:
    """Return the literal that a call gives as SQL."""
    found = [
        each for each in getattr(call.node, "args", ())
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
        and (read := statement(Text((each.value,)))) is not None and read.kind == "select"
    ]  # fmt: skip
    return found[0] if len(found) == 1 else None


def _end(source: Source, node: ast.Constant, sql: str) -> int | None:
    """Return where a LIMIT goes: behind the last word of the text."""
    start, end = source.span(node)
    written = source.text[start:end]
    quote = next((each for each in _QUOTES if written.endswith(each)), "")
    body = written[: len(written) - len(quote)].rstrip().rstrip(";").rstrip()
    bare = sql.rstrip().rstrip(";").rstrip()
    if not quote or "--" in sql or not bare or not body.endswith(bare[-1]) or body.endswith("\\"):
        return None
    read = statement(Text((f"{bare} LIMIT {MOST}",)))
    return start + len(body) if read is not None and read.is_parsed and read.has_limit else None


def _page(sql: str) -> str:
    """Return the kit's page of a list, from its SQL."""
    bare = " ".join(sql.split()).rstrip("; ")
    read = statement(Text((bare,)))
    order = _ORDER.search(bare)
    source = bare[: order.start()] if order else bare
    name = read.reads[0].upper() if read is not None and read.reads else "ROWS"
    columns = order["columns"].strip() if order else "id"
    made = f"{name} = CursorPages({_literal(source)}, order={_literal(columns)})"
    return f'{made}; {name}.json(conn, request.args.get("cursor"), request.args.get("limit"))'


def _literal(text: str) -> str:
    return f'"{text}"' if '"' not in text and "\\" not in text else repr(text)


FIXER = Fixer(
    rules=RULES,
    title=f"Puts `LIMIT {MOST}` behind a SELECT that loads a whole table; with `--unsafe-fixes` alone.",
    stage=5,
    leaves_alone=(
        "Statements that are no literal of the call that runs them.",
        "Statements with a comment, or with a text whose end is not that of the statement.",
    ),
    fix=_fix,
)
