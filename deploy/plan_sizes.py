"""The rules of sizing: from hosts x workers x threads to the connections that PostgreSQL has.

Gives the numbers that the rules lead to and does not judge them: that is `plan_problems`.
If a rule is wrong, PostgreSQL refuses connections under load, or has cores that nobody uses.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import ladder
from .description import Description
from .unit_network import listens_on_network

RELEASES = 2  # of a deploy: the old one serves until the new one does, and both have their pools
PEOPLE = 20  # clients of PgBouncer beside the app: consoles, jobs, checks, and connections that are just closing
FEWEST_WORKERS = 2  # so that one can be replaced
PER_CORE = 4  # connections that a core of PostgreSQL can keep busy at most, waits for disk and network included
FEWEST_SERVERS = 2  # of a PgBouncer process: one long transaction must not stop a host
LOOKUPS = 2  # connections on which PgBouncer asks for verifiers, with auth = "query"
# Of each process while it replaces a connection: the old one's backend ends a moment after the new one's login.
# Measured at full load, 20 times RECONNECT at half a second: without it 2 to 4 logins refused, up to 21 clients
# cut off, the longest wait 6.3 s; with it none in 18 000 transactions, the longest wait 0.3 s.
REPLACED = 1
# Processes that stand in while another one restarts: one for all hosts, which restart theirs one after the other.
SPARES = 1
OTHER_FILES = 200  # of a PgBouncer process: log, sockets, name service, and connections being closed


@dataclass(frozen=True)
class Plan:
    """The sizes of a service; connections, and seconds where the name says a time.

    Attributes:
        workers, threads: of Gunicorn on each host.
        pool_min, pool_max: of each worker's pool.
        clients: connections that all hosts' pools may open, one release running.
        bouncers: PgBouncer processes in all; 0 without it.
        spares: processes that run beside them while one of them restarts; 0 where there is no room for one, or
            where clients come over a network.
        pool_size, min_pool_size, reserve_pool_size: of each process, for the app's entry.
        session_pool: of each process, for the entry in session mode.
        max_db_connections: of each process, all entries together. PgBouncer's key of that name counts for one
            entry, so that entries have to share it out.
        max_client_conn: of each process: both releases of a deploy, and people.
        open_files: LimitNOFILE of each process.
        server_connections: what all this may open on PostgreSQL: each process's cap, the spare's too, and one of
            each being replaced.
        server_limit: what roles that are no superusers may open in all: max_connections less what is reserved.
        pool_timeout: seconds a request waits for a connection of its pool.
        graceful: seconds that Gunicorn gives requests in flight.
        stop: seconds that systemd gives Gunicorn.
    """

    workers: int
    threads: int
    pool_min: int
    pool_max: int
    clients: int
    bouncers: int
    spares: int
    pool_size: int
    min_pool_size: int
    reserve_pool_size: int
    session_pool: int
    max_db_connections: int
    max_client_conn: int
    open_files: int
    server_connections: int
    server_limit: int
    pool_timeout: int
    graceful: int
    stop: int


@dataclass(frozen=True)
class _Bouncers:
    """PgBouncer's part of a plan; sizes are of each process."""

    count: int = 0
    spares: int = 0
    pool: int = 0
    reserve: int = 0
    session: int = 0
    cap: int = 0
    clients: int = 0

    @property
    def opened(self) -> int:
        """Connections that all of them may have at once, while one restarts and each replaces one."""
        return (self.count + self.spares) * (self.cap + REPLACED)


def sizes(description: Description) -> Plan:
    """Return the sizes as the rules give them, whether or not they fit."""
    workers = worker_count(description)
    threads = thread_count(description)
    clients = client_count(description)
    bouncers = _bouncers(description, clients) if description.pgbouncer.enabled else _Bouncers()
    return Plan(
        workers=workers,
        threads=threads,
        pool_min=1,
        pool_max=threads,
        clients=clients,
        bouncers=bouncers.count,
        spares=bouncers.spares,
        pool_size=bouncers.pool,
        min_pool_size=bouncers.pool // 2,
        reserve_pool_size=bouncers.reserve,
        session_pool=bouncers.session,
        max_db_connections=bouncers.cap,
        max_client_conn=bouncers.clients,
        open_files=bouncers.clients + bouncers.cap + OTHER_FILES if bouncers.count else 0,
        server_connections=bouncers.opened if bouncers.count else RELEASES * clients,
        server_limit=server_limit(description),
        pool_timeout=ladder.pool_timeout(description),
        graceful=ladder.graceful(description.timeouts),
        stop=ladder.stop(description.timeouts),
    )


