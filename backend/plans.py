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

    __slots__ = ("_doubtful", "_kept", "_lost", "_most", "_oldest", "_seen")

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[str, None] = {}
        self._seen: dict[str, None] = {}
        self._doubtful: dict[str, None] = {}  # was to be made or dropped by a text that may have failed half-way
        self._oldest: str | None = None
        self._lost = 0

    def text_for(self, form: Form) -> str | None:
        """Return what to send for it; None the first time: a statement that is run once is not worth a plan.

        When the text is not `form.execute` and has succeeded, `keep` must be told.
        """
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
        if len(self._doubtful) >= 2 * self._most and form.name not in self._doubtful:
            return None  # whatever failed half-way may be there: a session is not filled with such
        self._doubtful[form.name] = None
        text = f"{form.prepare}; {form.execute}"
        self._oldest = next(iter(kept)) if len(kept) >= self._most else None
        if self._oldest is None:
            return text
        del kept[self._oldest]
        self._doubtful[self._oldest] = None
        return f"DEALLOCATE {self._oldest}; {text}"

    def keep(self, form: Form) -> None:
        """Take note that what the last text was to make is there."""
        self._kept[form.name] = None
        self._doubtful.pop(form.name, None)
        if self._oldest is not None:
            self._doubtful.pop(self._oldest, None)

    def lose(self, form: Form, state: str) -> None:
        """Take note that the session did not have what it should, or had what it should not."""
        if state == MADE_ALREADY:
            self._kept[form.name] = None  # under this name it can be nothing else
            if self._doubtful.pop(form.name, "") is None:
                return
        else:
            self._kept.clear()
        self._lost += 1
        if self._lost >= MOST_LOST:
            self._most = 0

    @property
    def is_off(self) -> bool:
        """Whether nothing is kept here."""
        return self._most <= 0
