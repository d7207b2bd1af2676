"""What checks say, as lines for people and as data for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from deploy.checks.outcome import FINDING, OK, SKIPPED, Finding, Outcome

NARROWEST = 40  # of what is said


def lines(outcomes: Sequence[Outcome], width: int) -> Iterator[str]:
    """Yield the table's lines, and the totals.

    Args:
        outcomes: in their order.
        width: columns of the whole.
    """
    names = max(len(each.name) for each in outcomes)
    for each in outcomes:
        head = f"{each.state:7}  {each.name:{names}}  "
        yield from _folded(head, _first(each), width)
        for finding in each.findings:
            yield from _finding(finding, names, width)
        for finding in each.accepted:
            yield from _folded(" " * 9 + f"{'accepted':{names}}  ", finding.key or finding.text, width)
    yield total(outcomes)


def total(outcomes: Sequence[Outcome]) -> str:
    """Return the line with how many there were of each."""
    count = {state: sum(each.state == state for each in outcomes) for state in (OK, FINDING, SKIPPED)}
    findings = sum(len(each.findings) for each in outcomes)
    said = f"{_counted(findings, 'finding')} of {_counted(count[FINDING], 'check')}" if findings else "no findings"
    return f"{said}; {count[OK]} ok, {count[SKIPPED]} skipped"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def data(source: str, kinds: Sequence[str], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "source": source,
        "kinds": list(kinds),
        "clean": not any(each.findings for each in outcomes),
        "checks": [asdict(each) for each in outcomes],
    }


def _first(each: Outcome) -> str:
    """Return the line beside a check's name: what it made sure of, what it looked at, or why it did not."""
    if each.state == SKIPPED:
        return each.text
    if each.state == FINDING:
        return f"expected: {each.about}{f' ({each.text})' if each.text else ''}"
    return f"{each.about}: {each.text}" if each.text else each.about


def _finding(finding: Finding, names: int, width: int) -> Iterator[str]:
    indent = " " * (names + 11)
    yield from _folded(f"{indent}- ", finding.text, width)
    yield from _folded(f"{indent}  > ", finding.mend, width)


def _folded(head: str, text: str, width: int) -> Iterator[str]:
    room = max(NARROWEST, width - len(head))
    first, *rest = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    yield f"{head}{first}".rstrip()
    yield from (f"{' ' * len(head)}{line}" for line in rest)
