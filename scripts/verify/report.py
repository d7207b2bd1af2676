"""What a verification found, as a table and as JSON; page.py makes the HTML of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .compare import Difference
from .run import Result

HEADS = ("request", "status", "bytes", "statements", "connections", "ms", "verdict")
WIDEST = 46  # characters of a request in the table


@dataclass
class Report:
    """A verification's outcome.

    Attributes:
        before, after: how the two versions are called.
        served: how each side was served.
        results: in the order in which they were asked.
        notes: about the database and about routes.
    """

    before: str
    after: str
    served: tuple[str, str]
    results: list[Result]
    notes: list[str] = field(default_factory=list)
    at_import: list[Difference] = field(default_factory=list)

    def __post_init__(self) -> None:
        same = [each for each in self.results if not each.verdict.differences]
        failing = [each for each in same if each.before[0].answer.status >= 500]
        if failing:
            self.notes.append(
                f"{len(failing)} of the requests fail with 5xx on both sides, which proves little: is the "
                f"database filled, is a session missing? First: {failing[0].request.label}"
            )

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return not self.differing and not self.at_import

    @property
    def differing(self) -> list[Result]:
        """Return the requests that are not answered the same."""
        return [each for each in self.results if each.verdict.differences]

    @property
    def summary(self) -> str:
        """Return the outcome in one line."""
        count = len(self.results)
        varying = sum(each.word == "varies" for each in self.results)
        ending = f", {varying} of them in parts that vary from run to run" if varying else ""
        if self.at_import and not self.differing:
            return "different: the apps make another database when they are imported"
        if not self.differing:
            return f"same: {count} requests answered the same{ending}"
        return f"different: {len(self.differing)} of {count} requests are answered otherwise"

    def text(self) -> str:
        """Return it for a terminal."""
        rows = [HEADS, *map(cells_of, self.results)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [f"before: {self.before} ({self.served[0]})", f"after:  {self.after} ({self.served[1]})", ""]
        for row in rows:
            cells = [cell.ljust(width) if column in (0, 6) else cell.rjust(width)
                     for column, (cell, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
            lines.append("  ".join(cells).rstrip())
        lines += ["", "when the app is imported", *_shown(self.at_import)] if self.at_import else []
        for each in self.results:
            lines += _details(each)
        lines += ["", *(f"note: {note}" for note in self.notes)] if self.notes else []
        return "\n".join([*lines, "", f"{self.totals()}{self.summary}"])

    def totals(self) -> str:
        """Return the statements and connections of all requests together; "" where nothing was counted."""
        parts = []
        for what, pairs in (("statements", [each.statements() for each in self.results]),
                            ("connections opened", [each.connections() for each in self.results])):  # fmt: skip
            known = [(one, other) for one, other in pairs if one is not None and other is not None]
            if known:
                parts.append(f"{what} {sum(one for one, _ in known)} -> {sum(other for _, other in known)}")
        return f"{', '.join(parts)}\n" if parts else ""

    def document(self) -> dict[str, Any]:
        """Return it as JSON's values."""
        return {
            "before": self.before, "after": self.after, "same": self.is_same, "summary": self.summary,
            "notes": self.notes, "at_import": [vars(each) for each in self.at_import],
            "requests": [_document(each) for each in self.results],
        }  # fmt: skip

    def json(self) -> str:
        """Return it as JSON."""
        return json.dumps(self.document(), indent=2, ensure_ascii=False)


def cells_of(result: Result) -> tuple[str, ...]:
    """Return a request's row of the table, in the order of HEADS."""
    one, other = result.before[0].answer, result.after[0].answer
    label = result.request.label
    share = f" ({result.verdict.share:.1%} compared)" if result.word == "varies" else ""
    return (
        label if len(label) <= WIDEST else f"{label[: WIDEST - 1]}…",
        _pair(one.status or "-", other.status or "-"), _pair(len(one.body), len(other.body)),
        _pair(*map(_known, result.statements())), _pair(*map(_known, result.connections())),
        " -> ".join("-" if each is None else f"{each:.1f}" for each in result.milliseconds()),
        f"{result.word}{share}",
    )  # fmt: skip


def _pair(one: object, other: object) -> str:
    return str(one) if one == other else f"{one} -> {other}"


def _known(count: int | None) -> str:
    return "-" if count is None else str(count)


def _details(result: Result) -> list[str]:
    if not result.verdict.differences and not result.verdict.notes:
        return []
    shown = _shown(result.verdict.differences)
    return ["", result.request.label, *shown, *(f"  note: {note}" for note in result.verdict.notes)]


def _shown(differences: list[Difference]) -> list[str]:
    lines = []
    for each in differences:
        lines += [f"  {each.what}:", f"    before: {_line(each.before)}", f"    after:  {_line(each.after)}"]
    return lines


def _line(text: str) -> str:
    """Return a text with its line ends and control characters written out, so that it stays on one line."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _document(result: Result) -> dict[str, Any]:
    one, other = result.before[0].answer, result.after[0].answer
    return {
        "method": result.request.method, "path": result.request.path, "route": result.request.rule,
        "verdict": result.word, "compared": round(result.verdict.share, 4),
        "status": [one.status, other.status], "bytes": [len(one.body), len(other.body)],
        "statements": list(result.statements()), "connections": list(result.connections()),
        "milliseconds": [None if each is None else round(each, 2) for each in result.milliseconds()],
        "writes": [result.before[0].wrote, result.after[0].wrote],
        "differences": [vars(each) for each in result.verdict.differences], "notes": result.verdict.notes,
    }  # fmt: skip
