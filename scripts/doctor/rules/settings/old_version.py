"""H710: a server whose version is at its end, or behind its last fixes."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...target import Target

# The ends of life. Source: https://www.postgresql.org/support/versioning/
END = {12: "2024-11", 13: "2025-11", 14: "2026-11", 15: "2027-11", 16: "2028-11", 17: "2029-11", 18: "2030-11"}
LAST = {14: 20, 15: 15, 16: 11, 17: 7, 18: 1}  # at the least: what was out when this was written


def _check(target: Target) -> Iterator[Advice]:
    server = target.server
    minor = server.number % 10000
    if server.version <= 13:
        yield RULE.on(
            "server", f"PostgreSQL {server.version_text} gets no fixes since {END[server.version]}",
            fix="Upgrade by pg_upgrade or logical replication; rehearse it.", severity=Severity.high, key="end",
            gain="fixes for faults and holes that are known", risk="plans may change: ANALYZE, and compare",
        )  # fmt: skip
    elif minor < LAST.get(server.version, 0):
        yield RULE.on(
            "server", f"PostgreSQL {server.version_text} lacks the fixes up to"
            f" {server.version}.{LAST[server.version]}",
            fix="Install the last minor release and restart: no dump, no migration.", key="minor",
            gain="fixes for faults and holes that are known", risk="a restart",
        )  # fmt: skip


RULE = LiveRule(
    id="H710",
    name="old-version",
    finds="A major version without support, or a minor release that is a year behind.",
    why="Known faults that lose data, and known holes, stay open.",
    fix="Install the last minor release; plan the next major one.",
    leaves_alone=(
        "The newest minor releases of what is looked after.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
