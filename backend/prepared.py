"""Runs the statement of a nested query, with its plan kept on connections whose session is the pool's own.

Planning a tree of sub-selects takes a third to a half of the time of a small document. SQL's PREPARE saves it,
where nobody else shares the session (a pool in mode "rollback") and no transaction is open: then a statement
that fails as a prepared one is run again as it is, nothing lost, and not kept again.

* A parameter's type is the one that psycopg2's literal for the value would have: 7 is integer, 7.5 numeric, text
  `unknown`, that is whatever its place asks for. Each occurrence is a parameter of its own, as each would be a
  literal of its own. Nothing is kept where the app registered adapters of its own for these types, nor where a
  literal means something else than a parameter (keepable.py).
* A statement's name is a digest of its text and types: two that differ never share one, whoever made it.
* The least recently used one makes room. DISCARD and DEALLOCATE by the app are noticed by the error, once.

Must not import the pool. If this is wrong, a request gets the answer of another statement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
from psycopg2.extensions import BYTES, TRANSACTION_STATUS_IDLE, UNICODE

from .cached_cursor import at_work
from .fingerprint import alias
from .keepable import OCCURRENCE, Reading, read
from .literal_types import adapters_are_psycopg2s, literal_type
from .plans import MADE_ALREADY, Form, Plans

JSON_OID = 114
AS_BYTES = {JSON_OID: BYTES}  # the driver copies the text once, in C, and parses nothing
AS_TEXT = {JSON_OID: UNICODE}
MOST_FORMS = 16  # of one statement; each set of parameter types is one
_LOST = ("26000", MADE_ALREADY)  # 26000: no such prepared statement
# Whatever failed here would fail again, or must not be tried again: connection, resources, operator, lock.
_FINAL = ("08", "25", "40", "53", "55", "57", "58", "XX")
Row = list[Any]  # of bytes, and None for NULL


class Statement:
    """One statement whose answer is one row of JSON values, as a rule one value.

    Args:
        sql: its text, with `%(name)s` parameters.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._reading: Reading | None = None
        self._forms: dict[tuple[str, ...], Form | None] = {}

    def run(self, conn: Any, parameters: Mapping[str, Any]) -> bytes | None:
        """Execute it; returns the JSON text in UTF-8, None when there is no row.

        Raises:
            psycopg2.Error: what the server said of the statement itself.
        """
        row = self.run_row(conn, parameters)
        return None if row is None else row[0]

    def run_row(self, conn: Any, parameters: Mapping[str, Any]) -> Row | None:
        """Execute it; returns the JSON texts of its first row, else as `run`."""
        record = getattr(conn, "_record", None)
        plans: Plans | None = record.plans if record is not None else None
        if plans is None or plans.is_off or conn.get_transaction_status() != TRANSACTION_STATUS_IDLE:
            return first_row(conn, self.sql, parameters)
        if at_work.get() is not None:  # the request's query cache knows the statement itself, not the plan's name
            return first_row(conn, self.sql, parameters)
        types = self._types(conn, parameters)
        form = self._form(types) if types is not None else None
        text = plans.text_for(form) if form is not None else None
        if form is None or text is None or types is None:
            return first_row(conn, self.sql, parameters)
        return self._run_kept(conn, parameters, plans, types, form, text)

    def _run_kept(
        self, conn: Any, parameters: Mapping[str, Any], plans: Plans, types: tuple[str, ...], form: Form, text: str
    ) -> Row | None:
        try:
            row = first_row(conn, text, parameters)
            if text is not form.execute:
                plans.keep(form)
            return row
        except psycopg2.Error as error:
            state = error.pgcode or "08"
            if state.startswith(_FINAL):
                raise
            if not conn.autocommit:
                conn.rollback()  # the transaction began with this statement
        if state in _LOST:
            plans.lose(form, state)
            return first_row(conn, self.sql, parameters)
        row = first_row(conn, self.sql, parameters)  # raises what the app would have met without us
        self._forms[types] = None
        return row

    def _types(self, conn: Any, parameters: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return the type of each occurrence, and the settings that the plan depends on; None: nothing is kept."""
        reading = self._reading
        if reading is None:
            reading = self._reading = read(self.sql)
        if not reading.is_keepable:
            return None
        types = []
        for name in reading.names:
            kind = literal_type(parameters[name])
            if not kind:
                return None
            types.append(kind)
        for setting in reading.settings:
            types.append(f"{setting} {conn.get_parameter_status(setting)}")
        return tuple(types)

    def _form(self, types: tuple[str, ...]) -> Form | None:
        try:
            return self._forms[types]
        except KeyError:
            pass
        form = None
        if len(self._forms) < MOST_FORMS and self._reading is not None and adapters_are_psycopg2s():
            form = _form(self.sql, self._reading.names, types)
        self._forms[types] = form
        return form


def _form(sql: str, names: Sequence[str], types: tuple[str, ...]) -> Form:
    digest = hashlib.sha256("\0".join((sql, *types)).encode()).hexdigest()
    name = f"h_{digest[:24]}"
    alias(name, sql)
    numbers = iter(range(1, len(names) + 1))
    body = OCCURRENCE.sub(lambda found: f"${next(numbers)}" if found[1] else "%%", sql)
    declared = f" ({', '.join(types[: len(names)])})" if names else ""
    given = f"({', '.join(f'%({each})s' for each in names)})" if names else ""
    return Form(name, f"PREPARE {name}{declared} AS {body}", f"EXECUTE {name}{given}")


def first_row(conn: Any, sql: str, parameters: Mapping[str, Any]) -> Row | None:
    """Execute a statement that returns columns of JSON; returns its first row's texts."""
    is_utf8 = getattr(conn, "encoding", "UTF8") == "UTF8"
    with conn.cursor() as cursor:
        cursor.string_types = AS_BYTES if is_utf8 else AS_TEXT
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
    if row is None:
        return None
    values = row.values() if isinstance(row, Mapping) else row
    return [value if is_utf8 or value is None else value.encode() for value in values]
