"""What is to be changed: the doctor's findings, from a file or fresh, each change once with all its reasons."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CommandError
from ..progress import Progress
from .sqltext import KINDS


@dataclass(frozen=True)
class Wanted:
    """A change, and the findings that ask for it.

    Attributes:
        kind, up, down, table, name, probes: As `scripts.doctor.advice.Change` has them.
        reasons: "H501 missing-foreign-key-index at public.orders: the message".
    """

    kind: str
    up: tuple[str, ...]
    down: tuple[str, ...]
    table: str
    name: str
    probes: tuple[str, ...]
    reasons: tuple[str, ...]


def from_file(path: Path, select: Sequence[str]) -> list[Wanted]:
    """Return the changes of a report of `harden doctor --format json`.

    Raises:
        CommandError: it cannot be read, or is no such report.
    """
    try:
        findings = json.loads(path.read_text(encoding="utf-8"))["findings"]
        found = [_wanted(each) for each in findings if each.get("change") and _is_chosen(each, select)]
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise CommandError(f"{path} is no report of the doctor; write it by: scripts/harden doctor "
                           f"--format json --output {path}") from None  # fmt: skip
    return merged(found)


def from_database(options: argparse.Namespace) -> list[Wanted]:
    """Let the doctor look, and return the changes that it advises."""
    from ..audit.selection import chosen
    from ..doctor.command import looked
    from ..doctor.rules import RULES

    rules = chosen(RULES, options.select, ())
    result, _, _ = looked(options, tuple(each for each in RULES if each in rules))
    if result.is_lost:
        raise CommandError("the database went away half-way; nothing was written, run it again")
    for broken in result.broken:
        Progress()(f"not checked: {broken.path}: {broken.reason}")
    found = [{"rule": each.rule, "name": each.name, "path": each.place.path, "message": each.message,
              **each.more_fields} for each in result.findings]  # fmt: skip
    return merged(_wanted(each) for each in found if each.get("change"))


def _is_chosen(finding: dict[str, Any], select: Sequence[str]) -> bool:
    return not select or any(
        word.lower() == finding["name"] or (re.fullmatch(r"[Hh]\d{0,3}", word) and
                                            finding["rule"].startswith(word.upper()))
        for word in select
    )  # fmt: skip


def _wanted(finding: dict[str, Any]) -> Wanted:
    change = finding["change"]
    reason = f"{finding['rule']} {finding['name']} at {finding['path']}: {finding['message']}"
    return Wanted(str(change["kind"]), _texts(change["up"]), _texts(change["down"]), str(change["table"]),
                  str(change["name"]), _texts(change["probes"]), (reason,))  # fmt: skip


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, (list, tuple)):
        raise TypeError("a list of statements is wanted")
    return tuple(str(each) for each in values)


def merged(changes: Iterable[Wanted]) -> list[Wanted]:
    """Return changes in the order in which they are to run; those with equal statements become one.

    Indexes are made before any is dropped, for a new one may take the place of one that goes.
    """
    by_text: dict[tuple[str, ...], Wanted] = {}
    for each in changes:
        before = by_text.get(each.up)
        if before is not None:
            probes = tuple(dict.fromkeys((*before.probes, *each.probes)))
            each = Wanted(before.kind, before.up, before.down, before.table, before.name, probes,
                          tuple(dict.fromkeys((*before.reasons, *each.reasons))))  # fmt: skip
        by_text[each.up] = each
    rank = {kind: place for place, kind in enumerate(KINDS)}
    return sorted(by_text.values(), key=lambda each: rank.get(each.kind, len(rank)))
