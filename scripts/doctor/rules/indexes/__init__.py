"""Indexes, keys, sequences and tables: what the schema lacks or has too much of."""

from __future__ import annotations

from ...advice import LiveRule
from . import (
    bloated_index,
    constraint_not_validated,
    duplicate_index,
    integer_key_near_overflow,
    invalid_index,
    key_type_mismatch,
    missing_foreign_key_index,
    no_primary_key,
    redundant_index,
    sequence_behind,
    sequence_near_end,
    unused_index,
)

RULES: tuple[LiveRule, ...] = (
    missing_foreign_key_index.RULE,
    duplicate_index.RULE,
    redundant_index.RULE,
    unused_index.RULE,
    invalid_index.RULE,
    bloated_index.RULE,
    no_primary_key.RULE,
    integer_key_near_overflow.RULE,
    sequence_near_end.RULE,
    sequence_behind.RULE,
    key_type_mismatch.RULE,
    constraint_not_validated.RULE,
)
