"""About the doctor's own work: what it could not check, and comments that say nothing. Found by `run.py`."""

from __future__ import annotations

from ....audit.finding import Severity
from ...advice import LiveRule

NOT_CHECKED = LiveRule(
    id="H901",
    name="not-checked",
    finds="Something that a rule has to see and could not: no right to it, an extension missing, a timeout.",
    why="What was not looked at is not in order; it is unknown.",
    fix="Do what the message says, or --ignore the rules that are named.",
    leaves_alone=("What was not asked for: PgBouncer without --pgbouncer, the plan without --config.",),
    severity=Severity.low,
    check=lambda _: (),
    example="",
    instead="",
)
UNUSED_IGNORE = LiveRule(
    id="H902",
    name="unused-ignore",
    finds="A `harden: ignore[...]` in a comment of the database that hits nothing, names no rule that there is, or"
    " gives no reason.",
    why="It hides the next finding of that rule, and nobody remembers why.",
    fix="Take it out of the comment, or write the reason.",
    leaves_alone=("A comment for rules that did not look this time.",),
    severity=Severity.low,
    check=lambda _: (),
    example="CREATE TABLE kept (id bigint PRIMARY KEY);\nCOMMENT ON TABLE kept IS 'harden: ignore[H521]';\n",
    instead="CREATE TABLE kept (line text);\n"
    "COMMENT ON TABLE kept IS 'harden: ignore[H521] a log that is only ever appended to';\n",
)

RULES: tuple[LiveRule, ...] = (NOT_CHECKED, UNUSED_IGNORE)
