"""One run: people at work, faults one after the other and now and then two at once, then the books are checked."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..errors import CommandError
from .faults import Fault
from .invariants import broken, came_true
from .people import ACKED, READ, Books, Event, People
from .world import World

BEFORE = 0.7  # seconds of peace before the first fault
TWO_AT_ONCE = 0.25
GOOD_IN_A_ROW = 20  # right answers after which the service counts as back
BACK_SECONDS = 30.0
GOOD = (ACKED, READ)
# In this order: PgBouncer does not answer before PostgreSQL does.
HEALED = ("postgres", "redis", "pgbouncer", "app")


@dataclass(frozen=True)
class Span:
    """One fault as it happened; times are of the monotonic clock."""

    fault: str
    began: float
    healed: float


@dataclass
class Run:
    """What one run showed.

    Attributes:
        back: seconds from the last healing until the service answered right again and again.
        broken: invariants that do not hold, a sentence each.
        unknown_true, failed_true: payments without an acknowledgement that are in the database after all.
    """

    seed: int
    began: float
    ended: float = 0.0
    back: float = 0.0
    spans: list[Span] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    unknown_true: int = 0
    failed_true: int = 0


def one_run(
    world: World, books: Books, seed: int, faults: Sequence[Fault], seconds: float, tell: Callable[[str], None]
) -> Run:
    """Run for some seconds of faults, and check.

    Args:
        books: of all runs on this world; what was paid in one must be there in the next ones too.
        tell: told about each fault.

    Raises:
        CommandError: a part did not come back at all.
    """
    chance = random.Random(seed)
    run, first = Run(seed, time.monotonic()), len(books.events)
    books.wrong.clear()
    with People(world, books, seed):
        time.sleep(BEFORE)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            chosen = _chosen(faults, chance)
            tell(" and ".join(fault.name for fault in chosen))
            run.spans += _inject(chosen, world, chance)
            time.sleep(0.4 + chance.random())
        run.back = _wait_until_back(books, run.spans[-1].healed)
    run.ended = time.monotonic()
    run.events = books.events[first:]
    run.broken = broken(world, books)
    run.unknown_true, run.failed_true = came_true(books, world)
    return run


def _chosen(faults: Sequence[Fault], chance: random.Random) -> list[Fault]:
    first = chance.choice(faults)
    others = [fault for fault in faults if fault.part != first.part]
    return [first, chance.choice(others)] if others and chance.random() < TWO_AT_ONCE else [first]


def _inject(chosen: Sequence[Fault], world: World, chance: random.Random) -> list[Span]:
    """Hurt, wait, heal; of two faults both hurt before the first is healed.

    In this thread, not in one for each: what a healing starts dies with the thread that started it (PDEATHSIG).
    """
    hurt = [(fault, time.monotonic(), fault.hurt(world, chance)) for fault in chosen]
    time.sleep(max(fault.seconds for fault in chosen))
    spans = []
    for fault, began, heal in sorted(hurt, key=lambda each: HEALED.index(each[0].part)):
        heal()
        spans.append(Span(fault.name, began, time.monotonic()))
    return sorted(spans, key=lambda span: span.began)


def _wait_until_back(books: Books, healed: float) -> float:
    """Wait until enough answers in a row were right; returns how long after the healing that began.

    Raises:
        CommandError: it does not come back.
    """
    while time.monotonic() < healed + BACK_SECONDS:
        last = books.events[-GOOD_IN_A_ROW:]
        if len(last) == GOOD_IN_A_ROW and all(each.kind in GOOD and each.begun >= healed for each in last):
            bad = [each.ended for each in books.events if each.ended >= healed and each.kind not in GOOD]
            return max(max(bad, default=healed) - healed, 0.0)
        time.sleep(0.05)
    kinds = sorted({f"{each.kind} {each.what}".strip() for each in books.events[-200:] if each.kind not in GOOD})
    why = ", ".join(kinds) or "no answers"
    raise CommandError(f"the service was not back {BACK_SECONDS:.0f} s after the last fault was healed: {why}")
