"""What stands around the server: PgBouncer, replicas."""

from __future__ import annotations

from ...advice import LiveRule
from . import (
    pgbouncer_over_limit,
    pgbouncer_pool_mode,
    pgbouncer_version,
    pgbouncer_waiting,
    replication_lag,
    replication_slot_inactive,
)

RULES: tuple[LiveRule, ...] = (
    pgbouncer_waiting.RULE,
    pgbouncer_pool_mode.RULE,
    pgbouncer_version.RULE,
    pgbouncer_over_limit.RULE,
    replication_lag.RULE,
    replication_slot_inactive.RULE,
)
