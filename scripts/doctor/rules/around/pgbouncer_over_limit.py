"""H804: pools that can ask for more than the server has."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...pooler import console
from ...target import Target


def _check(target: Target) -> Iterator[Advice]:
    seen, server = console(target), target.server
    room = server.amount("max_connections") - server.amount("superuser_reserved_connections")
    wanted = seen.most_servers
    if wanted > room:
        yield RULE.on(
            "pgbouncer", f"PgBouncer's pools may open {wanted} server connections, and the server has {room:.0f}",
            gain="no refused connections at the busiest minute", risk="clients wait in PgBouncer instead, in"
            " order",
            fix="Lower default_pool_size or max_db_connections until all pools fit; scripts/harden plan works"
            " it out.",
            key="",
        )  # fmt: skip


RULE = LiveRule(
    id="H804",
    name="pgbouncer-over-limit",
    finds="PgBouncer's pools that together may open more connections than the server has.",
    why="The server refuses the rest, and PgBouncer hands that to clients as errors.",
    fix="Smaller pools, or max_db_connections.",
    leaves_alone=(
        "Pools that fit.",
        "A database without users yet.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
