"""Settings of the server that hurt."""

from __future__ import annotations

from ...advice import LiveRule

RULES: tuple[LiveRule, ...] = ()
