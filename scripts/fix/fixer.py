"""What a fixer is, and what it answers: a change that mends a site, or the reason why the site is left alone.

A fixer only looks: the audit's project and findings in, changes out. Who applies them is `engine.py`. Every
finding of a fixer's rules gets one answer, so that nothing is left in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..audit.finding import Finding, Place
from ..audit.model.code import Module
from ..audit.model.project import Project
from .source import Source


@dataclass(frozen=True, order=True)
class Edit:
    """Text that takes the place of a stretch of a file; `start == end` puts it in between.

    Attributes:
        path: Relative to the repository, with slashes.
        start, end: Offsets into `Source.text`, in characters.
        text: With "\\n" as line end; the engine writes the file's own.
    """

    path: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, order=True)
class Import:
    """A name that a file needs to have imported; the engine adds it once, where imports stand.

    `Import("app.py", "hardened", "prefetched")` is `from hardened import prefetched`; without `name` it is
    `import module`. A name that means something else in the file already is the fixer's business, before.
    """

    path: str
    module: str
    name: str = ""


@dataclass(frozen=True)
class NewFile:
    """Lines for a file (`.env.example`), made when it does not exist; those that it has are not added again."""

    path: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """One site that is mended: all of its edits are made, or none.

    Attributes:
        findings: What it mends.
        place: Where, for the list that people read.
        title: What is done here, in a line: "app.run() only when the file is run by hand, without debug".
        edits: They do not overlap.
        is_safe: Whether answers stay the same. False is applied only with `--unsafe-fixes`.
        note: What a person should know or do besides; empty when nothing.
        replaces: The calls, as written (`psycopg2.connect`) or by their last name (`format`), that another call
            takes the place of here. Any other call that is gone after the edits has the engine refuse the change.
    """

    findings: tuple[Finding, ...]
    place: Place
    title: str
    edits: tuple[Edit, ...]
    is_safe: bool = True
    imports: tuple[Import, ...] = ()
    files: tuple[NewFile, ...] = ()
    note: str = ""
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Left:
    """A finding that is left alone.

    Attributes:
        reason: Why, in a line: "the loop changes the list that it runs over".
        suggestion: Code to paste, made from the real statements; empty when there is none.
    """

    finding: Finding
    reason: str
    suggestion: str = ""


@dataclass
class Context:
    """What fixers look at.

    Attributes:
        root: The repository, or the copy of it that is worked on.
        project: The audit's model of it, fresh for each pass.
        findings: All of the audit's findings of this pass, in order.
        kit: What the vendored runtime is imported as, "hardened" or "app.hardened"; "" when there is none.
    """

    root: Path
    project: Project
    findings: Sequence[Finding]
    kit: str = ""
    _sources: dict[str, Source] = field(default_factory=dict)

    def of(self, *rules: str) -> list[Finding]:
        """Return the findings of some rules, by slug, in order."""
        return [each for each in self.findings if each.name in rules]

    def source(self, path: str) -> Source:
        """Return a file for editing.

        Raises:
            OSError, SyntaxError, UnicodeDecodeError: It cannot be read.
        """
        if path not in self._sources:
            self._sources[path] = Source.read(path, (self.root / path).read_bytes())
        return self._sources[path]

    def module(self, path: str) -> Module | None:
        """Return the audit's module for a path; None for one that does not parse."""
        return next((each for each in self.project.modules if each.path == path), None)


@dataclass(frozen=True)
class Fixer:
    """A fixer.

    Attributes:
        rules: The slugs of the rules whose findings it answers.
        title: What it does, in a sentence; shown by `--list-fixers` and in the docs.
        stage: When it runs; later stages see the code that earlier ones left. 1: statements and settings in the
            code. 2: how the app starts. 3: connections. 4: leaks and rollbacks. 5: loops.
        leaves_alone: What it does not touch, one sentence each.
        fix: Answers every finding of its rules.
    """

    rules: tuple[str, ...]
    title: str
    stage: int
    leaves_alone: tuple[str, ...]
    fix: Callable[[Context], Iterable[Change | Left]]
