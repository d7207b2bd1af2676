"""What stands around the server: PgBouncer, replicas."""

from __future__ import annotations

from ...advice import LiveRule

RULES: tuple[LiveRule, ...] = ()
