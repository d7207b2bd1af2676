"""The rules, one file each, by group and ID."""

from __future__ import annotations

from ..advice import LiveRule
from . import activity, around, indexes, itself, settings, statements

RULES: tuple[LiveRule, ...] = tuple(
    sorted(
        indexes.RULES + statements.RULES + activity.RULES + settings.RULES + around.RULES + itself.RULES,
        key=lambda each: each.id,
    )
)
