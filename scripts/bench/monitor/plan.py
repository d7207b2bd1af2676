"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass

PARTS = ("queries", "wrapper", "memory", "requests")
BATCHES = (1, 5, 61)  # queries of one request; 61 is the demo's profile before
STATEMENTS = {
    "cheap": "SELECT %s",
    "rows": "SELECT n, 'row ' || n, now(), n * 1.5 FROM generate_series(1, 20) n WHERE n < %s",
}


@dataclass(frozen=True)
class Plan:
    """How much is measured. Durations in seconds.

    Attributes:
        rounds: of every way, batch and statement, one sample each.
        queries: of one sample, at least.
        wrapper_rounds: of the cost without a server.
        texts: different statements for the memory.
        http_pairs: of servers, watched and not, one after the other.
        http_rounds, http_seconds, http_warm_up: of the shop under load, for each pair.
        users: requests in flight.
        parts: which of PARTS are measured.
    """

    rounds: int = 20
    queries: int = 976
    wrapper_rounds: int = 100
    texts: int = 1_000_000
    http_pairs: int = 6
    http_rounds: int = 5
    http_seconds: float = 2.0
    http_warm_up: float = 1.0
    users: int = 32
    parts: tuple[str, ...] = PARTS


QUICK = Plan(
    rounds=8, queries=488, wrapper_rounds=40, texts=50_000, http_pairs=2, http_rounds=2, http_seconds=0.7,
    http_warm_up=0.5,
)  # fmt: skip
