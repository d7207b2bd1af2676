"""H709: a server that may lose or break data at a crash."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...target import Target

_WORST = {"fsync": "a crash of the machine may destroy the whole cluster",
          "full_page_writes": "a page that is half written at a crash stays broken"}  # fmt: skip


def _check(target: Target) -> Iterator[Advice]:
    server = target.server
    for name, what in _WORST.items():
        if not server.amount(name):
            up = f"ALTER SYSTEM SET {name} = on"
            yield RULE.on(
                "server", f"{name} is off: {what}", severity=Severity.critical, key=name,
                fix=f"`{up};` and reload.",
                change=Change("setting", (up,), (f"ALTER SYSTEM SET {name} = off",), "", name),
                gain="committed data survives a crash", risk="each commit waits for the disk",
            )  # fmt: skip
    if server.settings["synchronous_commit"].setting == "off":
        up = "ALTER SYSTEM RESET synchronous_commit"
        yield RULE.on(
            "server", "synchronous_commit is off: a crash loses the last commits, though they were acknowledged",
            severity=Severity.medium, fix=f"`{up};`, and SET LOCAL where it may.", key="synchronous_commit",
            change=Change("setting", (up,), ("ALTER SYSTEM SET synchronous_commit = off",), "",
                          "synchronous_commit"),
            gain="what was acknowledged stays", risk="each commit waits for the disk",
        )  # fmt: skip


RULE = LiveRule(
    id="H709",
    name="unsafe-durability",
    finds="fsync, full_page_writes or synchronous_commit switched off.",
    why="They make tests quick. At the first power cut the cluster is destroyed, or acknowledged payments are "
    "gone.",
    fix="Switch them on.",
    leaves_alone=(
        "Unlogged tables, which are known to be lost at a crash.",
    ),
    severity=Severity.critical,
    check=_check,
    example="",
    instead="",
)
