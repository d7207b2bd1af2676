"""H602: autovacuum switched off."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...target import Target


def _check(target: Target) -> Iterator[Advice]:
    if not target.server.amount("autovacuum"):
        up = "ALTER SYSTEM SET autovacuum = on"
        yield RULE.on(
            "server", "autovacuum is off for the whole server", severity=Severity.high, fix=f"`{up};` and reload.",
            change=Change("setting", (up,), ("ALTER SYSTEM SET autovacuum = off",), "", "autovacuum"),
            gain="tables that do not grow, statistics that are true, and no stop for wraparound",
            risk="the first run over neglected tables takes long; its cost limit keeps it slow",
        )  # fmt: skip
    for table in target.catalog.tables.values():
        if table.options.get("autovacuum_enabled") in ("false", "off", "0", "no"):
            up = f"ALTER TABLE {table.full} RESET (autovacuum_enabled)"
            down = f"ALTER TABLE {table.full} SET (autovacuum_enabled = false)"
            yield RULE.on(
                table.full, f"autovacuum is off for {table.full}", fix=f"`{up};`",
                change=Change("setting", (up,), (down,), table.full, "autovacuum_enabled"),
                gain="a table that does not grow, and statistics that are true", risk="none",
            )  # fmt: skip


RULE = LiveRule(
    id="H602",
    name="autovacuum-off",
    finds="Autovacuum that is off, for the server or for a table.",
    why="Dead rows stay, statistics age, and after two thousand million transactions the server stops to "
    "freeze them all.",
    fix="Switch it on; where it disturbs, slow it down with autovacuum_vacuum_cost_limit.",
    leaves_alone=(
        "Tables with autovacuum parameters of their own that leave it on.",
    ),
    severity=Severity.medium,
    check=_check,
    example="CREATE TABLE hot (id bigint PRIMARY KEY) WITH (autovacuum_enabled = off);",
    instead="CREATE TABLE hot (id bigint PRIMARY KEY) WITH (autovacuum_vacuum_scale_factor = 0.01);",
)
