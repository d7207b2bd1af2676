"""What goes on: vacuum, sessions, locks, connections."""

from __future__ import annotations

from ...advice import LiveRule

RULES: tuple[LiveRule, ...] = ()
