"""What goes on: vacuum, sessions, locks, connections."""

from __future__ import annotations

from ...advice import LiveRule
from . import (
    autovacuum_off,
    cache_hit_ratio,
    connections_near_limit,
    deadlocks,
    forced_checkpoints,
    forgotten_prepared_transaction,
    idle_in_transaction,
    lock_wait,
    long_transaction,
    never_analyzed,
    transaction_id_age,
    vacuum_behind,
)

RULES: tuple[LiveRule, ...] = (
    vacuum_behind.RULE,
    autovacuum_off.RULE,
    transaction_id_age.RULE,
    never_analyzed.RULE,
    cache_hit_ratio.RULE,
    forced_checkpoints.RULE,
    forgotten_prepared_transaction.RULE,
    long_transaction.RULE,
    idle_in_transaction.RULE,
    lock_wait.RULE,
    connections_near_limit.RULE,
    deadlocks.RULE,
)
