"""H625: nearly all connections taken, or more possible than there are."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Evidence, Place, Severity
from ...advice import Advice, LiveRule
from ...target import Target

SHARE = 0.8
_READ = """
    SELECT count(*) FILTER (WHERE a.backend_type = 'client backend') AS taken,
           count(*) FILTER (WHERE a.backend_type = 'client backend' AND a.state = 'idle') AS idle,
           current_setting('max_connections')::int AS most,
           current_setting('superuser_reserved_connections')::int
             + COALESCE(NULLIF(current_setting('reserved_connections', true), '')::int, 0) AS reserved
    FROM pg_stat_activity a
"""


def _check(target: Target) -> Iterator[Advice]:
    row = target.session.row(_READ)
    room = row.most - row.reserved
    if row.taken > SHARE * room:
        yield RULE.on(
            "connections", f"{row.taken} of {room} connections are taken, {row.idle} of them idle",
            severity=Severity.critical if row.taken >= room - 1 else Severity.high,
            gain="the next request gets a connection", risk="a larger max_connections costs memory for each",
            evidence=(Evidence(Place("connections", 0), f"max_connections = {row.most}, {row.reserved}"
            " reserved"),),
        )  # fmt: skip
    yield from _planned(target, room)


def _planned(target: Target, room: int) -> Iterator[Advice]:
    """Compare with what the description of the service can ask for."""
    description = target.options.description
    if description is None:
        return
    from deploy.plan_sizes import sizes

    plan = sizes(description)
    wanted = plan.server_connections + description.database.direct
    if wanted > room:
        yield RULE.on(
            "connections", f"harden.toml can ask for {wanted} connections, and the server has {room}",
            severity=Severity.high, key="plan", gain="no refused connections at the busiest minute",
            risk="fewer connections for each worker", fix="Run scripts/harden plan with this server's"
            " max_connections.",
        )  # fmt: skip


RULE = LiveRule(
    id="H625",
    name="connections-near-limit",
    finds="More than 80 % of the connections taken, or a plan that can ask for more than there are.",
    why='At the end every new connection is refused: "sorry, too many clients already", for people and for '
    "monitoring.",
    fix="Pool the connections, put PgBouncer before the server, and end what is idle.",
    leaves_alone=(
        "Servers with room; idle connections of a pool.",
    ),
    severity=Severity.high,
    check=_check,
    example="",
    instead="",
)
