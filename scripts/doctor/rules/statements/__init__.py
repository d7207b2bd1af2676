"""What statements lack: indexes for filters, joins, sorts and operators, and those that take the time."""

from __future__ import annotations

from ...advice import LiveRule
from . import (
    heavy_statement,
    jit_heavy,
    missing_filter_index,
    missing_gin_index,
    missing_join_index,
    missing_pattern_index,
    missing_sort_index,
    slow_statement,
    spilling_statement,
)

RULES: tuple[LiveRule, ...] = (
    missing_filter_index.RULE,
    missing_join_index.RULE,
    missing_sort_index.RULE,
    missing_gin_index.RULE,
    missing_pattern_index.RULE,
    slow_statement.RULE,
    heavy_statement.RULE,
    spilling_statement.RULE,
    jit_heavy.RULE,
)
