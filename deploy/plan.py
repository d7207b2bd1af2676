"""How many of everything: hosts x workers x threads, pools, PgBouncer's pools, up to `max_connections`.

Knows the rules of sizing and no files. If this is wrong, PostgreSQL refuses connections under load.
"""

from __future__ import annotations

from . import ladder
from .description import Description
from .errors import InputError
from .plan_problems import problems
from .plan_sizes import Plan, sizes

__all__ = ["Plan", "PlanError", "plan"]


class PlanError(InputError):
    """Sizes that do not fit; `problems` has a line for each, with the number to change."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def plan(description: Description) -> Plan:
    """Return the sizes for a description.

    Raises:
        PlanError: it can exhaust PostgreSQL, or its timeouts do not fit together; says which number to change.
    """
    sized = sizes(description)
    found = [*problems(description, sized), *ladder.problems(description)]
    if found:
        raise PlanError(found)
    return sized
