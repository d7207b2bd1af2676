"""One run: people at work, faults one after the other and now and then two at once, then the books are checked."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .faults import Fault
from .invariants import broken, came_true
from .people import ACKED, READ, REJECTED, Books, Event, People, old_profiles
from .place import Place

BEFORE = 0.7  # seconds of peace before the first fault
PEACE = 0.2  # seconds between the service being back and the next fault, and up to a second more
TWO_AT_ONCE = 0.25
GOOD_IN_A_ROW = 20  # right answers after which the service counts as back
BACK_SECONDS = 30.0
GOOD = (ACKED, READ, REJECTED)
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
        back: seconds from a healing until the service answered right again and again, the longest of them.
        is_back: False where it never did; no fault came after that one.
        hurt: the parts that faults were in.
        broken: invariants that do not hold, a sentence each.
        unknown_true, failed_true: payments without an acknowledgement that are in the database after all.
    """

    seed: int
    began: float
    ended: float = 0.0
    back: float = 0.0
    is_back: bool = True
    spans: list[Span] = field(default_factory=list)
    hurt: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    unknown_true: int = 0
    failed_true: int = 0


def one_run(
    place: Place, books: Books, seed: int, faults: Sequence[Fault], seconds: float, tell: Callable[[str], None]
) -> Run:
    """Run for some seconds of faults, each after the service has recovered from the one before, and check.

    Args:
        books: of all runs on this shop; what was paid in one must be there in the next ones too.
        tell: told about each fault.
    """
    chance = random.Random(seed)
    run, first = Run(seed, time.monotonic()), len(books.events)
    books.wrong.clear()
    with People(place, books, seed):
        time.sleep(BEFORE)
        end = time.monotonic() + seconds
        while run.is_back and time.monotonic() < end:
            chosen = _chosen(faults, chance)
            tell(" and ".join(fault.name for fault in chosen))
            run.hurt |= {fault.part for fault in chosen}
            spans = _inject(chosen, place, chance)
            run.spans += spans
            _wait_until_back(run, books, max(span.healed for span in spans))
            time.sleep(PEACE + chance.random())
        run.ended = time.monotonic()  # from now on people stop one by one, which is no silence of the server's
    run.events = books.events[first:]
    if run.is_back:
        run.broken += [*broken(place, books), *_still_old(place, books, run)]
        run.unknown_true, run.failed_true = came_true(books, place)
    return run


def _still_old(place: Place, books: Books, run: Run) -> list[str]:
    """Return what the cache still has wrong once all is well.

    A worker that dies while Redis is away takes the invalidations along that it owed; then the TTL is the bound.
    """
    if "app" in run.hurt or not place.key:
        return []
    lacking = old_profiles(place, books)
    if not lacking:
        return []
    return [f"/api/me of {len(lacking)} customer(s) lacks acknowledged payments though all is well again"]


def _chosen(faults: Sequence[Fault], chance: random.Random) -> list[Fault]:
    first = chance.choice(faults)
    others = [fault for fault in faults if fault.part != first.part]
    return [first, chance.choice(others)] if others and chance.random() < TWO_AT_ONCE else [first]


def _inject(chosen: Sequence[Fault], place: Place, chance: random.Random) -> list[Span]:
    """Hurt, wait, heal; of two faults both hurt before the first is healed.

    In this thread, not in one for each: what a healing starts dies with the thread that started it (PDEATHSIG).
    """
    hurt = [(fault, time.monotonic(), fault.hurt(place, chance)) for fault in chosen]
    time.sleep(max(fault.seconds for fault in chosen))
    spans = []
    for fault, began, heal in sorted(hurt, key=lambda each: HEALED.index(each[0].part)):
        heal()
        spans.append(Span(fault.name, began, time.monotonic()))
    return sorted(spans, key=lambda span: span.began)


def _wait_until_back(run: Run, books: Books, healed: float) -> None:
    """Wait until enough answers in a row were right, and note how long after the healing that began."""
    while time.monotonic() < healed + BACK_SECONDS:
        last = books.events[-GOOD_IN_A_ROW:]
        if len(last) == GOOD_IN_A_ROW and all(each.kind in GOOD and each.begun >= healed for each in last):
            bad = [each.ended for each in books.events if each.ended >= healed and each.kind not in GOOD]
            run.back = max(run.back, max(bad, default=healed) - healed)
            return
        time.sleep(0.05)
    kinds = sorted({f"{each.kind} {each.what}".strip() for each in books.events[-200:] if each.kind not in GOOD})
    why = ", ".join(kinds) or "no answers"
    run.is_back = False
    run.broken.append(f"the service was not back {BACK_SECONDS:.0f} s after the last fault was healed: {why}")
