"""What is kept prepared on one connection: which statements, and which of them makes room.

A statement's name is a digest of its text and its parameters' types: two that differ never share one, whoever
made them. Knows nothing of nodes and sends nothing itself. If this is wrong, a session fills with plans.
"""

from __future__ import annotations

from typing import NamedTuple

MOST_LOST = 3  # then this session is somebody else's as well
MADE_ALREADY = "42P05"  # duplicate_prepared_statement


class Form(NamedTuple):
    """A statement for one set of parameter types: its name, and what makes and what executes it."""

    name: str
    prepare: str
    execute: str


class Plans:
    """What is kept prepared on one connection; used by its holder alone.

    Args:
        most: how many statements.
    """

    __slots__ = ("_kept", "_lost", "_most", "_seen")

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[str, None] = {}
        self._seen: dict[str, None] = {}
        self._lost = 0

    def text_for(self, form: Form) -> str | None:
        """Return what to send for it; None the first time: a statement that is run once is not worth a plan."""
        kept = self._kept
        if form.name in kept:
            del kept[form.name]
            kept[form.name] = None
            return form.execute
        if form.name not in self._seen:
            self._seen[form.name] = None
            if len(self._seen) > 2 * self._most:
                del self._seen[next(iter(self._seen))]
            return None
        text = f"{form.prepare}; {form.execute}"
        if len(kept) >= self._most:
            oldest = next(iter(kept))
            del kept[oldest]
            text = f"DEALLOCATE {oldest}; {text}"
        kept[form.name] = None
        return text

    def lose(self, form: Form, state: str) -> None:
        """Take note that the session did not have what it should, or had what it should not."""
        if state == MADE_ALREADY:
            self._kept[form.name] = None  # under this name it can be nothing else
        else:
            self._kept.clear()
        self._lost += 1
        if self._lost >= MOST_LOST:
            self._most = 0

    @property
    def is_off(self) -> bool:
        """Whether nothing is kept here."""
        return self._most <= 0
