"""What makes a plan impossible, and for each number the smallest change that helps.

Each change that is named was tried: with it the description fits. Knows the sizes, not how they are shown.
If this is wrong, a description is served that exhausts PostgreSQL under load or in a deploy.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import fields, replace
from typing import Any

from .description import Description
from .plan_sizes import FEWEST_WORKERS, RELEASES, REPLACED, Plan, sizes

MOST_FILES = 1_048_576  # fs.nr_open, above which Linux lets nobody go unless told
LOWERED = (
    ("server", "threads"), ("server", "workers"), ("pgbouncer", "processes"), ("pgbouncer", "session_pool"),
    ("database", "direct"),
)  # fmt: skip
FEWEST_DIRECT = 5  # a migration, a backup, monitoring, and two people
CONNECTIONS = ("database", "max_connections")


def problems(description: Description, plan: Plan) -> list[str]:
    """Return a line for each size that cannot be, with what to change."""
    found = []
    if not _fits_server(description, plan):
        found.append(f"{_needed(description, plan)}; {_changes(description)}")
    if plan.open_files > MOST_FILES:
        found.append(
            f"a PgBouncer process needs {plan.open_files} open files, and Linux gives {MOST_FILES} at most; "
            f"{_changes(description)}"
        )
    return found


def _fits(description: Description) -> bool:
    plan = sizes(description)
    return _fits_server(description, plan) and plan.open_files <= MOST_FILES


def _fits_server(description: Description, plan: Plan) -> bool:
    return plan.server_connections + description.database.direct <= plan.server_limit


def _needed(description: Description, plan: Plan) -> str:
    limit = f"of max_connections={description.database.max_connections} {plan.server_limit} are not reserved"
    direct = f"{description.database.direct} direct ones"
    if not plan.bouncers:
        return (
            f"{RELEASES} releases x {plan.clients} pooled connections (both run during a deploy) and {direct} are "
            f"{plan.server_connections + description.database.direct}, but {limit}"
        )
    processes = "1 PgBouncer process" if plan.bouncers == 1 else f"{plan.bouncers} PgBouncer processes"
    return (
        f"{processes} x {plan.max_db_connections + REPLACED} connections, the fewest that work, and "
        f"{direct} are {plan.server_connections + description.database.direct}, but {limit}"
    )


def _changes(description: Description) -> str:
    """Return what would make it fit, any one of them."""
    changes = []
    bouncer = description.pgbouncer
    if not bouncer.enabled and _fits(_changed(description, ("pgbouncer", "enabled"), True)):
        changes.append("set pgbouncer.enabled = true")
    is_moved = bouncer.enabled and bouncer.place == "app"
    if is_moved and _fits(_changed(description, ("pgbouncer", "place"), "database")):
        changes.append('set pgbouncer.place = "database"')
    for where in LOWERED:
        value = _largest_that_fits(description, where)
        if value is not None:
            changes.append(f"lower {'.'.join(where)} to {value}")
    value = _max_connections_that_fit(description)
    if value is not None:
        changes.append(f"raise {'.'.join(CONNECTIONS)} to {value}")
    return " or ".join(changes) or "use fewer hosts, threads and workers, for no one number can mend it"


def _changed(description: Description, where: tuple[str, str], value: Any) -> Description:
    section, name = where
    return replace(description, **{section: replace(getattr(description, section), **{name: value})})


def _largest_that_fits(description: Description, where: tuple[str, str]) -> int | None:
    """Return what a number may be lowered to at the least loss; None when that does not help."""
    values = _lower_values(description, where)
    # Whatever fits with a number fits with a lower one.
    fitting = bisect_left(values, True, key=lambda value: not _fits(_changed(description, where, value)))
    return values[fitting - 1] if fitting else None


def _lower_values(description: Description, where: tuple[str, str]) -> range:
    section, name = where
    plan = sizes(description)
    sized = {
        "workers": (plan.workers, FEWEST_WORKERS),  # 0 stands for a number
        "threads": (plan.threads, 1),  # sync has one, whatever is said
        "direct": (description.database.direct, FEWEST_DIRECT),
    }
    given = getattr(getattr(description, section), name), _range(description, where).low
    current, low = sized.get(name, given)
    return range(low, current)


def _max_connections_that_fit(description: Description) -> int | None:
    plan = sizes(_changed(description, CONNECTIONS, 0))  # of nothing it takes the fewest
    value = plan.server_connections + description.database.direct - plan.server_limit
    if not description.database.max_connections < value <= _range(description, CONNECTIONS).high:
        return None
    return value if _fits(_changed(description, CONNECTIONS, value)) else None


def _range(description: Description, where: tuple[str, str]) -> Any:
    section, name = where
    return next(field for field in fields(getattr(description, section)) if field.name == name).metadata["check"]
