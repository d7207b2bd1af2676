"""Who changed what on a host, when, and how it ended: a line of JSON each, only ever appended.

No secret gets here: whoever records gives names, ids, figures and reasons.
"""

from __future__ import annotations

import json
import os
from typing import Any

from .lock import now, who
from .places import Places


def record(places: Places, verb: str, result: str, **facts: str | float | None) -> None:
    """Append a line, and bring it to disk.

    Args:
        places: the app.
        verb: what was done, such as "release".
        result: "done", "undone", "failed", "finished" or "interrupted".
        facts: more; those that are None are left out.
    """
    told = {"time": now(), "who": who(), "verb": verb, "result": result}
    told |= {name: fact for name, fact in facts.items() if fact is not None}  # type: ignore[misc]
    places.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(places.audit, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        # A line that a power cut has cut short must not swallow this one.
        os.write(handle, (_start(places) + json.dumps(told, ensure_ascii=False) + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read(places: Places, count: int = 20) -> list[dict[str, Any]]:
    """Return the last lines, the newest at the end; none when nothing was recorded yet."""
    try:
        lines = places.audit.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line for line in map(_parsed, lines) if line is not None][-count:]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _start(places: Places) -> str:
    with places.audit.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size == 0:
            return ""
        stream.seek(size - 1)
        return "" if stream.read(1) == b"\n" else "\n"
