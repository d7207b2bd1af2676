"""What statements lack: indexes for filters, joins, sorts and operators, and those that take the time."""

from __future__ import annotations

from ...advice import LiveRule

RULES: tuple[LiveRule, ...] = ()