def worker_count(description: Description) -> int:
    """Return the processes on each host."""
    return description.server.workers or max(description.hosts.cores, FEWEST_WORKERS)


def thread_count(description: Description) -> int:
    """Return the requests at a time, and so connections, of each process."""
    return 1 if description.server.worker_class == "sync" else description.server.threads


def client_count(description: Description) -> int:
    """Return the connections that the pools of one release may open on all hosts."""
    return len(description.hosts.app) * worker_count(description) * thread_count(description)


def server_limit(description: Description) -> int:
    """Return the connections that PostgreSQL has for roles that are no superusers."""
    return description.database.max_connections - description.database.superuser_reserved - reserved(description)


def reserved(description: Description) -> int:
    """Return `reserved_connections`, which PostgreSQL has since version 16."""
    return description.database.reserved if description.database.version >= 16 else 0


def places(description: Description) -> int:
    """Return on how many hosts there is PgBouncer."""
    return len(description.hosts.app) if description.pgbouncer.place == "app" else 1


def extra_connections(description: Description) -> int:
    """Return what a PgBouncer process opens beside the app's own pool."""
    lookups = LOOKUPS if description.pgbouncer.auth == "query" else 0
    return description.pgbouncer.session_pool + lookups


def fewest_connections(description: Description, coming: int) -> int:
    """Return the fewest that the app's pool in one PgBouncer process works with.

    In session mode a client keeps its connection, and any process of a place may get all that come there.

    Args:
        coming: clients of one release at a place.
    """
    return RELEASES * coming if description.pgbouncer.mode == "session" else min(FEWEST_SERVERS, coming)


def reserve_of(pool: int) -> int:
    """Return the reserve of a pool: 10 to 25 % of it, none for the smallest."""
    return max(pool // 5, 1) if pool >= 4 else 0


def _bouncers(description: Description, clients: int) -> _Bouncers:
    """Return PgBouncer's part: with a spare where it has its place, without one where that is too much."""
    found = _sized(description, clients, 0 if listens_on_network(description) else SPARES)
    if found.opened + description.database.direct <= server_limit(description):
        return found
    return _sized(description, clients, 0)


def _sized(description: Description, clients: int, spares: int) -> _Bouncers:
    count = places(description) * description.pgbouncer.processes
    coming = clients // places(description)
    extra = extra_connections(description)
    pool, reserve = fewest_connections(description, coming), 0
    if description.pgbouncer.mode == "transaction":
        share = (server_limit(description) - description.database.direct) // (count + spares) - REPLACED - extra
        wanted = min(-(-PER_CORE * description.database.cores // count), coming)
        pool = max(pool, _largest(wanted, share))
        reserve = min(reserve_of(pool), coming - pool)
    return _Bouncers(
        count=count,
        spares=spares,
        pool=pool,
        reserve=reserve,
        session=description.pgbouncer.session_pool,
        cap=pool + reserve + extra,
        clients=RELEASES * coming + PEOPLE,
    )


def with_spare(description: Description) -> int:
    """Return what `max_connections` has to be for the smallest pools with a spare process."""
    coming = client_count(description) // places(description)
    each = fewest_connections(description, coming) + extra_connections(description) + REPLACED
    needed = (places(description) * description.pgbouncer.processes + SPARES) * each + description.database.direct
    return needed + description.database.max_connections - server_limit(description)


def _largest(wanted: int, room: int) -> int:
    """Return the largest pool up to `wanted` that leaves its reserve within `room`."""
    pool = min(wanted, room)
    while pool > 0 and pool + reserve_of(pool) > room:
        pool -= 1
    return pool
