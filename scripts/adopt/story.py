"""What one run of `harden adopt` did: the material for the pull request's text and for what is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..audit.finding import Finding
from ..fix.fixer import Left


@dataclass(frozen=True)
class Commit:
    """A commit of the branch.

    Attributes:
        name: Its short hash.
        subject: Its first line.
        places: What was changed, "app.py:12".
        notes: What a person should know or do besides.
        environment: The variables that it makes the app read.
        rules: Of the fixer that made it, by slug; none for the runtime.
    """

    name: str
    subject: str
    places: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proof:
    """What `harden verify` said.

    Attributes:
        is_same: Whether every answer stayed the same.
        summary: One line with the numbers.
        table: Its table, as text; empty when it could not run.
        reason: Why it could not run; empty when it did.
    """

    is_same: bool
    summary: str
    table: str = ""
    reason: str = ""


@dataclass
class Story:
    """All of it.

    Attributes:
        branch: The branch that was left.
        start: The commit that it starts from, short.
        scores: Readiness before and after, 0 to 100.
        before, after: Findings by rule.
        left: What is left to a person.
        reverted: Commits that changed answers, and were left out.
        unsafe: How many changes wait for --unsafe-fixes.
    """

    branch: str
    start: str
    commits: list[Commit] = field(default_factory=list)
    scores: tuple[int, int] = (0, 0)
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    reverted: list[Commit] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    unsafe: int = 0
    proof: Proof | None = None

    @property
    def environment(self) -> tuple[str, ...]:
        """The variables that the branch makes the app read."""
        return tuple(sorted({name for each in self.commits for name in each.environment}))


def by_rule(findings: Iterable[Finding]) -> Counter[str]:
    """Count findings by their rules' slugs."""
    return Counter(each.name for each in findings)
