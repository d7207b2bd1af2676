"""The plan as a table: each number with its reason and with where it comes from.

Knows what to say about the sizes and no layout. If a reason is wrong, people change the wrong number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import ladder
from .description import Description
from .plan_sizes import (
    FEWEST_WORKERS,
    LOOKUPS,
    OTHER_FILES,
    PEOPLE,
    PER_CORE,
    RELEASES,
    REPLACED,
    Plan,
    places,
    reserved,
    sizes,
)
from .plan_warnings import WORKER_MB, memory_mb
from .unit_network import listens_on_network


@dataclass(frozen=True)
class Row:
    """One number of a plan.

    Attributes:
        name: what it is.
        value: in `unit`.
        reason: why it is so much.
        source: the key of harden.toml that it is, or "computed".
        section: app, pgbouncer, postgresql or timeouts.
        unit: "", "s" or "MB".
    """

    name: str
    value: int
    reason: str
    source: str
    section: str
    unit: str = ""


COMPUTED = "computed"


def rows(description: Description) -> tuple[Row, ...]:
    """Return every number of a description's plan, also of one that does not fit."""
    plan = sizes(description)
    return (
        *_app(description, plan),
        *(_bouncer(description, plan) if plan.bouncers else ()),
        *_postgresql(description, plan),
        *_timeouts(description),
    )


def _app(description: Description, plan: Plan) -> Iterator[Row]:
    hosts = len(description.hosts.app)
    given = description.server.workers
    yield Row("hosts", hosts, "run the app", "hosts.app", "app")
    yield Row(
        "workers of each", plan.workers,
        "as given" if given else f"one per core, {FEWEST_WORKERS} at least so that one can be replaced; "
        "more of them wait for the same cores",
        "server.workers" if given else "hosts.cores", "app",
    )  # fmt: skip
    yield Row("threads of each", plan.threads, _threads(description), "server.threads", "app")
    yield Row(
        "pool of each worker", plan.pool_max,
        f"a thread uses one connection at a time; {plan.pool_min} is kept when idle", COMPUTED, "app",
    )  # fmt: skip
    yield Row(
        "clients of a release", plan.clients, f"{hosts} x {plan.workers} x {plan.pool_max} pooled connections",
        COMPUTED, "app",
    )  # fmt: skip
    yield Row(
        "clients in a deploy", RELEASES * plan.clients, "the old release and the new one are both alive",
        COMPUTED, "app",
    )  # fmt: skip
    yield Row(
        "memory of each host", memory_mb(plan),
        f"{RELEASES} releases x {plan.workers} workers x {WORKER_MB} MB; a small app's worker measured 30, "
        "look at yours",
        COMPUTED, "app", "MB",
    )  # fmt: skip


def _threads(description: Description) -> str:
    if description.server.worker_class == "sync":
        return "a sync worker has one, whatever server.threads says"
    return "wait for the database together and share their worker's memory"


def _bouncer(description: Description, plan: Plan) -> Iterator[Row]:
    place = "each app host" if description.pgbouncer.place == "app" else "the database's host"
    processes = description.pgbouncer.processes
    yield Row(
        "PgBouncer processes", plan.bouncers, f"{processes} on {place}; each has one thread",
        "pgbouncer.processes", "pgbouncer",
    )  # fmt: skip
    yield Row("spare processes", plan.spares, _spare(description, plan), COMPUTED, "pgbouncer")
    yield Row(
        "max_client_conn of each", plan.max_client_conn,
        f"{RELEASES} releases x {plan.clients // places(description)} clients and {PEOPLE} for people and jobs; "
        "any process may get them all",
        COMPUTED, "pgbouncer",
    )  # fmt: skip
    yield Row("pool_size of each", plan.pool_size, _pool(description, plan), COMPUTED, "pgbouncer")
    yield Row(
        "min_pool_size of each", plan.min_pool_size, "half stays open, so that a burst does not wait for logins",
        COMPUTED, "pgbouncer",
    )  # fmt: skip
    yield Row(
        "reserve of each", plan.reserve_pool_size,
        "a fifth of the pool, for callers that wait over a second" if plan.reserve_pool_size
        else "none: the pool is small, or as large as can be used",
        COMPUTED, "pgbouncer",
    )  # fmt: skip
    yield Row(
        "session pool of each", plan.session_pool, "for what needs a session: LISTEN, advisory locks, migrations",
        "pgbouncer.session_pool", "pgbouncer",
    )  # fmt: skip
    yield Row("connections of each", plan.max_db_connections, _cap(description, plan), COMPUTED, "pgbouncer")
    yield Row(
        "open files of each", plan.open_files,
        f"{plan.max_client_conn} clients, {plan.max_db_connections} servers and {OTHER_FILES} of its own",
        COMPUTED, "pgbouncer",
    )  # fmt: skip


