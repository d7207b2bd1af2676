"""Asks every request on both sides, twice over, and gathers what was answered, counted and timed.

Both sides live at the same time and are asked in turn, so that a slow moment of the machine weighs on both. After
whatever wrote or did not end both get a fresh database and fresh processes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .ask import Request
from .compare import Verdict, verdict
from .recipe import Ignore
from .side import Reply, Side

APART_SECONDS = 1.1  # between two runs: a clock in whole seconds must show
Bar = Callable[[float, float, str], None]


@dataclass
class Result:
    """One request on both sides, the replies in the order in which they came."""

    request: Request
    before: list[Reply] = field(default_factory=list)
    after: list[Reply] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def word(self) -> str:
        """Return the verdict in one word."""
        return self.verdict.word

    def statements(self) -> tuple[int | None, int | None]:
        """Return the statements of one request, before and after."""
        one, other = ([each.statements for each in side] for side in (self.before, self.after))
        return _middle(one), _middle(other)

    def connections(self) -> tuple[int | None, int | None]:
        """Return the connections opened by one request, before and after."""
        one, other = ([each.connections for each in side] for side in (self.before, self.after))
        return _middle(one), _middle(other)

    def milliseconds(self) -> tuple[float | None, float | None]:
        """Return the median time to the last byte, before and after; None where nothing was answered."""
        times = [[each.answer.seconds * 1000 for each in side if not each.answer.failure] for side in
                 (self.before, self.after)]  # fmt: skip
        one, other = (statistics.median(each) if each else None for each in times)
        return one, other


class Run:
    """One verification.

    Args:
        sides: before and after; stopped at the end.
        cookies: a signed session by side.
        repeats: how often a request that does not write is asked in each run.
        ignores: of the recipe.
        bar: told how far it is.
    """

    def __init__(
        self, sides: tuple[Side, Side], cookies: list[list[str] | None], repeats: int, ignores: list[Ignore],
        bar: Bar,
    ) -> None:  # fmt: skip
        self._sides = sides
        self._cookies, self._repeats, self._ignores, self._bar = cookies, repeats, ignores, bar

    def results(self, requests: list[Request]) -> list[Result]:
        """Ask everything.

        Raises:
            CommandError: a side does not boot.
        """
        results = [Result(request) for request in requests]
        try:
            started = time.monotonic()
            self._pass(results, "asking")
            time.sleep(max(0.0, started + APART_SECONDS - time.monotonic()))
            self._pass(results, "asking again")
            self._judge(results)
            if any(each.verdict.differences for each in results):
                # Once more: what came from a clock that went over to the next minute shows as varying now. All of
                # it, since what a process keeps in its memory depends on everything that it was asked before.
                time.sleep(APART_SECONDS)
                self._pass(results, "asking once more, for something differs")
                self._judge(results)
        finally:
            for side in self._sides:
                side.stop()
        return results

    def _judge(self, results: list[Result]) -> None:
        for each in results:
            each.verdict = verdict(each.request, each.before, each.after, self._ignores)

    def _pass(self, results: list[Result], word: str) -> None:
        self._renew()
        for number, each in enumerate(results):
            self._bar(number, len(results), f"{word}: {each.request.label}")
            if not self._asked(each) and number < len(results) - 1:
                self._renew()

    def _asked(self, result: Result) -> bool:
        """Ask one request in turn; returns whether the sides are as they were."""
        for place in range(self._repeats):
            replies = [side.ask(result.request, place) for side in self._sides]
            result.before.append(replies[0])
            result.after.append(replies[1])
            if any(each.wrote or each.answer.failure for each in replies):
                return False
        return True

    def _renew(self) -> None:
        for side in self._sides:
            side.stop()
        for side in self._sides:
            side.start()
        for side, cookie in zip(self._sides, self._cookies, strict=True):
            side.wait(cookie)


def _middle(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return int(statistics.median_low(known)) if known else None
