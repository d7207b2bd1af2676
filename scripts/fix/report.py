"""What `harden fix` says: what is fixed, what is left alone and why, and how much of each.

No value of a secret gets out here; only the diff shows the code as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ..audit.finding import Finding, Place
from ..audit.report.masking import masked
from ..audit.report.report import numbered
from ..audit.report.text import clean
from ..audit.sources import is_telling
from .fixer import Change, Fixer, Left
from .result import Result

FEW = 5  # places of a rule that are named, unless all are asked for
NO_FIXER = "no automatic fix: "


@dataclass(frozen=True)
class Report:
    """A result as it is told.

    Attributes:
        is_written: Whether the files are written; places are in the files as they are then.
        is_whole: Whether every place is named.
    """

    result: Result
    is_written: bool = False
    is_whole: bool = False

    def line(self, place: Place) -> int:
        """Return a place's line in the files as they are now: what is left is known by those of afterwards."""
        known = self.result.lines.get(place.path)
        if self.is_written or not known:
            return place.line
        return known[min(place.line, len(known)) - 1]


def text(report: Report) -> str:
    """Return the report for people, without the diff."""
    result = report.result
    known = [each for each in result.left if not each.reason.startswith(NO_FIXER)]
    others = [each for each in result.left if each.reason.startswith(NO_FIXER)]
    blocks = [
        _block("fixed:" if report.is_written else "would be fixed:", _changes(result.changes, report, False)),
        _block("left alone:", _left(known, report)),
        _block("no automatic fix; `harden audit` says what to do:", _others(others, report)),
        _block("only with --unsafe-fixes:", _changes(result.unsafe, report, True)),
        summary(report) + "\n",
    ]
    return "\n".join(filter(None, blocks))


def _block(title: str, lines: Iterable[str]) -> str:
    found = "".join(f"  {line}\n" for line in lines)
    return f"{title}\n{found}" if found else ""


def _changes(changes: Sequence[Change], report: Report, is_mapped: bool) -> Iterator[str]:
    """Yield the changes by rule.

    Args:
        is_mapped: Whether their places are in the files as they are afterwards.
    """
    for (rule, name), each in groupby(sorted(changes, key=_rule_of), key=_rule_of):
        group = list(each)
        yield f"{name} ({rule}): {len(group)}"
        for change in _few(group, report):
            line = report.line(change.place) if is_mapped else change.place.line
            yield f"  {clean(change.place.path)}:{line} {shown(change.title)}"
            if change.note:
                yield f"      {shown(change.note)}"
        yield from _rest(group, report)


def _rule_of(change: Change) -> tuple[str, str]:
    return change.findings[0].rule, change.findings[0].name


def _left(left: Sequence[Left], report: Report) -> Iterator[str]:
    by_rule = sorted(left, key=lambda each: each.finding.rule)
    for (rule, name), each in groupby(by_rule, key=lambda each: (each.finding.rule, each.finding.name)):
        group = list(each)
        yield f"{name} ({rule}): {len(group)}"
        for one in _few(group, report):
            place = one.finding.place
            yield f"  {clean(place.path)}:{report.line(place)} {shown(one.reason)}"
            yield from (f"      | {shown(line)}" for line in one.suggestion.splitlines())
        yield from _rest(group, report)


def _others(left: Sequence[Left], report: Report) -> Iterator[str]:
    if report.is_whole:
        yield from _left([Left(each.finding, each.finding.fix or each.finding.message) for each in left], report)
        return
    counts: dict[str, int] = {}
    for each in left:
        counts[each.finding.name] = counts.get(each.finding.name, 0) + 1
    if counts:
        yield ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _few(group: Sequence[Any], report: Report) -> Sequence[Any]:
    return group if report.is_whole else group[:FEW]


def _rest(group: Sequence[Any], report: Report) -> Iterator[str]:
    if len(group) > FEW and not report.is_whole:
        yield f"  and {len(group) - FEW} more; --reasons names them"


def shown(words: str) -> str:
    """Return a line as it may be shown: printable, and without what may be a secret."""
    words = clean(words)
    return masked(words) if is_telling(words) else words


def summary(report: Report) -> str:
    """Return the last line."""
    result = report.result
    mended = len({finding for change in result.changes for finding in change.findings})
    done = "fixed" if report.is_written else "would fix"
    if not result.changes:
        parts = ["nothing to fix"]
    else:
        parts = [f"{done} {numbered(mended, 'finding')} in {numbered(len(result.files), 'file')}"]
    if result.left:
        parts.append(f"{len(result.left)} left alone")
    if result.unsafe:
        parts.append(f"{len(result.unsafe)} more with --unsafe-fixes")
    if result.changes and not report.is_written:
        parts.append("--write does it")
    return "; ".join(parts)


def document(report: Report) -> str:
    """Return the report as JSON; it holds no code but suggestions."""
    result = report.result
    found = {
        "fixed": [_change(each, each.place.line) for each in result.changes],
        "left": [{**_finding(each.finding, report), "reason": shown(each.reason),
                  "suggestion": "\n".join(map(shown, each.suggestion.splitlines()))} for each in result.left],
        "unsafe": [_change(each, report.line(each.place)) for each in result.unsafe],
        "files": [{"path": each.path, "is_new": each.before is None} for each in result.files],
        "kit": result.kit,
        "is_written": report.is_written,
        "summary": summary(report),
    }  # fmt: skip
    return json.dumps(found, indent=2) + "\n"


def _change(change: Change, line: int) -> dict[str, Any]:
    return {
        "rules": sorted({each.rule for each in change.findings}),
        "names": sorted({each.name for each in change.findings}),
        "path": change.place.path, "line": line, "title": shown(change.title), "note": shown(change.note),
        "is_safe": change.is_safe,
    }  # fmt: skip


def _finding(finding: Finding, report: Report) -> dict[str, Any]:
    return {"rule": finding.rule, "name": finding.name, "path": finding.place.path,
            "line": report.line(finding.place), "message": finding.message}  # fmt: skip


def listed(fixers: Sequence[Fixer]) -> str:
    """Return the fixers with what they leave alone."""
    made = []
    for each in sorted(fixers, key=lambda each: (each.stage, each.rules)):
        made.append(f"{', '.join(each.rules)} (stage {each.stage})\n  {each.title}\n")
        made += [f"  leaves alone: {line}\n" for line in each.leaves_alone]
    return "".join(made)
