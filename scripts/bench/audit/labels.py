"""What a reader found in each repository: what must be reported, what may be, what looks like a fault and is none.

The corpus is JSON, a list of repositories; docs/audit-proof.md says what the labels mean. Amendments are kept
apart, so that both scores can be shown: with our corrections and without.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import CommandError

LABELS = Path(__file__).with_name("labels.json")
AMENDMENTS = Path(__file__).with_name("amendments.json")
KINDS = ("findings", "neutral", "traps")


@dataclass(frozen=True)
class Label:
    """One place.

    Attributes:
        line: The anchor; `first` and `last` are the lines of its statement, the anchor among them.
        span: First and last line of the function around it, for rules that are about a whole function.
        also: Places, as path and line, where a report of the same thing is equally right.
    """

    rule: str
    path: str
    line: int
    first: int
    last: int
    span: tuple[int, int] | None = None
    also: tuple[tuple[str, int], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Repository:
    """A repository at a commit.

    Attributes:
        name: "owner/name" on GitHub.
        findings: Must be reported.
        neutral: May be reported; never counted.
        traps: Must not be reported.
    """

    name: str
    commit: str
    findings: tuple[Label, ...]
    neutral: tuple[Label, ...]
    traps: tuple[Label, ...]

    @property
    def folder(self) -> str:
        """Its folder's name among the checkouts."""
        return self.name.replace("/", "+")


def read_labels(file: Path) -> tuple[Repository, ...]:
    """Return the repositories of a corpus.

    Raises:
        CommandError: The file cannot be read, or is no corpus.
    """
    try:
        return tuple(_repository(each) for each in _read(file))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CommandError(f"{file} is no corpus ({error!r}); see docs/audit-proof.md for its form") from None


def read_amendments(file: Path) -> tuple[dict[str, Any], ...]:
    """Return the amendments: each a label with `repo`, `is` (one of KINDS, or "nothing") and `reason`.

    Raises:
        CommandError: The file cannot be read, or an amendment lacks something.
    """
    found = tuple(_read(file))
    for each in found:
        lacking = {"repo", "path", "line", "rule", "is", "reason"} - set(each)
        if lacking or each["is"] not in (*KINDS, "nothing") or not each["reason"]:
            what = ", ".join(sorted(lacking)) or "a reason or a kind"
            raise CommandError(f"{file}: an amendment lacks {what}: {each}")
    return found


def amended(repositories: Iterable[Repository], amendments: Iterable[Mapping[str, Any]]) -> tuple[Repository, ...]:
    """Return the corpus with every amendment applied: a label is moved, taken away or added."""
    by_repository: dict[str, list[Mapping[str, Any]]] = {}
    for each in amendments:
        by_repository.setdefault(each["repo"], []).append(each)
    return tuple(_amend(each, by_repository.get(each.name, [])) for each in repositories)


def _amend(repository: Repository, amendments: Iterable[Mapping[str, Any]]) -> Repository:
    for each in amendments:
        new = _label(each)
        old = [label for kind in KINDS for label in getattr(repository, kind) if _is_same(label, new)]
        left: dict[str, Any] = {
            kind: tuple(label for label in getattr(repository, kind) if label not in old) for kind in KINDS
        }
        if each["is"] != "nothing":
            # A label that moves keeps its statement, its function and its other places.
            kept = [replace(label, note=each["reason"]) for label in old] or [replace(new, note=each["reason"])]
            left[each["is"]] += tuple(kept)
        repository = replace(repository, **left)
    return repository


def _is_same(one: Label, other: Label) -> bool:
    return (one.rule, one.path, one.line) == (other.rule, other.path, other.line)


def _read(file: Path) -> list[Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from None
    except ValueError as error:
        raise CommandError(f"{file} is no JSON: {error}") from None
    if not isinstance(found, list):
        raise CommandError(f"{file} is no list; see docs/audit-proof.md for its form")
    return found


def _repository(entry: Mapping[str, Any]) -> Repository:
    kinds = {kind: tuple(_label(each) for each in entry[kind]) for kind in KINDS}
    return Repository(entry["repo"], entry["commit"], **kinds)


def _label(entry: Mapping[str, Any]) -> Label:
    line = int(entry["line"])
    first, last = entry.get("stmt") or (line, line)
    span = entry.get("span")
    also = tuple((place.rpartition(":")[0], int(place.rpartition(":")[2])) for place in entry.get("also") or ())
    return Label(
        entry["rule"], entry["path"], line, min(first, line), max(last, line),
        (span[0], span[1]) if span else None, also, entry.get("note", ""),
    )  # fmt: skip
