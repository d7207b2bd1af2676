"""The findings that were there before: kept in a file, so that old code does not fail the build and new code does.

Entries are counted, not only named: a second finding that looks like a known one is new.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from ..atomic import write_atomically
from ..errors import CommandError
from .finding import Finding
from .fingerprints import Fingerprint

VERSION = 1


class Looked(Protocol):
    """What is compared: an audit's result, or the doctor's."""

    @property
    def findings(self) -> Sequence[Finding]:
        """All of them, in order."""

    def fingerprint(self, finding: Finding) -> Fingerprint:
        """Return what stays of a finding from run to run."""


class Compared(NamedTuple):
    """What is new beside a set of known findings, and how many of those are gone."""

    new: tuple[Finding, ...]
    gone: int


def counted(result: Looked) -> Counter[Fingerprint]:
    """Return a result's findings as a baseline keeps them."""
    return Counter(result.fingerprint(each) for each in result.findings)


def compared(result: Looked, before: Counter[Fingerprint]) -> Compared:
    """Return the findings that are more than the known ones; of equal ones the last are new."""
    left = before.copy()
    new = []
    for finding in result.findings:
        known = result.fingerprint(finding)
        if left[known]:
            left[known] -= 1
        else:
            new.append(finding)
    return Compared(tuple(new), left.total())


def written(result: Looked) -> str:
    """Return the text of a baseline: sorted, so that it merges and diffs well."""
    entries = [{**known._asdict(), "count": count} for known, count in sorted(_rows(counted(result)))]
    return json.dumps({"version": VERSION, "findings": entries}, indent=1, ensure_ascii=False) + "\n"


def write(result: Looked, path: Path) -> None:
    """Write a baseline.

    Raises:
        CommandError: The file cannot be written.
    """
    try:
        write_atomically(path, written(result))
    except OSError as error:
        raise CommandError(str(error)) from None


def read(path: Path) -> Counter[Fingerprint]:
    """Read a baseline.

    Raises:
        CommandError: It cannot be read, or is none.
    """
    advice = "write it anew with --write-baseline"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["version"] != VERSION:
            raise CommandError(f"{path} is a baseline of version {found['version']}, not {VERSION}; {advice}")
        return Counter({_fingerprint(each): int(each["count"]) for each in found["findings"]})
    except OSError as error:
        raise CommandError(
            f"cannot read the baseline {path}: {error.strerror}; make it with --write-baseline"
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CommandError(f"{path} is no baseline of this command; {advice}") from None


class _Row(NamedTuple):
    path: str
    rule: str
    function: str
    source: str


def _rows(found: Counter[Fingerprint]) -> Iterable[tuple[_Row, int]]:
    for each, count in found.items():
        yield _Row(each.path, each.rule, each.function, each.source), count


def _fingerprint(entry: dict[str, str]) -> Fingerprint:
    return Fingerprint(*(str(entry[name]) for name in _Row._fields))
