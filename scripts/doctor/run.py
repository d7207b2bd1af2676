"""Lets rules look at a database, one after the other, and keeps what was found whatever happens to the connection.

A rule that cannot see becomes a finding of its own (H901), so that a report without findings means "in order" and
never "not looked".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..audit.finding import Confidence, Finding, Severity, in_order
from ..audit.fingerprints import Fingerprint
from ..audit.model.project import Broken, Project
from ..audit.sources import Sources
from .advice import Advice, LiveRule
from .ignores import faults, ignores, left
from .rules.itself import NOT_CHECKED, UNUSED_IGNORE
from .session import Lost, NotSeen
from .target import Target


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes:
        findings: In order, without the ignored ones.
        broken: What was not checked, and why; as "H502, H503".
        figures: How much was looked at, by "tables", "indexes", "statements".
        is_lost: Whether the database went away, or a rule failed.
    """

    findings: tuple[Finding, ...]
    broken: tuple[Broken, ...] = ()
    figures: dict[str, int] = field(default_factory=dict)
    is_lost: bool = False
    sources: Sources = field(default_factory=lambda: Sources(Project(Path())))
    routes: int = 0

    def fingerprint(self, finding: Finding) -> Fingerprint:
        """Return what stays of a finding from run to run: its rule, the thing, and what sets it apart there."""
        key = finding.key if isinstance(finding, Advice) else ""
        return Fingerprint(finding.place.path, finding.rule, "", key)

    def only(self, findings: Iterable[Finding]) -> Examination:
        """Return the same with some of its findings."""
        return replace(self, findings=tuple(findings))


class _Unseen:
    """Rules by the reason for which they could not look."""

    def __init__(self) -> None:
        self.by_reason: dict[str, list[str]] = {}
        self.is_lost = False

    def add(self, rule: LiveRule, reason: str, is_lost: bool = False) -> None:
        self.by_reason.setdefault(reason, []).append(rule.id)
        self.is_lost = self.is_lost or is_lost

    @property
    def rules(self) -> set[str]:
        return {rule for rules in self.by_reason.values() for rule in rules}

    def broken(self) -> tuple[Broken, ...]:
        found = ((", ".join(rules), reason) for reason, rules in self.by_reason.items())
        return tuple(Broken(rules, 0, 0, reason) for rules, reason in sorted(found))


def examined(target: Target, rules: Sequence[LiveRule], known: Sequence[LiveRule] = ()) -> Examination:
    """Let rules look.

    Args:
        rules: Those that look.
        known: Every rule that a comment may name; `rules` when empty.

    Raises:
        CommandError: There is no database that can be looked at.
    """
    found: list[Advice] = []
    unseen = _Unseen()
    for count, rule in enumerate(rules):
        target.say(rule.name, count, len(rules))
        found.extend(_looked(rule, target, unseen))
    found = list(_heard(target, found, rules, known or rules, unseen))
    found.extend(_not_checked(unseen) if NOT_CHECKED in rules else ())
    project = target.project
    return Examination(
        tuple(in_order(found)), unseen.broken(), _figures(target), unseen.is_lost,
        Sources(project or Project(Path())), len(list(project.routes())) if project else 0,
    )  # fmt: skip


def _looked(rule: LiveRule, target: Target, unseen: _Unseen) -> Iterator[Advice]:
    """Yield what a rule finds, up to the moment when it can see no more."""
    try:
        yield from rule.check(target)
    except NotSeen as error:
        unseen.add(rule, str(error))
    except Lost as error:
        unseen.add(rule, f"the database went away: {error}", is_lost=True)
    except Exception as error:  # one rule's fault must not hide what the others know
        unseen.add(rule, f"the rule failed here ({type(error).__name__}: {error}); its findings are missing", True)


def _heard(target: Target, found: list[Advice], rules: Sequence[LiveRule], known: Sequence[LiveRule],
           unseen: _Unseen) -> Iterator[Advice]:  # fmt: skip
    """Yield what the database's own comments leave, and what is wrong with those."""
    try:
        catalog, database = target.catalog, target.server.database
    except (NotSeen, Lost):
        yield from found
        return
    comments = ignores(catalog, database)
    yield from left(found, comments, known)
    if UNUSED_IGNORE in rules:
        ran = [rule for rule in rules if rule.id not in unseen.rules]
        for where, message in faults(comments, found, ran, known):
            yield UNUSED_IGNORE.on(where, message, key=message)


def _not_checked(unseen: _Unseen) -> Iterator[Advice]:
    for each in unseen.broken():
        severity = Severity.medium if unseen.is_lost else NOT_CHECKED.severity
        yield NOT_CHECKED.on("doctor", f"{each.path} not checked: {each.reason}", severity=severity,
                             confidence=Confidence.high, key=each.path)  # fmt: skip


def _figures(target: Target) -> dict[str, int]:
    try:
        catalog = target.catalog
    except (NotSeen, Lost):
        return {"tables": 0, "indexes": 0}
    return {"tables": len(catalog.tables), "indexes": len(catalog.indexes)}
