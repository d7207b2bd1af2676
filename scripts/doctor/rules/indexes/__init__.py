"""Indexes, keys, sequences and tables: what the schema lacks or has too much of."""

from __future__ import annotations

from ...advice import LiveRule

RULES: tuple[LiveRule, ...] = ()
