"""Where two JSON values differ first: a method that answers something else is not faster, it is wrong."""

from __future__ import annotations

from typing import Any

LONGEST = 60


def difference(ours: Any, theirs: Any, path: str = "$") -> str | None:
    """Return the first place where values differ with what stands there, or None."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return _of_objects(ours, theirs, path)
    if isinstance(ours, list) and isinstance(theirs, list):
        return _of_lists(ours, theirs, path)
    if type(ours) is type(theirs) and ours == theirs:
        return None
    return f"{path}: {_shown(ours)} against {_shown(theirs)}"


def _of_objects(ours: dict[str, Any], theirs: dict[str, Any], path: str) -> str | None:
    for key in sorted(ours.keys() | theirs.keys()):
        if key not in theirs or key not in ours:
            return f"{path}.{key}: {'missing' if key in ours else 'too much'}"
        found = difference(ours[key], theirs[key], f"{path}.{key}")
        if found:
            return found
    return None


def _of_lists(ours: list[Any], theirs: list[Any], path: str) -> str | None:
    for place, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        found = difference(mine, other, f"{path}[{place}]")
        if found:
            return found
    return None if len(ours) == len(theirs) else f"{path}: {len(ours)} elements against {len(theirs)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
