"""What is crossed with what, and how each server is started."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

SERVERS = ("dev", "sync", "gthread", "gevent")
POOLS = ("none", "psycopg2", "ours")
PATHS = ("direct", "session", "transaction")
QUERIES = ("loop", "batched")
SYNC_WORKERS = 5  # 2 x cores + 1, as Gunicorn's documentation advises, on the two cores of our own machines
WORKERS, THREADS = 2, 4
DEV_POOL = 8  # the development server is one process: as many connections as the others have together


@dataclass(frozen=True, order=True)
class Config:
    """One cell of the matrix."""

    server: str
    pool: str
    path: str
    queries: str

    @property
    def name(self) -> str:
        """Its four words."""
        return f"{self.server} / {self.pool} / {self.path} / {self.queries}"

    @property
    def pool_size(self) -> int:
        """Connections of each process's pool."""
        return {"dev": DEV_POOL, "sync": 1}.get(self.server, THREADS)

    @property
    def gunicorn(self) -> list[str]:
        """Gunicorn's options; the development server has none."""
        counts = {
            "sync": ("--workers", str(SYNC_WORKERS), "--threads", "1"),  # with more, Gunicorn takes gthread
            "gthread": ("--workers", str(WORKERS), "--threads", str(THREADS)),
            "gevent": ("--workers", str(WORKERS), "--worker-connections", "200"),
        }
        return ["--worker-class", self.server, *counts[self.server], "--max-requests", "0"]


def everything() -> Iterator[Config]:
    """Yield every cell, neighbours beside each other."""
    for words in product(SERVERS, PATHS, QUERIES, POOLS):
        server, path, queries, pool = words
        yield Config(server, pool, path, queries)


# From the prototype to the hardened shop, a step at a time: each differs from the one before in one word.
LADDER = (
    ("the prototype: development server, a connection per request", Config("dev", "none", "direct", "loop")),
    ("Gunicorn, sync workers", Config("sync", "none", "direct", "loop")),
    ("threads: gthread", Config("gthread", "none", "direct", "loop")),
    ("psycopg2's own pool", Config("gthread", "psycopg2", "direct", "loop")),
    ("our pool in its place", Config("gthread", "ours", "direct", "loop")),
    ("PgBouncer, transaction mode", Config("gthread", "ours", "transaction", "loop")),
    ("one query instead of 1 + 3N", Config("gthread", "ours", "transaction", "batched")),
)
