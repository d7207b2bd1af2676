"""What a version of PgBouncer takes is what upstream's parser takes, and its holes are named with what helps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.errors import InputError
from deploy.pgbouncer_versions import NEWEST, entry_keys_of, findings, keys_of, read_version

GOLDEN = Path(__file__).resolve().parent / "golden" / "pgbouncer_keys.txt"


def _upstream() -> list[tuple[str, set[str], set[str]]]:
    """Return versions, with the keys of [pgbouncer] and of an entry that each one's parser takes."""
    text = re.sub(r"\n  ", " ", re.sub(r"^#.*\n", "", GOLDEN.read_text(), flags=re.MULTILINE))
    keys: dict[str, set[str]] = {"pgbouncer": set(), "databases": set()}
    found = []
    for line in text.splitlines():
        version, section, more = re.fullmatch(r"(\S+) (\w+):(.*)", line).groups()  # type: ignore[union-attr]
        keys[section] = keys[section] | set(more.split())
        if section == "databases":
            found.append((version, keys["pgbouncer"], keys["databases"]))
    return found


@pytest.mark.parametrize(("version", "keys", "entry_keys"), _upstream(), ids=lambda value: value)
def test_each_version_takes_what_its_own_parser_takes(version: str, keys: set[str], entry_keys: set[str]) -> None:
    numbers = read_version(version)
    assert keys_of(numbers) == keys
    assert entry_keys_of(numbers) == entry_keys


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1.18.0", (1, 18, 0)), ("1.25", (1, 25, 0)), ("1.18.0-1+deb12u1", (1, 18, 0)), ("1.24.1-1", (1, 24, 1)),
        ("1.27.0", NEWEST), ("2.0", NEWEST), ("999.999.999", NEWEST), ("1.25.2-1.pgdg120+1", (1, 25, 2)),
    ],
)  # fmt: skip
def test_a_version_is_read_and_an_unknown_newer_one_counts_as_the_newest(text: str, numbers: object) -> None:
    assert read_version(text) == numbers


@pytest.mark.parametrize(
    "text", ["", "1", "1.x", "1.18.0\n", "1.18.0 ", "-1.18", "1.16.1", "0.9", "1.18.0-x", "9" * 500]
)
def test_what_is_no_version_or_too_old_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as caught:
        read_version(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def _cves(version: str) -> list[str]:
    return [finding.cve for finding in findings(version)]


OPEN_IN_ALL = ["CVE-2026-6664", "CVE-2026-6665", "CVE-2026-6666"]


@pytest.mark.parametrize(
    ("version", "cves"),
    [
        ("1.18.0", ["CVE-2025-2291", "CVE-2025-12819", *OPEN_IN_ALL, "CVE-2026-107350"]),
        ("1.18.0-1", ["CVE-2025-2291", "CVE-2025-12819", *OPEN_IN_ALL, "CVE-2026-107350"]),
        ("1.18.0-1+deb12u1", [*OPEN_IN_ALL, "CVE-2026-107350"]),
        ("1.18.0-1+deb12u2", [*OPEN_IN_ALL, "CVE-2026-107350"]),
        ("1.24.1", ["CVE-2025-12819", *OPEN_IN_ALL, "CVE-2026-6667", "CVE-2026-107349", "CVE-2026-107350"]),
        ("1.24.1-1+deb13u1", [*OPEN_IN_ALL, "CVE-2026-6667", "CVE-2026-107349", "CVE-2026-107350"]),
        ("1.24.1-1+deb13u2", ["CVE-2026-107349", "CVE-2026-107350"]),
        ("1.24.1-1+deb12u2",
         ["CVE-2025-12819", *OPEN_IN_ALL, "CVE-2026-6667", "CVE-2026-107349", "CVE-2026-107350"]),
        ("1.25.2", ["CVE-2026-107349", "CVE-2026-107350"]),
        ("1.26.0", ["CVE-2026-107349", "CVE-2026-107350"]),
        ("1.26.1", []),
        ("3.0", []),
    ],
)  # fmt: skip
def test_the_holes_of_a_version_are_those_that_neither_it_nor_its_package_has_closed(
    version: str, cves: list[str]
) -> None:
    assert _cves(version) == cves


def test_each_finding_says_what_can_happen_where_it_is_fixed_and_what_helps_meanwhile() -> None:
    for finding in (*findings("1.18.0"), *findings("1.24.1")):
        assert re.search(r"; fixed in 1\.\d+\.\d", finding.text), finding
        assert finding.mitigation
        assert "\n" not in finding.text + finding.mitigation
