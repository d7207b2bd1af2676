"""Settings of the server that hurt."""

from __future__ import annotations

from ...advice import LiveRule
from . import (
    max_connections_too_high,
    no_idle_in_transaction_timeout,
    no_lock_timeout,
    no_pg_stat_statements,
    no_statement_timeout_set,
    old_version,
    random_page_cost,
    slow_statements_not_logged,
    small_shared_buffers,
    superuser_app,
    unsafe_durability,
    work_mem,
)

RULES: tuple[LiveRule, ...] = (
    no_statement_timeout_set.RULE,
    no_idle_in_transaction_timeout.RULE,
    no_lock_timeout.RULE,
    work_mem.RULE,
    random_page_cost.RULE,
    small_shared_buffers.RULE,
    slow_statements_not_logged.RULE,
    no_pg_stat_statements.RULE,
    unsafe_durability.RULE,
    old_version.RULE,
    max_connections_too_high.RULE,
    superuser_app.RULE,
)
