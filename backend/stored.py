"""A nested query as a function in the database: its plan is kept by the server itself, behind any pooler.

PL/pgSQL plans a function's statement once per session and keeps the plan as long as the session lives; so this
works where PREPARE cannot, in PgBouncer's transaction mode. `up` and `down` are for the app's migrations. The
function's name ends in a digest of its statement: a release never calls the function of another one, and two
releases can be live at a time. Where the function is missing, the statement itself is sent.

Must not import Flask or the pool. If this is wrong, a release answers with the query of the one before.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Mapping
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from .composed import quoted
from .errors import NodeError
from .keepable import OCCURRENCE, moment_in
from .nested import Node, check_parameters, parsed
from .prepared import Statement
from .sqltext import scan

log = logging.getLogger(__name__)
LOOKED_FOR_AGAIN = 60.0  # seconds after it was missing
LONGEST_NAME = 50  # bytes; with the digest below PostgreSQL's 63
# The name of a type, perhaps with its schema, length and brackets: nothing that could end the declaration.
_TYPE = re.compile(r'(?:\w+|"\w+")(?:\.(?:\w+|"\w+")|[\w ]*)(?:\(\d+(?:, ?\d+)?\))?(?: [a-z ]+)?(?:\[\])*')


class Stored:
    """A node that is called as a function of the database; made by `stored`.

    Attributes:
        node: the node itself, sent where the function is missing.
        name: the function's, with its digest.
        up: the DDL that creates it; may be run again.
        down: the DDL that drops it.
    """

    def __init__(self, node: Node, name: str, types: Mapping[str, str]) -> None:
        self.node = node
        _check_moments(node)
        self._types = _checked_types(node, types)
        text = "\0".join((node.sql, *self._types, *self._types.values()))
        self.name = f"{_checked_name(name)}_{hashlib.sha256(text.encode()).hexdigest()[:10]}"
        function = ".".join(map(quoted, self.name.split(".")))
        signature = f"{function}({', '.join(self._types.values())})"
        tag = f"$body_{self.name[-10:]}$"
        self.up = (
            f"CREATE OR REPLACE FUNCTION {signature} RETURNS json LANGUAGE plpgsql STABLE AS {tag}\n"
            # A column may be called `found`, as a variable is that every such function has.
            "#variable_conflict use_column\n"
            f"BEGIN\n    RETURN ({_numbered(node.sql, list(self._types))});\nEND\n{tag};"
        )
        self.down = f"DROP FUNCTION IF EXISTS {signature};"
        given = ", ".join(f"CAST(%({each})s AS {kind})" for each, kind in self._types.items())
        self._call = Statement(f"SELECT {function}({given})")
        self._is_found = False
        self._missing_until = 0.0

    def json(self, conn: Any, /, **parameters: Any) -> bytes | None:
        """Call the function and return its JSON text, or run the statement itself where there is none.

        Values are cast to the declared types. In a transaction that is open already, the function is called only
        after another call has found it: a missing one would fail the transaction.

        Returns, raises:
            As `Node.json`.
        """
        check_parameters(self.node, parameters)
        is_idle = conn.get_transaction_status() == TRANSACTION_STATUS_IDLE
        if not (self._is_found or (is_idle and time.monotonic() >= self._missing_until)):
            return self.node.json(conn, **parameters)
        try:
            body = self._call.run(conn, parameters)
        except (psycopg2.errors.UndefinedFunction, psycopg2.errors.InvalidSchemaName) as error:
            self._note_missing(error)
            if not is_idle:
                raise
            if not conn.autocommit:
                conn.rollback()  # the transaction began with this call
            return self.node.json(conn, **parameters)
        self._is_found = True
        record = getattr(conn, "_record", None)
        if record is not None:
            record.called = True
        return body

    def fetch(self, conn: Any, /, **parameters: Any) -> Any:
        """Call the function and return the document parsed."""
        return parsed(self.json(conn, **parameters))

    def _note_missing(self, error: psycopg2.Error) -> None:
        self._is_found = False
        self._missing_until = time.monotonic() + LOOKED_FOR_AGAIN
        reason = str(error).partition("\n")[0]
        log.warning("%s is sent as a statement, its plan is not kept (%s); run its `up`", self.name, reason)

    def __repr__(self) -> str:
        return f"<{self.name} of {self.node!r}>"


def stored(node: Node, name: str, /, **types: str) -> Stored:
    """Make a function of the database out of a node.

    Args:
        node: what `one` or `many` made.
        name: of the function, perhaps with its schema; a digest of the statement is added.
        **types: the PostgreSQL type of each of the node's parameters.

    Raises:
        NodeError: a type is missing, or cannot be one; the name cannot be one.
    """
    return Stored(node, name, types)


def _numbered(sql: str, names: list[str]) -> str:
    """Return a statement with $1, $2, ... for its parameters, and its percent signs as they are."""
    return OCCURRENCE.sub(lambda found: f"${names.index(found[1]) + 1}" if found[1] else "%", sql)


def _checked_name(name: str) -> str:
    parts = name.split(".")
    if len(parts) > 2 or not all(re.fullmatch(r"[^\W\d]\w*", part) for part in parts):
        raise NodeError(f"{name!r} cannot name a function; write name or schema.name, in letters, digits and _")
    if len(parts[-1].encode()) > LONGEST_NAME:
        raise NodeError(f"{name!r} is too long for a function; use at most {LONGEST_NAME} bytes")
    return name


def _check_moments(node: Node) -> None:
    literal = moment_in(scan(node.sql))
    if literal is not None:
        raise NodeError(
            f"{literal[:40]} in {node!r}: a function reads it once per session and would keep that moment; write "
            "current_date or now(), or give a text by a parameter"
        )


def _checked_types(node: Node, types: Mapping[str, str]) -> dict[str, str]:
    if types.keys() != node.parameters:
        names = ", ".join(f'{name}="bigint"' for name in sorted(node.parameters)) or "none"
        raise NodeError(f"the function of {node!r} needs the type of each of its parameters: {names}")
    for name, kind in types.items():
        if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
            raise NodeError(f"{name}={kind!r} is not the name of a type; write bigint, text[], numeric(10,2), ...")
    return dict(sorted(types.items()))
