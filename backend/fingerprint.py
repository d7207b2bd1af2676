"""Which statement is this, whatever its values? As pg_stat_statements does it, from the text alone.

Literals of every kind, keys of JSON among them, and parameters become `?`, lists of them `(...)`; comments go,
spacing is one everywhere, and what is not quoted is lower case. Only the head of a very long text is read. A text
is worked out once: what came out is kept by the text's hash, never by the text, for a text may hold values.
Knows nothing of connections. If this is wrong, one query counts as many, or many as one, or a log shows values.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from sys import getsizeof, intern

from .shapes import normalise
from .summaries import summary_of, verb_of

LONGEST = 8192  # characters looked at; what comes after them does not tell statements apart
SHOWN = 2000  # characters kept of a normalised text
MOST_KNOWN = 2000  # texts of one generation
MOST_BYTES = 250_000  # of normalised texts of one generation
MOST_ALIASES = 1000


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, whatever its values.

    Attributes:
        id: 16 hexadecimal digits, the same in every process.
        text: the normalised text, at most 2,000 characters, without values.
        summary: what it does to which tables, such as `SELECT appointments`: for labels, at most 80 characters.
        kind: its verb in upper case; of `WITH ... INSERT` it is INSERT. EMPTY where there is none.
    """

    id: str
    text: str
    summary: str
    kind: str


_KEPT = ("EXECUTE h_", "PREPARE h_", "DEALLOCATE h_")
_KEPT_NAME = re.compile(r"(?:DEALLOCATE h_[0-9a-f]{24}; )?(PREPARE|EXECUTE) (h_[0-9a-f]{24})")
_KEPT_BODY = re.compile(r" AS (.*?)(?:; EXECUTE h_[0-9a-f]{24}|\Z)", re.DOTALL)
_young: dict[int, Statement] = {}
_old: dict[int, Statement] = {}
_weight = 0  # bytes of the texts that came into the young generation
_aliases: dict[str, Statement] = {}


def statement_of(sql: str | bytes) -> Statement:
    """Return which statement a text is."""
    found = _young.get(hash(sql))
    if found is not None:
        return found
    if len(sql) > LONGEST:
        sql = sql[:LONGEST]
    key = hash(sql)
    found = _young.get(key)
    return _keep(key, _old.get(key) or _worked_out(sql)) if found is None else found


def alias(name: str, sql: str) -> None:
    """Have what is kept prepared under a name counted as the statement that it was made of.

    Args:
        name: `h_` and 24 hexadecimal digits.
        sql: the statement's own text.
    """
    if len(_aliases) >= MOST_ALIASES:
        _aliases.pop(next(iter(_aliases)), None)
    _aliases[name] = statement_of(sql)


def _keep(key: int, found: Statement) -> Statement:
    global _young, _old, _weight
    if len(_young) >= MOST_KNOWN or _weight >= MOST_BYTES:
        _young, _old, _weight = {}, _young, 0
    _young[key] = found
    return found


def _worked_out(sql: str | bytes) -> Statement:
    global _weight
    text = sql.decode("utf-8", "replace") if isinstance(sql, bytes) else sql
    if text.startswith(_KEPT):
        made = _original(text)
        if made is not None:
            return made
    text = normalise(text, len(text) >= LONGEST)
    # A normalised text is its own normalised text: what differs in its values alone shares one record.
    key = hash(text)
    found = _young.get(key) or _old.get(key)
    if found is None:
        verb = verb_of(text)
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        found = Statement(digest, text[:SHOWN], summary_of(verb, text), intern(verb))
    if key not in _young:
        _weight += getsizeof(found.text)
        _keep(key, found)
    return found


def _original(text: str) -> Statement | None:
    """Return the statement that the kit's own PREPARE or EXECUTE runs; None for one that is not ours."""
    named = _KEPT_NAME.match(text)
    if named is None:
        return None
    found = _aliases.get(named[2])
    if found is None and named[1] == "PREPARE" and (body := _KEPT_BODY.search(text, named.end())):
        return statement_of(body[1])
    return found
