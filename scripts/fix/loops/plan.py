"""For each finding: which loops announce which of its statements, and why the others are not announced."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from ...audit.finding import Finding
from ...audit.model.code import Call, Loop
from ...audit.model.project import STATEMENTS, Project
from ...audit.rules.reached import shown
from ...audit.rules.repetition import Repeat
from ...audit.rules.turns import turns
from .announced import Announcement, announcement, said_texts, writes
from .constants import Constants
from .heads import Head, head
from .reader import Reader
from .sending import Sending, sendings
from .terms import Unknown

WRITES = "the loop writes, in"
Said = dict[tuple[str, str], Announcement]


@dataclass
class Plan:
    """What one finding needs.

    Attributes:
        heads: The loops' headers that announce, with what they announce.
        reasons: Of the statements that are not announced, by how a person calls them.
    """

    finding: Finding
    repeat: Repeat
    heads: dict[Loop, Head] = field(default_factory=dict)
    said: dict[Loop, Said] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


class Planner:
    """Makes the plans of one project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._constants = Constants(project)
        self._writing: dict[Loop, str] = {}

    def plan(self, finding: Finding, repeat: Repeat) -> Plan:
        """Return what a finding needs."""
        made = Plan(finding, repeat)
        for call in repeat.calls:
            if repeat.loop is not None:
                self._add(made, call)
        return made

    def _add(self, plan: Plan, call: Call) -> None:
        ways: list[tuple[Head, list[tuple[Sending, Announcement | Unknown]]]] = []
        last: Unknown | None = None
        for loop in call.loops:  # the outermost first: what depends on its rows alone is asked once in all
            try:
                ways.append(self._tried(loop, call))
            except Unknown as reason:
                last = reason
        if not ways:
            plan.reasons[""] = str(last)
            return
        innermost = ways[-1][1]
        for index, (sending, answer) in enumerate(innermost):
            for top, found in ways:
                best = found[index][1] if len(found) == len(innermost) else answer
                if isinstance(best, Announcement) and (len(found) == len(innermost) or found is innermost):
                    plan.heads[top.loop] = top
                    key = best.sql, ast.unparse(best.values)
                    plan.said.setdefault(top.loop, {}).setdefault(key, best)
                    break
            else:
                plan.reasons.setdefault(_called(sending), str(answer))

    def _tried(self, loop: Loop, call: Call) -> tuple[Head, list[tuple[Sending, Announcement | Unknown]]]:
        """Return what a loop can say of the statements of a call in it.

        Raises:
            Unknown: It can say nothing.
        """
        if turns(call, loop) is None:
            raise Unknown("the loop does not make a turn for each row")
        top = head(self._project, loop)
        reader = Reader(self._project, self._constants, loop, top.elements, top.inside)
        written = self._written(loop, reader)
        if written:
            raise Unknown(f"{WRITES} {written}; what is asked in advance is forgotten at each write")
        return top, [(each, self._answer(reader, top, each)) for each in sendings(self._project, reader, call)]

    def _answer(self, reader: Reader, top: Head, sending: Sending) -> Announcement | Unknown:
        try:
            return announcement(self._project, reader, top, sending)
        except Unknown as reason:
            return reason

    def _written(self, loop: Loop, reader: Reader) -> str:
        """Return the first statement of a loop that writes, as a person calls it; "" when none does."""
        if loop not in self._writing:
            inside = [each for each in loop.function.calls if loop in each.loops]
            found = (
                f"{_called(sending)} ({shown(text)})"
                for call in inside if self._project.reach.behind(call, *STATEMENTS)
                for sending in sendings(self._project, reader, call)
                for text in said_texts(self._project, reader, sending) if writes(text)
            )  # fmt: skip
            self._writing[loop] = next(found, "")
        return self._writing[loop]


def _called(sending: Sending) -> str:
    """Return a statement as a person calls it: by its function, or the line that it stands in."""
    function = sending.call.function
    return f"{function.name}()" if sending.call is not sending.start else f"line {sending.call.node.lineno}"
