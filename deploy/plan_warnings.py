"""What a plan allows and may not be meant: a line each, with the numbers.

Knows the sizes, not how they are shown. Nothing here stops anybody; what must is in `plan_problems`.
"""

from __future__ import annotations

from collections.abc import Iterator

from .description import Description
from .plan_sizes import PER_CORE, RELEASES, Plan, reserved, server_limit, with_spare
from .unit_network import listens_on_network

WORKER_MB = 60  # twice a worker of a small app: 2 workers of 8 threads took 60 MB together when measured
SYSTEM_MB = 256


def memory_mb(plan: Plan) -> int:
    """Return what a host's workers take while both releases run."""
    return RELEASES * plan.workers * WORKER_MB


def warnings(description: Description, plan: Plan) -> list[str]:
    """Return a line for each thing that works and may not be meant."""
    return [*_memory(description, plan), *_server(description, plan), *_bouncer(description, plan)]


def _memory(description: Description, plan: Plan) -> Iterator[str]:
    needed, there = memory_mb(plan) + SYSTEM_MB, description.hosts.memory_mb
    if needed > there:
        yield (
            f"{RELEASES} releases x {plan.workers} workers x {WORKER_MB} MB and {SYSTEM_MB} MB for the system are "
            f"{needed} MB, but hosts.memory_mb={there}; lower server.workers (threads cost hardly any memory)"
        )


def _server(description: Description, plan: Plan) -> Iterator[str]:
    database = description.database
    if database.direct == 0:
        yield "database.direct=0 leaves no connection for migrations, backup, monitoring and people; 10 are usual"
    if database.reserved and not reserved(description):
        yield f"database.reserved={database.reserved} counts for nothing: PostgreSQL {database.version} lacks it"


def _bouncer(description: Description, plan: Plan) -> Iterator[str]:
    if not plan.bouncers:
        return
    if description.pgbouncer.mode == "session":
        yield "pgbouncer.mode=session lends a connection for a client's life and so saves none; transaction does"
    else:
        yield from _small_pool(description, plan)
    yield from _no_spare(description, plan)
    timeouts = description.timeouts
    if timeouts.query_wait + timeouts.statement >= timeouts.proxy:
        yield (
            f"a query may wait {timeouts.query_wait} s (timeouts.query_wait) and run {timeouts.statement} s "
            f"(timeouts.statement), together past timeouts.proxy={timeouts.proxy}"
        )


def _no_spare(description: Description, plan: Plan) -> Iterator[str]:
    fits = plan.server_connections + description.database.direct <= server_limit(description)
    if fits and not plan.spares and not listens_on_network(description):
        yield (
            "there is no room for a spare PgBouncer process, so that its restarts cut off requests; "
            f"raise database.max_connections to {with_spare(description)}, "
            f"now {description.database.max_connections}"
        )


def _small_pool(description: Description, plan: Plan) -> Iterator[str]:
    useful = min(PER_CORE // 2 * description.database.cores, plan.clients)
    if plan.bouncers * plan.pool_size < useful:
        yield (
            f"the pools have {plan.bouncers * plan.pool_size} connections, below {useful}, which PostgreSQL's "
            f"{description.database.cores} cores can use; raise database.max_connections, "
            f"now {description.database.max_connections}, or lower pgbouncer.session_pool"
        )
