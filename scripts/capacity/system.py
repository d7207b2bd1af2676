"""How many of everything there are: the machines, processes and connections that requests pass through."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """A configuration.

    Attributes:
        hosts: machines of the app.
        cores: of each.
        workers, threads: Gunicorn's processes on each host, and requests at a time in each.
        pool: connections of each worker.
        bouncers: PgBouncer processes for all hosts, each on a core of its own thread; 0 for none.
        pool_size: server connections of each PgBouncer.
        database_cores: of PostgreSQL's machine.
        max_requests: after which a worker is replaced, and a tenth on the average more; 0 for never.
        boot: processor seconds that a new worker takes to begin.
        is_shared: whether app, PgBouncer, PostgreSQL and the generator share the cores of one machine.
    """

    hosts: int = 1
    cores: int = 2
    workers: int = 2
    threads: int = 8
    pool: int = 8
    bouncers: int = 1
    pool_size: int = 20
    database_cores: int = 2
    max_requests: int = 0
    boot: float = 0.0
    is_shared: bool = False

    def __post_init__(self) -> None:
        for name in ("hosts", "cores", "workers", "threads", "pool", "pool_size", "database_cores"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is no system; give 1 or more")
        if self.bouncers < 0:
            raise ValueError(f"bouncers={self.bouncers} is no system; give 0 or more")
        if self.is_shared and self.hosts != 1:
            raise ValueError(f"hosts={self.hosts} cannot share one machine; give 1")

    @property
    def boot_per_request(self) -> float:
        """Processor seconds of replacing workers, for each request; `max_requests_jitter` is a fifth."""
        return self.boot / (1.1 * self.max_requests) if self.max_requests else 0.0

    @property
    def slots(self) -> int:
        """Requests that can be in work at once."""
        return self.hosts * self.workers * self.threads

    def __str__(self) -> str:
        database = f"PostgreSQL with {_many(self.database_cores, 'core')}"
        return (
            f"{_many(self.hosts, 'host')} x {_many(self.cores, 'core')}, "
            f"{_many(self.workers, 'worker')} x {_many(self.threads, 'thread')}, "
            f"{'one machine for all' if self.is_shared else database}"
        )


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
