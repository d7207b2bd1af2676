"""What becomes of what a check says: findings, accepted ones, skips, and what it trips over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deploy.checks.outcome import Check, Finding, Said, Skip, outcome, said
from deploy.checks.table import CHECKS
from deploy.errors import InputError
from deploy.pgbouncer_versions import HOLES

from .check_samples import subject

FOUND = (Finding("one", "mend", "CVE-1"), Finding("two", "mend"))


def _look(result: Said | Exception) -> Check:
    def look(_: object) -> Said:
        if isinstance(result, Exception):
            raise result
        return result

    return Check("try", "all is well", look)


def test_findings_are_a_finding_and_none_are_ok(tmp_path: Path) -> None:
    service = subject(tmp_path)
    assert outcome(_look(said(FOUND)), service).state == "finding"
    assert outcome(_look(said([], "three files")), service).text == "three files"
    assert outcome(_look(said([])), service).state == "ok"


@pytest.mark.parametrize(
    ("accepted", "open_ones", "state"), [("CVE-1", 1, "finding"), ("try", 0, "ok"), ("CVE-2", 2, "finding")]
)
def test_what_is_accepted_does_not_count_and_is_shown(
    accepted: str, open_ones: int, state: str, tmp_path: Path
) -> None:
    found = outcome(_look(said(FOUND)), replace(subject(tmp_path), accepted=frozenset({accepted})))
    assert (len(found.findings), found.state) == (open_ones, state)
    assert found.findings + found.accepted == FOUND or accepted == "CVE-1"


def test_a_check_that_cannot_look_is_skipped_with_its_reason(tmp_path: Path) -> None:
    found = outcome(_look(Skip("nothing here")), subject(tmp_path))
    assert (found.state, found.text) == ("skipped", "nothing here")
    found = outcome(_look(PermissionError(13, "Permission denied", "/x")), subject(tmp_path))
    assert found.state == "skipped"
    assert "/x" in found.text


def test_an_error_of_ours_is_a_finding(tmp_path: Path) -> None:
    assert outcome(_look(InputError("line 3 is none")), subject(tmp_path)).findings[0].text == "line 3 is none"


def test_names_of_checks_are_names_of_one_check_each() -> None:
    names = [check.name for check in CHECKS]
    assert len({*names, *(hole.finding.cve for hole in HOLES)}) == len(names) + len(HOLES)
