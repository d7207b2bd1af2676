"""What a cache keeps of a value: JSON or bytes, with the tags that it depends on; never a pickle.

An entry is a line of JSON that says what follows, then the value itself. An entry of another version, or of
somebody else, is no entry. A value comes out as it went through JSON also when it was not in the cache, so that a
hit never answers otherwise than a miss. If this is wrong, an answer's types change with the cache's mood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import CacheError

MARK = b"HFC1"  # another layout gets another mark, and finds nothing of this one
JSON, BYTES, NOTHING = "j", "b", "n"
_SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Entry:
    """One entry.

    Attributes:
        kind: "j" for JSON, "b" for bytes, "n" for a None that is remembered.
        body: the value.
        tokens: what stood for each tag when the value was about to be loaded.
        stale: seconds at the end of its life in which it is out of date, and may be served all the same.
        server: which start of the store it was kept by.
    """

    kind: str
    body: bytes
    tokens: Mapping[str, str] = field(default_factory=dict)
    stale: float = 0.0
    server: str = ""

    def value(self) -> Any:
        """Return the value, a fresh one at each call.

        Raises:
            ValueError: the body is not what the kind says.
        """
        if self.kind == NOTHING:
            return None
        return self.body if self.kind == BYTES else json.loads(self.body)

    def packed(self) -> bytes:
        """Return the entry as the bytes that are kept."""
        head: dict[str, Any] = {"k": self.kind}
        if self.tokens:
            head["t"] = self.tokens
        if self.stale:
            head["s"] = self.stale
        if self.server:
            head["r"] = self.server
        return MARK + json.dumps(head, separators=(",", ":")).encode() + b"\n" + self.body


def unpacked(raw: bytes | None) -> Entry | None:
    """Return an entry; None for what is none, of another version, or broken."""
    if raw is None or not raw.startswith(MARK):
        return None
    line, _, body = raw[len(MARK) :].partition(b"\n")
    try:
        head = json.loads(line)
        entry = Entry(head["k"], body, head.get("t", {}), float(head.get("s", 0.0)), head.get("r", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    is_sound = entry.kind in (JSON, BYTES, NOTHING) and isinstance(entry.tokens, dict)
    return entry if is_sound else None


def entry_of(value: Any) -> Entry:
    """Return the entry of a value, without tags yet.

    Raises:
        CacheError: the value is neither bytes nor JSON; says where in it, and what is there.
    """
    if value is None:
        return Entry(NOTHING, b"")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Entry(BYTES, bytes(value))
    _check(value, "")
    try:
        body = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return Entry(JSON, body.encode())
    except (ValueError, RecursionError) as error:  # NaN, a list that holds itself, a lone surrogate
        raise CacheError(f"a value cannot be kept as JSON: {error}") from None


def _check(value: Any, where: str) -> None:
    """Refuse what JSON would turn into something else without a word, such as a number as a key."""
    if isinstance(value, _SCALARS):
        return
    if isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                raise CacheError(f"the key {key!r} at {where or 'the top'} is no text; JSON would make it one")
            _check(each, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            _check(each, f"{where}[{index}]")
    else:
        raise CacheError(
            f"the value{' at ' + where if where else ''} is a {type(value).__name__}, which JSON has not; "
            "have the SQL or the loader make it text or a number"
        )