def _spare(description: Description, plan: Plan) -> str:
    if plan.spares:
        return "stands in while another restarts, so that none is cut off; one host after the other"
    if listens_on_network(description):
        return "none beside the database: a restart closes its clients' connections"
    return "none: max_connections has no room for it, and a restart closes its clients' connections"


def _pool(description: Description, plan: Plan) -> str:
    if description.pgbouncer.mode == "session":
        return "a client keeps its connection for as long as it lives, so that there is one for each"
    total, cores = plan.bouncers * plan.pool_size, description.database.cores
    capacity = f"{total} in all serve {total * 50} transactions of 20 ms a second"
    if total < PER_CORE * cores and plan.pool_size < plan.clients // places(description):
        return f"what max_connections leaves; {PER_CORE} x {cores} cores could be used; {capacity}"
    if total < PER_CORE * cores:
        return f"no more than there are clients; {capacity}"
    return f"{PER_CORE} x {cores} cores of PostgreSQL, past which queries only wait inside it; {capacity}"


def _cap(description: Description, plan: Plan) -> str:
    lookups = f" + {LOOKUPS} to ask for verifiers" if description.pgbouncer.auth == "query" else ""
    parts = f"{plan.pool_size} + {plan.reserve_pool_size} + {plan.session_pool}{lookups}"
    return f"{parts}; max_db_connections holds it whatever logs in"


def _postgresql(description: Description, plan: Plan) -> Iterator[Row]:
    database = description.database
    yield Row("server connections", plan.server_connections, _opened(plan), COMPUTED, "postgresql")
    yield Row("direct", database.direct, "migrations, backup, monitoring, people", "database.direct", "postgresql")
    yield Row(
        "worst case", plan.server_connections + database.direct, "all of these at once, in the middle of a deploy",
        COMPUTED, "postgresql",
    )  # fmt: skip
    yield Row(
        "max_connections", database.max_connections, "each may take some MB; more needs a restart of PostgreSQL",
        "database.max_connections", "postgresql",
    )  # fmt: skip
    yield Row(
        "superuser_reserved", database.superuser_reserved, "an administrator gets in when nobody else does",
        "database.superuser_reserved", "postgresql",
    )  # fmt: skip
    if database.version >= 16:
        yield Row(
            "reserved", reserved(description), "for roles with pg_use_reserved_connections, such as monitoring",
            "database.reserved", "postgresql",
        )  # fmt: skip
    yield Row(
        "not reserved", plan.server_limit, "the worst case must fit into it, or somebody is refused",
        COMPUTED, "postgresql",
    )  # fmt: skip


def _opened(plan: Plan) -> str:
    if plan.bouncers:
        each = f"({plan.max_db_connections} + {REPLACED} that ends while the next one opens)"
        count = f"({plan.bouncers} + {plan.spares} spare)" if plan.spares else f"{plan.bouncers}"
        return f"{count} x {each}, however many clients there are"
    return f"{RELEASES} x {plan.clients}: without PgBouncer each pooled connection is one of the server's"


def _timeouts(description: Description) -> Iterator[Row]:
    for rung in ladder.rungs(description):
        source = COMPUTED if rung.above else rung.key
        yield Row(rung.name.removeprefix("timeouts."), rung.seconds, rung.reason, source, "timeouts", "s")
    yield Row(
        "pool wait", ladder.pool_timeout(description), "in a process's pool, for those ahead to give up first",
        COMPUTED, "timeouts", "s",
    )  # fmt: skip
    yield Row(
        "stop", ladder.stop(description.timeouts), "systemd kills Gunicorn well after its own grace is over",
        COMPUTED, "timeouts", "s",
    )  # fmt: skip
