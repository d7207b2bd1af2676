"""The statements that the database has counted and that the code has, each once, with its calls, times and lines.

Two texts are one statement when PostgreSQL's own fingerprint says so, whatever their values and spacing; so what
pg_stat_statements counts meets the line that sends it. If this is wrong, an index is advised for nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from psycopg2 import sql

from ...audit.finding import Place
from ...audit.model.values import statements as texts_of
from ...audit.rules.origin import by_origin
from ...audit.sql.prepared import HOLE, candidates
from ...audit.sql.tree import Node, parse
from ..session import NotSeen

if TYPE_CHECKING:
    from ..target import Target

MOST = 2000  # statements, by total time
HIDDEN = "<insufficient privilege>"
_TAGS = re.compile(r"/\*(?P<tags>(?:\w+='[^']*',?)+)\*/\s*;?\s*$")
_TAG = re.compile(r"(\w+)='([^']*)'")
# Our own questions, and what drivers send by themselves.
_NOT_THE_APPS = re.compile(
    r"^\s*(?:BEGIN|COMMIT|ROLLBACK|SET|RESET|SHOW|DISCARD|EXPLAIN|DEALLOCATE|PREPARE|SAVEPOINT|RELEASE|VACUUM"
    r"|ANALYZE|CREATE|ALTER|DROP|GRANT|COPY|LISTEN)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Asked:
    """One statement.

    Attributes:
        text: With `$1` for values, without its comment.
        tree: PostgreSQL's tree of it.
        calls: How often since the counters began; 0 for one that is known from the code alone.
        total_ms: Time in the server, all calls.
        rows: Returned or changed, all calls.
        temp_blocks: Pages written to temporary files, all calls.
        jit_ms: Time spent in compiling, all calls; 0 where the server does not say.
        places: Lines of the code that send it.
        routes: The URLs that get there, and those that its comment names.
    """

    text: str
    tree: Node = field(repr=False, hash=False, compare=False)
    calls: int = 0
    total_ms: float = 0.0
    rows: int = 0
    temp_blocks: int = 0
    jit_ms: float = 0.0
    places: tuple[Place, ...] = ()
    routes: tuple[str, ...] = ()

    @property
    def mean_ms(self) -> float:
        """Of one call."""
        return self.total_ms / self.calls if self.calls else 0.0


@dataclass(frozen=True)
class Workload:
    """All that is known to be asked.

    Attributes:
        statements: The most expensive first, then those of the code alone.
        hidden: How many statements of others this role may not read.
        total_ms: Of everything that was counted, hidden ones too.
        is_counted: Whether pg_stat_statements was there.
    """

    statements: tuple[Asked, ...]
    hidden: int = 0
    total_ms: float = 0.0
    is_counted: bool = False


def read_workload(target: Target) -> Workload:
    """Ask pg_stat_statements, and the code where it is given.

    Raises:
        NotSeen: there is neither, or all statements are hidden.
    """
    extension = target.server.extensions.get("pg_stat_statements")
    if extension is None and target.options.code is None:
        raise NotSeen("pg_stat_statements is not installed in this database, and no --code names the app's folder")
    found: dict[str, Asked] = {}
    hidden, total = 0, 0.0
    if extension is not None:
        hidden, total = _counted(target, extension[1], found)
    for asked in _of_code(target):
        key = fingerprint(asked.text)
        if key:
            known = found.get(key, asked)
            places = tuple(dict.fromkeys([*known.places, *asked.places]))
            found[key] = replace(known, places=places, routes=tuple(sorted({*known.routes, *asked.routes})))
    if hidden and not found:
        raise NotSeen(f"the texts of all {hidden} statements are hidden; GRANT pg_read_all_stats TO the role"
        " that asks")
    ordered = sorted(found.values(), key=lambda each: (-each.total_ms, each.text))
    return Workload(tuple(ordered), hidden, total, extension is not None)


def _counted(target: Target, schema: str, found: dict[str, Asked]) -> tuple[int, float]:
    """Add what the server has counted; return how many texts are hidden, and the time of everything."""
    view = sql.Identifier(schema, "pg_stat_statements")
    names = {row.name for row in target.session.rows(_COLUMNS, (schema,))}
    if not names:
        raise NotSeen("pg_stat_statements cannot be read; is it in shared_preload_libraries?")
    question = sql.SQL(_STATEMENTS).format(
        total=sql.Identifier("total_exec_time" if "total_exec_time" in names else "total_time"),
        jit=sql.SQL(" + ".join(sorted(names & _JIT)) or "0"), view=view,
    )  # fmt: skip
    hidden, total = 0, 0.0
    for row in target.session.rows(question, (MOST,)):
        total += row.total
        if row.query == HIDDEN:
            hidden += 1
        elif not _NOT_THE_APPS.match(row.query):
            _add(found, row)
    return hidden, total


_JIT = {"jit_generation_time", "jit_inlining_time", "jit_optimization_time", "jit_emission_time"}
_COLUMNS = """
    SELECT a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = 'pg_stat_statements' AND a.attnum > 0
"""
_STATEMENTS = """
    SELECT query, calls, {total}::float AS total, rows, temp_blks_written AS temp, ({jit})::float AS jit
    FROM {view} WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY {total} DESC LIMIT %s
"""


def _add(found: dict[str, Asked], row: Any) -> None:
    text, routes = untagged(row.query)
    key = fingerprint(text)
    trees = parse(text) if key else None
    if not trees or len(trees) != 1:
        return
    known = found.get(key, Asked(text, trees[0].get("stmt", {})))
    found[key] = replace(
        known, calls=known.calls + row.calls, total_ms=known.total_ms + row.total, rows=known.rows + row.rows,
        temp_blocks=known.temp_blocks + row.temp, jit_ms=known.jit_ms + row.jit,
        routes=tuple(sorted({*known.routes, *routes})),
    )  # fmt: skip


def fingerprint(text: str) -> str:
    """Return what is the same for a statement whatever its values; "" for what PostgreSQL does not parse."""
    from pglast import parser

    try:
        return str(parser.fingerprint(text))
    except (parser.ParseError, ValueError, RecursionError):
        return ""


def untagged(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a statement without its sqlcommenter comment, and the route or function that this names."""
    found = _TAGS.search(text)
    if not found:
        return text.strip(), ()
    tags = {name: unquote(value) for name, value in _TAG.findall(found["tags"])}
    named = tags.get("route") or tags.get("function") or tags.get("action")
    return text[: found.start()].strip(), (named,) if named else ()


def _of_code(target: Target) -> Iterator[Asked]:
    """Yield the statements of the code that are whole: a hole may be a value, and no name and no clause."""
    project = target.project
    if project is None:
        return
    for call in project.calls("execute"):
        for origin, texts in by_origin(call).items():
            routes = project.reach.routes(origin.function)
            for text in texts or texts_of(origin.sql):
                whole = next(candidates(text), "")
                trees = parse(whole) if whole and not HOLE.search(whole) else None
                if trees and len(trees) == 1 and not _NOT_THE_APPS.match(whole):
                    yield Asked(whole, trees[0].get("stmt", {}), places=(origin.place,), routes=tuple(routes))
