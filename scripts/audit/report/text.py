"""Findings for a terminal: location, message, numbered source with what is meant underlined, and the way out."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator

from ..finding import Evidence, Finding, Place, Severity
from ..score import FIRST, Step
from .report import Report, numbered

Paint = Callable[[str, str], str]
COLOURS = {Severity.critical: "1;35", Severity.high: "1;31", Severity.medium: "33", Severity.low: "36"}
BOLD, BLUE = "1", "34"
MORE = 5  # places named before "and N more"
EVIDENCE = 4  # places it rests on that are shown
LONGEST = 4  # source lines of one place


def coloured(text: str, code: str) -> str:
    """Paint for a terminal."""
    return f"\x1b[{code}m{text}\x1b[0m"


def plain(text: str, code: str) -> str:
    """Paint nothing."""
    return text


def render(report: Report, paint: Paint = plain) -> str:
    """Return the whole report."""
    blocks = ["\n".join(_finding(each, report, paint)) for each in report.shown]
    blocks.append("\n".join(_summary(report, paint)))
    return "\n\n".join(blocks) + "\n"


def _finding(finding: Finding, report: Report, paint: Paint) -> Iterator[str]:
    colour = COLOURS[finding.severity]
    doubt = "" if finding.confidence == 3 else f", confidence {finding.confidence.name}"
    head = f"{finding.rule} {finding.name} [{finding.severity.name}{doubt}]"
    yield f"{paint(head, colour)} {paint(clean(finding.message), BOLD)}"
    width = max(len(str(place.end_line)) for place in (finding.place, *(each.place for each in finding.evidence)))
    yield from _excerpt(finding.place, report, paint, "^", width)
    for each in finding.evidence[:EVIDENCE]:
        yield from _evidence(each, finding, report, paint, width)
    margin = " " * width
    if len(finding.evidence) > EVIDENCE:
        left = numbered(len(finding.evidence) - EVIDENCE, "place")
        yield f"{margin} {paint('=', BLUE)} and {left} that it rests on"
    if finding.more:
        yield f"{margin} {paint('=', BLUE)} and {_places(finding)}"
    if finding.routes:
        yield f"{margin} {paint('=', BLUE)} on the way of: {_routes(finding.routes)}"
    for word, said in finding.remarks:
        yield f"{margin} {paint('=', BLUE)} {paint(f'{word}:', BOLD)} {clean(said)}"


def _evidence(each: Evidence, finding: Finding, report: Report, paint: Paint, width: int) -> Iterator[str]:
    note = f"{' ' * width} {paint('=', BLUE)} {clean(each.text)}"
    if each.place == finding.place or not each.place.line:
        yield note
        return
    yield f"{note}:"
    yield from _excerpt(each.place, report, paint, "-", width)


def _excerpt(place: Place, report: Report, paint: Paint, mark: str, width: int) -> Iterator[str]:
    """Yield a place: where it is, its lines, and marks below the first."""
    margin, bar = " " * width, paint("|", BLUE)
    yield f"{margin}{paint('-->', BLUE)} {clean(place.exactly)}"
    if not place.line:
        return
    shown = range(place.line, min(place.end_line, place.line + LONGEST - 1) + 1)
    lines = [report.sources.shown(place.path, number) for number in shown]
    if not any(lines):
        return
    for number, line in zip(shown, lines, strict=True):
        yield f"{paint(f'{number:>{width}}', BLUE)} {bar} {line}".rstrip()
        if number == place.line and not report.sources.is_secret(place.path, number):
            yield f"{margin} {bar} {paint(_underline(place, line, mark), BLUE if mark == '-' else BOLD)}"
    if place.end_line > shown[-1]:
        yield f"{margin} {bar} ... {numbered(place.end_line - shown[-1], 'more line')}"


def _underline(place: Place, line: str, mark: str) -> str:
    """Return marks below the columns of a place; wide letters take two."""
    start = min(max(place.col, 1), len(line) + 1)
    is_short = place.end_line == place.line and place.end_col > place.col
    end = min(place.end_col if is_short else len(line) + 1, len(line) + 1)
    return " " * _width(line[: start - 1]) + mark * max(_width(line[start - 1 : end - 1]), 1)


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text
    )


def _places(finding: Finding) -> str:
    named = ", ".join(clean(each.where) for each in finding.more[:MORE])
    left = len(finding.more) - MORE
    return f"{numbered(len(finding.more), 'more place')}: {named}{', ...' if left > 0 else ''}"


def _routes(routes: tuple[str, ...]) -> str:
    if "*" in routes:
        return "every request"
    named = ", ".join(clean(each) for each in routes[:MORE])
    return named + (f" and {len(routes) - MORE} more" if len(routes) > MORE else "")


def _summary(report: Report, paint: Paint) -> Iterator[str]:
    if report.shown:
        yield from _table(report, paint)
        yield ""
        yield paint("what to do first:", BOLD)
        for number, step in enumerate(report.steps[:FIRST], 1):
            yield from _step(number, step, report)
        yield ""
    grades = ", ".join(f"{count} {grade.name}" for grade, count in report.by_severity.items() if count)
    found = f"{numbered(len(report.shown), 'finding')} ({grades})" if grades else "nothing found"
    yield paint(f"{found} in {report.amount}; readiness {report.score} of 100", BOLD)
    fixable = sum(each.fixable for each in report.shown)
    if fixable:
        yield f"{numbered(fixable, 'of them has', 'of them have')} a fixer: harden fix shows what it would change"
    yield from report.notes


def _table(report: Report, paint: Paint) -> Iterator[str]:
    rows = {step.worst.name: step for step in report.steps}
    width = max(map(len, rows))
    for name, step in rows.items():
        worst = step.worst.severity
        label = paint(worst.name, COLOURS[worst])
        yield f"{len(step.findings):>5}  {step.worst.rule}  {name:<{width}}  {label}"


def _step(number: int, step: Step, report: Report) -> Iterator[str]:
    worst = step.worst
    routes = f", {numbered(step.routes, 'route')}" if step.routes else ""
    where = clean(worst.place.where)
    gain = f"readiness {report.score} -> {step.after}"
    count = numbered(len(step.findings), "finding")
    yield f"  {number}. {worst.name} ({worst.rule}, {worst.severity.name}): {count}{routes}, first {where}; {gain}"
    if worst.fix:
        yield f"     {clean(worst.fix)}"


def clean(text: str) -> str:
    """Return text without what a terminal would obey: file names and messages hold words of strangers."""
    return "".join(char if char.isprintable() else " " for char in text)
