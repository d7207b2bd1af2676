"""H205: columns that refer to another table, with no index that begins with them."""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Evidence, Finding, Severity
from ..model.code import Call
from ..model.project import STATEMENTS, Project
from ..model.values import statements
from ..rule import Rule
from ..schema.build import schema
from ..schema.tables import ForeignKey, Schema
from ..sql.shown import shown
from ..sql.statement import statement
from .column_table import uses
from .index_advice import create_index

SHOWN = 3  # statements as evidence


def _check(project: Project) -> Iterator[Finding]:
    known = schema(project)
    missing = [
        each for each in known.foreign_keys if each.columns and not known.covering(each.table, each.columns)
    ]
    queries = _Queries(project, known) if missing else None
    for each in missing:
        if queries is not None:
            yield _finding(project, each, queries)


class _Queries:
    """What the code executes, by the columns that it looks for and by the tables that it deletes from."""

    def __init__(self, project: Project, known: Schema) -> None:
        self.using: dict[tuple[str, str], dict[Call, str]] = {}
        self.deleting: dict[str, dict[Call, str]] = {}
        for call in project.calls(*STATEMENTS):
            for text in statements(call.sql):
                read = statement(text)
                for use in uses(known, read) if read is not None else ():
                    self.using.setdefault((use.table, use.column), {})[call] = shown(text)
                for table in read.writes if read is not None and read.kind == "delete" else ():
                    self.deleting.setdefault(table, {})[call] = shown(text)


def _finding(project: Project, key: ForeignKey, queries: _Queries) -> Finding:
    deletes = queries.deleting.get(key.target, {})
    used = queries.using.get((key.table, key.columns[0]), {})
    routes = sorted({route for call in [*deletes, *used] for route in project.reach.routes(call.function)})
    said = [f"{key.table}({', '.join(key.columns)}) refers to {key.target}, and no index begins with it"]
    if used:
        said.append(f"{_times(len(used))} in the code by it")
    if deletes:
        said.append(f"each DELETE in {key.target} reads all of {key.table}")
    evidence = [Evidence(call.place, f"looks for it: `{sql}`") for call, sql in used.items()]
    evidence += [Evidence(call.place, f"deletes: `{sql}`") for call, sql in deletes.items()]
    return RULE.at(
        key.place,
        "; ".join(said),
        severity=Severity.medium if routes else Severity.low,
        fix=f"`{create_index(key.table, key.columns)}` outside a transaction, with lock_timeout set.",
        evidence=tuple(evidence[:SHOWN]),
        routes=tuple(routes),
        gain="a read of the whole table -> a few pages",
    )


def _times(count: int) -> str:
    return "1 statement filters or joins" if count == 1 else f"{count} statements filter or join"


_HEAD = "CREATE TABLE customers (id bigint PRIMARY KEY);\nCREATE TABLE orders (\n    id bigint PRIMARY KEY,\n" \
    "    customer_id bigint REFERENCES customers (id)\n);\n"  # fmt: skip
_APP = 'import psycopg2\n\nconn = psycopg2.connect("dbname=shop")\nconn.cursor().execute("""{}""")\n'

RULE = Rule(
    id="H205",
    name="unindexed-foreign-key",
    finds="A foreign key whose columns are not the first ones of any index, primary key or UNIQUE of its table.",
    why='PostgreSQL indexes the referred side only. "The orders of this customer" then reads the whole table, and'
    " so does each"
    " DELETE or key change of a customer, which has to look for orders. Of 57 foreign keys in applications that"
    " were booted, 52 had no index.",
    fix="Add one with CREATE INDEX CONCURRENTLY; it takes no lock that stops writes.",
    leaves_alone=(
        "A key that is the beginning of a composite index, primary key or UNIQUE, in any order of its columns.",
        "A partial index that leaves out only NULLs.",
        "MySQL's scripts: InnoDB makes the index by itself.",
    ),
    severity=Severity.medium,
    check=_check,
    example=_APP.format(_HEAD),
    instead=_APP.format(f"{_HEAD}CREATE INDEX orders_customer_id_idx ON orders (customer_id);\n"),
)
