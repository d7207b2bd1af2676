"""One statement for many: the same SELECT for each of many rows' values, each answer with its values' number.

Two ways, and both give each answer in its own order. `LATERAL` over an array of integers, where the statement says
its order itself and every value that differs is compared with something: one plan for all. Else `UNION ALL` of the
statements as they would have been sent: the server plans each as ever, so that even rows in no particular order
come as they would have come.
Sends nothing. If this is wrong, a row is answered with another row's answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2.extensions import AsIs

from .sqlmask import mask

NUMBER, PLACE = "harden_n", "harden_r"  # of the values, from 1; of the row in its answer
INT4 = 2**31
_PLACEHOLDER = re.compile(r"%(?:\((?P<name>[^)]*)\))?(?P<kind>.)", re.DOTALL)
# What is compared may be a column as well; the LIMIT, an ordinal or a part of a name may not.
_COMPARED = re.compile(r"(?:<>|!=|<=|>=|=|<|>)\s*$")
_ENDED = re.compile(r"\s*(?:$|[\s);])")
_ORDERED = re.compile(r"\border\s+by\b", re.IGNORECASE)


def without_end(sql: str) -> str:
    """Return a statement without the semicolon at its end, on lines of its own: a comment may end it."""
    masked = mask(sql).rstrip()
    while masked.endswith(";"):
        masked = masked[:-1].rstrip()
    return f"\n{sql[: len(masked)]}\n"


def united(bound: Sequence[str]) -> str:
    """Return the statement for bound statements: `UNION ALL` of them."""
    arms = [
        f"SELECT *, {number} AS {NUMBER}, row_number() OVER () AS {PLACE} FROM ({without_end(each)}) AS harden_s"
        for number, each in enumerate(bound, 1)
    ]
    return f"SELECT * FROM ({' UNION ALL '.join(arms)}) AS harden_u ORDER BY {NUMBER}, {PLACE}"


def lateral(cursor: Any, sql: str, values: Sequence[Any]) -> bytes | None:
    """Return the statement for many values by `LATERAL`; None where only `united` is exact.

    Args:
        cursor: what writes values as SQL.
        sql: with its placeholders.
        values: of each row, all tuples or lists, or all mappings.
    """
    if _ORDERED.search(mask(sql)) is None:
        return None
    keys = _keys(values)
    differing = [key for key in keys if any(type(each[key]) is not int for each in values) or _differ(values, key)]
    if not differing or any(type(each[key]) is not int for each in values for key in differing):
        return None
    if not _are_compared(sql, differing):
        return None
    # As PostgreSQL reads an integer in a text: int4 where it fits, else int8. Mixed, they stay apart.
    kinds = {_kind(each[key]) for each in values for key in differing}
    if len(kinds) > 1 or None in kinds:
        return None
    names = {key: f"p{place}" for place, key in enumerate(differing)}
    given = {key: AsIs(f"harden_k.{names[key]}") if key in names else values[0][key] for key in keys}
    inner: bytes = cursor.mogrify(without_end(sql), _like(values[0], given))
    arrays = b", ".join(
        cursor.mogrify(f"%s::{min(map(str, kinds))}[]", ([each[key] for each in values],)) for key in differing
    )
    columns = ", ".join([*names.values(), NUMBER])
    return (
        b"SELECT harden_q.* FROM unnest(" + arrays + f") WITH ORDINALITY AS harden_k({columns})".encode()
        + b" CROSS JOIN LATERAL (SELECT *, harden_k." + f"{NUMBER}, row_number() OVER () AS {PLACE}".encode()
        + b" FROM (" + inner + f") AS harden_s) AS harden_q ORDER BY {NUMBER}, {PLACE}".encode()
    )  # fmt: skip


def _keys(values: Sequence[Any]) -> list[Any]:
    first = values[0]
    return list(first) if isinstance(first, Mapping) else list(range(len(first)))


def _differ(values: Sequence[Any], key: Any) -> bool:
    return any(each[key] != values[0][key] for each in values)


def _kind(value: int) -> str | None:
    if -INT4 < value < INT4:
        return "int4"
    return "int8" if -(2**63) < value < 2**63 else None


def _like(first: Any, given: Mapping[Any, Any]) -> Any:
    return given if isinstance(first, Mapping) else tuple(given.values())


def _are_compared(sql: str, differing: Sequence[Any]) -> bool:
    """Tell whether every placeholder of a value that differs stands behind a comparison, and outside quotes."""
    masked = mask(sql)
    position = 0
    for found in _PLACEHOLDER.finditer(sql):
        if found["kind"] == "%" and found["name"] is None:
            continue
        key = found["name"] if found["name"] is not None else position
        position += 1
        if key not in differing:
            continue
        is_code = masked[found.start()] == "%"
        if not is_code or not _COMPARED.search(masked[: found.start()]) or not _ENDED.match(masked[found.end() :]):
            return False
    return True
