"""Runs rules over a folder: what `harden audit` reports, before anything is selected by baseline or revision.

Nothing that is audited is executed. A rule that fails is reported beside the others' findings; were it fatal, one
strange file would hide all that the rest know.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from .finding import Finding, in_order
from .fingerprints import Fingerprint, Fingerprints
from .fixable import marked
from .ignores import Ignore, ignores
from .model.build import build
from .model.project import Broken, Project
from .rule import Rule
from .rules import broken_file, unused_ignore
from .selection import closest, named
from .sources import SECRETS, Sources

DEPTH = 6000  # calls; a visitor takes two or three for each level of a tree
Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Result:
    """What was found.

    Attributes:
        findings: In order, without the ignored ones.
        files: How many Python files were read.
        lines: Their lines, empty ones included.
        routes: How many URLs the project answers.
        is_web: Whether anything imports flask or psycopg2.
    """

    findings: tuple[Finding, ...]
    broken: tuple[Broken, ...]
    files: int
    lines: int
    routes: int
    is_web: bool
    sources: Sources
    fingerprints: Fingerprints

    @property
    def figures(self) -> dict[str, int]:
        """How much was read."""
        return {"files": self.files, "lines": self.lines, "routes": self.routes}

    def fingerprint(self, finding: Finding) -> Fingerprint:
        """Return what stays of a finding when lines move."""
        return self.fingerprints.of(finding)

    def only(self, findings: Iterable[Finding]) -> Result:
        """Return the same result with some of its findings."""
        return replace(self, findings=tuple(findings))


def audit(path: Path, rules: Sequence[Rule], say: Say | None = None, exclude: Iterable[str] = (),
          known: Sequence[Rule] = ()) -> Result:  # fmt: skip
    """Look at a folder or a file.

    Args:
        rules: Those that look.
        say: Told what is under way, and how far it is.
        exclude: Patterns of relative paths to leave out.
        known: Every rule that a comment may name; `rules` when empty.

    Raises:
        OSError: The folder itself cannot be read.
    """
    return examined(build(path, exclude, say), rules, say, known)


def examined(
    project: Project, rules: Sequence[Rule], say: Say | None = None, known: Sequence[Rule] = ()
) -> Result:
    """Let rules look at a project that is built; the arguments are those of `audit`."""
    found: list[Finding] = []
    with deep():
        for count, rule in enumerate(rules):
            if say:
                say("looking", count, len(rules))
            found.extend(_looked(rule, project))
    sources = Sources(project)
    for each in found:
        if each.rule == SECRETS:
            for place in (each.place, *each.more):
                sources.hide(place.path, range(place.line, place.end_line + 1))
    left = _without_ignored(project, found, rules, known or rules)
    return Result(
        tuple(in_order(map(marked, left))), tuple(sorted(project.broken)),
        len(project.modules) + len(project.broken),
        sum(len(module.lines) for module in project.modules), len(list(project.routes())), _is_web(project),
        sources, Fingerprints(project, sources),
    )  # fmt: skip


@contextmanager
def deep() -> Iterator[None]:
    """Let rules walk whatever was parsed: Python parses trees as deep as its limit, and a walk takes more."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _looked(rule: Rule, project: Project) -> list[Finding]:
    try:
        return list(rule.check(project))
    except Exception as error:
        text = f"the rule {rule.name} failed here ({type(error).__name__}); its findings are missing"
        project.broken.append(Broken(".", 1, 1, text))
        return [broken_file.RULE.at(broken_file.place(project.broken[-1]), text)]


def _without_ignored(
    project: Project, found: list[Finding], ran: Sequence[Rule], known: Sequence[Rule]
) -> Iterator[Finding]:
    """Yield what no comment speaks for, and what is wrong with the comments."""
    comments = ignores(project)
    used: set[tuple[Ignore, str]] = set()
    names = {each: {rule.id for word in each.words for rule in named(word, known)} for each in comments}
    by_file: dict[str, list[Ignore]] = {}
    for each in comments:
        by_file.setdefault(each.place.path, []).append(each)
    for finding in found:
        hits = [
            (each, word)
            for each in by_file.get(finding.place.path, [])
            if finding.rule in names[each] and finding.place.line in each.lines
            for word in each.words
            if finding.rule in {rule.id for rule in named(word, known)}
        ]
        used.update(hits)
        if not hits:
            yield finding
    if unused_ignore.RULE in ran:
        for each in comments:
            yield from _unused(each, used, ran, known)


def _unused(
    ignore: Ignore, used: set[tuple[Ignore, str]], ran: Sequence[Rule], known: Sequence[Rule]
) -> Iterator[Finding]:
    """Yield the words of a comment that no rule has, or whose rules ran and found nothing there."""
    for word in ignore.words:
        meant = named(word, known)
        if not meant:
            message = f"there is no rule {word!r} to ignore{closest(word, known)}"
            yield unused_ignore.RULE.at(ignore.place, message)
        elif (ignore, word) not in used and {rule.id for rule in meant} <= {rule.id for rule in ran}:
            yield unused_ignore.RULE.at(ignore.place, f"{word} has nothing to ignore here")


def _is_web(project: Project) -> bool:
    """Whether the code has to do with what the rules know."""
    lines = (line for module in project.modules for line in module.lines)
    return any(("import" in line) and ("flask" in line.lower() or "psycopg" in line) for line in lines)
