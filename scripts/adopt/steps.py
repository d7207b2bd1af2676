"""The steps of adopting: the runtime, then one kind of fix after the other, each a commit of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..audit.finding import Finding
from ..fix.engine import Options, fix
from ..fix.fixer import Change, Fixer
from ..fix.fixers import FIXERS
from ..fix.result import Result
from ..fix.write import write
from ..vendor import slices
from ..vendor.make import make, planned
from .git import commit
from .story import Commit

Say = Callable[[str], None]


def vendored(folder: Path, into: str) -> Commit | None:
    """Copy the runtime into a work tree and commit it; None when it was there."""
    made = planned(folder, into, (slices.ALL,), has_files=True)
    make(made)
    told = made.text()
    name = commit(folder, f"vendor: the hardening kit's runtime as {made.place.package}", told, made.paths)
    notes = tuple(f"{each.path} {each.told}" for each in made.beside if each.data is None)
    return (
        Commit(name, f"vendor: the hardening kit's runtime as {made.place.package}", (), notes) if name else None
    )


def fixed(
    folder: Path, found: Iterable[Finding], is_unsafe: bool, say: Say, without: Iterable[Commit] = ()
) -> Iterator[Commit]:
    """Run each fixer that something is found for in its turn, and commit what it changes.

    Args:
        without: Commits that are not to be made again.
    """
    names = {each.name for each in found}
    unwanted = {each.rules for each in without}
    for fixer in sorted(FIXERS, key=lambda each: each.stage):
        if fixer.rules in unwanted or not names.intersection(fixer.rules):
            continue
        say(f"fixing: {', '.join(fixer.rules)}")
        result = fix(folder, Options((fixer,), frozenset(fixer.rules), is_unsafe=is_unsafe))
        if result.files:
            write(folder, result.files)
            yield _committed(folder, fixer, result)
            names = {each.name for each in result.audit.findings}


def _committed(folder: Path, fixer: Fixer, result: Result) -> Commit:
    places = tuple(f"{each.place.path}:{each.place.line}" for each in result.changes)
    notes = tuple(dict.fromkeys(each.note for each in result.changes if each.note))
    subject = f"{fixer.rules[0]}: {_title(result.changes[0].title)}"
    lines = [f"{where} {each.title}" for where, each in zip(places, result.changes, strict=True)]
    body = "\n".join([*lines, *(f"\n{note}" for note in notes)])
    name = commit(folder, subject, body, [each.path for each in result.files])
    return Commit(name, subject, places, notes, _environment(result.changes), fixer.rules)


def _title(text: str) -> str:
    return text if len(text) <= 90 else f"{text[:87]}..."


def left(folder: Path, is_unsafe: bool) -> Result:
    """Return what all fixers say of a work tree as it is now."""
    return fix(folder, Options(FIXERS, is_unsafe=is_unsafe))


def _environment(changes: tuple[Change, ...]) -> tuple[str, ...]:
    """Return the names of the variables that the changes made the app read."""
    names = {line.partition("=")[0].strip() for each in changes for new in each.files for line in new.lines}
    return tuple(sorted(name for name in names if name and not name.startswith("#")))
