"""H801: clients that wait for a server connection in PgBouncer."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...pooler import console
from ...target import Target

LONGEST = 1.0  # seconds


def _check(target: Target) -> Iterator[Advice]:
    for pool in console(target).pools:
        waits = pool.maxwait >= LONGEST
        if pool.waiting and (waits or pool.waiting > pool.active):
            yield RULE.on(
                "pgbouncer", f"{pool.waiting} client(s) of {pool.name} wait for a server connection, the first for"
                f" {pool.maxwait:.1f} s; {pool.active} are served", key=pool.name,
                gain="requests that do not wait", risk="more server connections take their memory at the server",
                severity=Severity.high if waits else Severity.medium,
            )  # fmt: skip


RULE = LiveRule(
    id="H801",
    name="pgbouncer-waiting",
    finds="Clients in PgBouncer that wait for a second or more, or are more than those that are served.",
    why="All of default_pool_size is in use: by transactions that are held too long, or because it is too "
    "small.",
    fix="Shorten the transactions first; then raise default_pool_size within max_connections.",
    leaves_alone=(
        "A client that waits for a moment.",
        "No --pgbouncer: nothing is asked.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
