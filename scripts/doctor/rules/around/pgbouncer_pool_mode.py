"""H802: PgBouncer in session mode."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...pooler import console
from ...target import Target


def _check(target: Target) -> Iterator[Advice]:
    seen = console(target)
    if seen.pool_mode == "session":
        yield RULE.on(
            "pgbouncer", "pool_mode is session: each client keeps its server connection for as long as it stays",
            gain="hundreds of clients on a few server connections", key="",
            risk="session state does not survive a transaction: see docs/transaction-mode.md",
        )  # fmt: skip


RULE = LiveRule(
    id="H802",
    name="pgbouncer-pool-mode",
    finds="PgBouncer with pool_mode = session.",
    why="Clients that pool their connections stay for ever, so session mode saves no server connection at "
    "all.",
    fix="pool_mode = transaction, with DB_PGBOUNCER=transaction for the kit's pool.",
    leaves_alone=(
        "Transaction and statement mode.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
