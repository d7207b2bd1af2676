"""What a rule is: an ID that never changes, what it finds and why that matters, and the function that looks.

One file per rule in `rules/`, each with one `RULE`. The texts are shown by `--explain`, and a test holds the docs
to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from .finding import Confidence, Finding, Place, Severity

if TYPE_CHECKING:
    from .model.project import Project


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        id: Stable, "H201"; the hundreds are its group.
        name: The slug that people type.
        finds: What it reports, in a sentence.
        why: What it does in production, with figures where they were measured.
        fix: What to do about it.
        leaves_alone: What looks like it and is not reported, one sentence each.
        severity: Of a finding, unless the rule grades it.
        check: Yields the findings of a project.
        example: A few lines that it reports; shown by `--explain`, and tested.
        instead: The same lines, mended.
    """

    id: str
    name: str
    finds: str
    why: str
    fix: str
    leaves_alone: tuple[str, ...]
    severity: Severity
    check: Callable[[Project], Iterable[Finding]]
    example: str
    instead: str

    language: ClassVar[str] = "python"  # of the examples
    ignoring: ClassVar[str] = "to let one stand, on its line:  # harden: ignore[{id}] the reason"

    def at(self, place: Place, message: str, **more: Any) -> Finding:
        """Make a finding of this rule; `more` are a finding's other fields."""
        base = Finding(self.id, self.name, place, message, self.severity, Confidence.high, fix=self.fix)
        return replace(base, **more)
