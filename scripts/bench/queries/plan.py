"""How much is measured, and what the words of the command line mean."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

NETWORK = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)ms")
PLACES = ("socket", "tcp", "pgbouncer")
PARTS = ("profiles", "requests", "pages", "exports")
USUAL = 20  # children; the number that the bars are judged at
LONGEST_MS = 100.0


@dataclass(frozen=True)
class Plan:
    """How much is measured. Durations in seconds.

    Attributes:
        children: numbers of appointments.
        over: ways to the server: "socket", "tcp", "pgbouncer", or a network such as "0.5ms", there and back.
        every: whether all children are measured over all ways, and not over the first one alone.
        seconds: for the rounds of one number of children over one way; the first round is always whole.
        rounds: of the same, at most.
        size: of the shop, as the demo names it.
        http_rounds, http_seconds: of each server under load.
        http_warm_up: before the first of them, uncounted; the others have a fifth of it.
        users: requests in flight.
        page_rounds: of each way to a page.
        depth: rows before the deep page.
        exports: numbers of rows.
        export_rounds: of each way to export them.
        parts: which of PARTS are measured.
    """

    children: tuple[int, ...] = (0, 20, 200, 2000)
    over: tuple[str, ...] = ("socket", "tcp", "pgbouncer", "0.5ms", "2ms")
    every: bool = True
    seconds: float = 12.0
    rounds: int = 200
    size: str = "medium"
    http_rounds: int = 7
    http_seconds: float = 3.0
    http_warm_up: float = 1.0
    users: int = 32
    page_rounds: int = 200
    depth: int = 200_000
    exports: tuple[int, ...] = (400_000, 2_000_000)
    export_rounds: int = 3
    parts: tuple[str, ...] = PARTS

    def cells(self) -> list[tuple[str, int]]:
        """Return each way with each number of children that is measured over it."""
        usual = USUAL if USUAL in self.children else self.children[0]
        return [
            (way, number)
            for way in self.over
            for number in self.children
            if self.every or way == self.over[0] or number == usual
        ]


QUICK = Plan(
    every=False, seconds=1.5, rounds=30, size="small", http_rounds=2, http_seconds=0.7, page_rounds=30,
    exports=(400_000,), export_rounds=1,
)  # fmt: skip


def network_ms(way: str) -> float | None:
    """Return the milliseconds that a way's network takes there and back; None for what is no network."""
    found = NETWORK.fullmatch(way)
    return float(found[1]) if found else None


def way_of(text: str) -> str:
    """Read one way to the server.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    milliseconds = network_ms(text)
    if text in PLACES or (milliseconds is not None and 0 < milliseconds <= LONGEST_MS):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is no way to the server; give {', '.join(PLACES)}, or a network such as 0.5ms (up to "
        f"{LONGEST_MS:g}ms)"
    )


def way_label(way: str) -> str:
    """Return what the tables call a way."""
    names = {"socket": "socket", "tcp": "TCP", "pgbouncer": "PgBouncer"}
    return names.get(way) or f"+{network_ms(way):g} ms"
