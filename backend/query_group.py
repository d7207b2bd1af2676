"""Queries by statement and line: what a log's entries become once somebody wants to know.

A line that repeats is looked at twice, for who called it and whether its values differ.
Knows neither requests nor cursors. If this is wrong, a request's queries are miscounted.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import FrameType
from typing import Any

from .callsite import app_stack
from .events import QueryGroup
from .lines import Line, line_of

MOST_GROUPS = 500  # different statements and lines of one request; what comes after is one group
MOST_DURATIONS = 1000
OTHERS = "-- other statements"


class Group:
    """One statement from one line, so far.

    Attributes:
        line: which.
        durations: seconds of each run, the last thousand.
        rows, errors: of all runs.
        stack: the app's frames that led there, innermost first, once it was looked at.
        is_same: whether the values were the same at each look.
    """

    # Most groups are of one query: what they do not need is the class's, and making one costs half.
    rows = errors = 0
    stack: tuple[str, ...] = ()
    is_same: bool | None = None
    _past_count, _past_seconds, _past_slowest = 0, 0.0, 0.0

    def __init__(self, line: Line) -> None:
        self.line = line
        self.durations: list[float] = []

    @property
    def count(self) -> int:
        """How often it ran."""
        return self._past_count + len(self.durations)

    @property
    def seconds(self) -> float:
        """Time spent in all runs."""
        return self._past_seconds + sum(self.durations)

    @property
    def slowest(self) -> float:
        """Seconds of the slowest run."""
        return max(self._past_slowest, max(self.durations, default=0.0))

    def sum_up(self) -> None:
        """Keep the sum of the runs so far instead of each."""
        self._past_slowest = max(self._past_slowest, *self.durations)
        self._past_seconds += sum(self.durations)
        self._past_count += len(self.durations)
        self.durations.clear()

    def add(self, other: Group) -> None:
        """Add another one's runs."""
        if len(self.durations) + len(other.durations) > MOST_DURATIONS and self.durations:
            self.sum_up()
        self._past_count += other._past_count
        self._past_seconds += other._past_seconds
        self._past_slowest = max(self._past_slowest, other._past_slowest)
        self.durations += other.durations
        self.rows += other.rows
        self.errors += other.errors
        self.stack = self.stack or other.stack
        self.is_same = other.is_same if self.is_same is None else self.is_same and other.is_same

    def event(self) -> QueryGroup:
        """Return what the listeners are told."""
        line, durations = self.line, self.durations
        count, seconds, slowest = len(durations), sum(durations), max(durations) if durations else 0.0
        if self._past_count:
            count, seconds = count + self._past_count, seconds + self._past_seconds
            slowest = max(slowest, self._past_slowest)
        return QueryGroup(
            line.statement, line.site, count, seconds, slowest, tuple(durations),
            max(self.rows, 0), self.errors, line.instruction < 0, self.stack, self.is_same, line.method,
        )  # fmt: skip


class Look:
    """What was seen of a line that repeats.

    Attributes:
        times: how often it was looked at.
        stack: the app's frames that led there, innermost first.
        is_same: whether the values were those of the look before; None at the first.
    """

    __slots__ = ("_seen", "is_same", "stack", "times")

    def __init__(self, frame: FrameType, values: Any) -> None:
        self.times, self.stack = 1, app_stack(frame)
        self.is_same: bool | None = None
        self._seen = hash(repr(values)[:2000])  # never the values themselves

    def again(self, values: Any) -> None:
        """Compare the values of another run."""
        seen = hash(repr(values)[:2000])
        self.times += 1
        self.is_same = seen == self._seen and self.is_same is not False
        self._seen = seen


class Worked:
    """What was worked out of a log so far, where there was need to.

    Attributes:
        groups: by statement and line.
        looks: what was seen of lines that repeat, by the id of the code, and the instruction.
        lost: the group of all lines that there was no room for.
    """

    __slots__ = ("groups", "looks", "lost")

    def __init__(self) -> None:
        self.groups: dict[Any, Group] = {}
        self.looks: dict[tuple[int, int], Look] = {}
        self.lost: Group | None = None

    def all(self) -> list[Group]:
        """Return the groups, that of all others included."""
        found = list(self.groups.values())
        return found if self.lost is None else [*found, self.lost]

    def open(self, place: Any, line: Line) -> Group:
        """Return a new group for a line; the one of all others when there are too many."""
        if len(self.groups) < MOST_GROUPS:
            group = self.groups[place] = Group(line)
            return group
        if self.lost is None:
            self.lost = Group(Line(line_of(OTHERS, line.code, 0).statement, line.code, 0, "other"))
        return self.lost

    def tell(self, group: Group) -> None:
        """Give a group what was seen of its line."""
        seen = self.looks.get((id(group.line.code), group.line.instruction))
        if seen is not None:
            group.stack, group.is_same = seen.stack, seen.is_same


def events_of(groups: list[Group]) -> list[QueryGroup]:
    """Return what listeners are told."""
    return [group.event() for group in joined(groups)]


def joined(groups: Iterable[Group]) -> list[Group]:
    """Return the groups; those whose statements differ in their values alone are one."""
    found: dict[int, list[Group]] = {}
    for group in groups:
        found.setdefault(group.line.place, []).append(group)
    return [same[0] if len(same) == 1 else _joined(same) for same in found.values()]


def _joined(groups: list[Group]) -> Group:
    one = Group(groups[0].line)
    for group in groups:
        one.add(group)
    one.is_same = False
    return one
