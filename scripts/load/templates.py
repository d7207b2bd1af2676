"""Texts with `{name}` in them: which names they use, and the text with values in their place.

`{{` and `}}` stand for braces. Knows nothing of HTTP but how a value is written into a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

HOLE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")
WHOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def names_in(given: Any) -> Iterator[str]:
    """Yield each name that a text, or the texts in a JSON value, use."""
    if isinstance(given, str):
        yield from (found[1] for found in HOLE.finditer(given) if found[1])
    elif isinstance(given, Mapping):
        for key, value in given.items():
            yield from names_in(key)
            yield from names_in(value)
    elif isinstance(given, list | tuple):
        for value in given:
            yield from names_in(value)


def fill(text: str, values: Mapping[str, Any]) -> str:
    """Return a text with its values; a name that has none is a KeyError."""

    def value_of(found: re.Match[str]) -> str:
        return str(values[found[1]]) if found[1] else found[0][0]

    return HOLE.sub(value_of, text)


def fill_path(text: str, values: Mapping[str, Any]) -> str:
    """Return a path with its values percent-encoded, so that none can end its part of the path."""

    def value_of(found: re.Match[str]) -> str:
        return quote(str(values[found[1]]), safe="") if found[1] else found[0][0]

    return HOLE.sub(value_of, text)


def fill_json(given: Any, values: Mapping[str, Any]) -> Any:
    """Return a JSON value with its texts filled; a text that is one hole becomes the value, type and all."""
    if isinstance(given, str):
        whole = WHOLE.fullmatch(given)
        return values[whole[1]] if whole else fill(given, values)
    if isinstance(given, Mapping):
        return {fill(key, values): fill_json(value, values) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return [fill_json(value, values) for value in given]
    return given
