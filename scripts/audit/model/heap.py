"""What names, attributes, parameters, return values and containers can hold, for the whole project.

Values are only ever added, so that the interpreter comes to an end; but once, what was made of values that were
not known yet is forgotten. Who reads a slot is told when it grows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import lru_cache

from .code import Function
from .facts import SQL_START
from .values import NOTHING, ClassValue, Composed, FunctionValue, Text, Value, Values

Slot = tuple[Hashable, ...]
MOST_STATEMENTS = 400  # SQL texts in a slot: a helper that runs everybody's statements
MOST_TEXTS = 24  # of other texts
MOST_NAMED = 500  # functions under one decorator, classes in a table of routes: each is one that somebody wrote
MOST = 24  # of everything else: who can be more than that is not known by being one of them


class Cell:
    """One slot.

    Attributes:
        counts: How many of each kind (`_room`) it holds; counted once there are many.
        is_known: Whether anything was ever put in, forgotten or not.
    """

    __slots__ = ("counts", "is_known", "readers", "values", "writers")

    def __init__(self) -> None:
        self.values: Values = NOTHING
        self.counts: dict[int, int] | None = None
        self.readers: dict[Function, None] = {}
        self.writers: dict[Function, None] = {}
        self.is_known = False

    def fitting(self, new: Values) -> Values:
        """Return those of new values that there is room for."""
        if self.counts is None:
            self.counts = {}
            self._count(self.values)
        groups: dict[int, list[Value]] = {}
        for value in new:
            groups.setdefault(_room(value), []).append(value)
        found: list[Value] = []
        for room, group in groups.items():
            left = abs(room) - self.counts.get(room, 0)
            found += group if len(group) <= left else sorted(group, key=repr)[: max(left, 0)]
        self._count(found)
        return frozenset(found)

    def _count(self, values: Iterable[Value]) -> None:
        assert self.counts is not None
        for value in values:
            room = _room(value)
            self.counts[room] = self.counts.get(room, 0) + 1


class Heap:
    """Slots and their readers.

    Attributes:
        grown: The functions that have to be looked at again, in the order in which that came up.
        writer: The function that is looked at.
    """

    def __init__(self) -> None:
        self._cells: dict[Slot, Cell] = {}
        self.grown: dict[Function, None] = {}
        self.writer: Function | None = None

    def read(self, slot: Slot, reader: Function | None = None) -> Values:
        """Return what a slot holds, and tell the reader when that changes."""
        cell = self._cells.get(slot)
        if reader is not None:
            if cell is None:
                cell = self._cells[slot] = Cell()
            cell.readers[reader] = None
        return NOTHING if cell is None else cell.values

    def add(self, slot: Slot, values: Iterable[Value]) -> None:
        """Put more values into a slot."""
        cell = self._cells.get(slot)
        if cell is None:
            cell = self._cells[slot] = Cell()
        if self.writer is not None:
            cell.writers[self.writer] = None
        new = frozenset(values) - cell.values
        if new and len(cell.values) + len(new) > MOST:
            new = cell.fitting(new)
        if not new:
            return
        cell.values |= new
        cell.is_known = True
        self.grown.update(cell.readers)

    def forget(self, source: str) -> set[Function]:
        """Drop the texts with a hole of one source; returns who has read or made any of them."""
        touched: set[Function] = set()
        for cell in self._cells.values():
            kept = frozenset(value for value in cell.values if not _has_hole(value, source))
            if len(kept) < len(cell.values):
                cell.values, cell.counts = kept, None
                touched.update(cell.readers, cell.writers)
        return touched

    def knows(self, slot: Slot) -> bool:
        """Whether anything was ever put into a slot."""
        cell = self._cells.get(slot)
        return cell is not None and cell.is_known


def bounded(values: Values) -> Values:
    """Return no more values than anybody can use."""
    return values if len(values) <= MOST else _bounded(values)


@lru_cache(maxsize=1024)
def _bounded(values: Values) -> Values:
    found = Cell().fitting(values)
    return values if len(found) == len(values) else found


def _room(value: Value) -> int:
    """Return how many of its like there may be; the sign tells texts from the rest."""
    if isinstance(value, (FunctionValue, ClassValue)):
        return -MOST_NAMED
    text = value.text if isinstance(value, Composed) else value
    if not isinstance(text, Text):
        return -MOST
    head = text.pieces[0] if text.pieces else ""
    return MOST_STATEMENTS if isinstance(head, str) and SQL_START.match(head) else MOST_TEXTS


def _has_hole(value: Value, source: str) -> bool:
    holes = value.holes if isinstance(value, Text) else value.raw if isinstance(value, Composed) else ()
    return any(source in hole.sources for hole in holes)
