"""Whether connecting works at the moment; and when it does not, who may try again, and when.

While it works, callers connect as they need, up to the pool's maximum. After a failure one attempt at a time
is made: fifty callers of a server that is starting up must not knock fifty at a time. The waits between the
attempts that nobody asked for double from 0.1 s to 5 s, each at random between nothing and that ("full jitter",
Marc Brooker, AWS Architecture Blog 2015), so that the hosts of a fleet do not come back in step.

Every method is called with the pool's lock held. Knows nothing of connections.
If this is wrong, a server that comes back is overrun, or found late.
"""

from __future__ import annotations

import random

LONG = 1.0  # seconds; a connect takes milliseconds
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # seconds; HikariCP caps at 5 as well, psycopg_pool was stuck for minutes


class Outage:
    """A run of failed connects.

    Attributes:
        failures: how many in a row; 0 while connecting works.
        since: when the first of them was, by the pool's clock.
        next_try: when an attempt that no caller asked for may be made.
        cause: a copy of the last failure, kept until a connect succeeds.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.since = 0.0
        self.next_try = 0.0
        self.cause: BaseException | None = None
        self._reported = 0.0

    def failed(self, error: BaseException, begun: float, now: float) -> bool:
        """Note a failed connect.

        Returns:
            whether it speaks for all who wait. One failure may be an accident, and so may all that were under
            way at that moment; one that was begun after it is none, nor is one that took long.
        """
        is_certain = (self.failures > 0 and begun >= self.since) or now - begun >= LONG
        if not self.failures:
            self.since = self._reported = now
        self.failures += 1
        # A copy: the error itself carries a traceback, and so every frame and lease of its callers.
        self.cause = copied(error)
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self.failures - 1, 16))
        self.next_try = now + random.uniform(0.0, longest)
        return is_certain

    def is_next_due(self, now: float) -> bool:
        """Tell whether an attempt that no caller asked for may be made."""
        return not 0.0 < self.next_try - now <= LONGEST_WAIT  # further away: the clock was set back

    def ended(self) -> None:
        """Note a successful connect."""
        self.failures = 0
        self.cause = None

    def is_due_for_report(self, every: float, now: float) -> bool:
        """Tell, once per so many seconds of outage, that it is time to say so."""
        if not self.failures or not every or 0.0 <= now - self._reported < every:
            return False
        self._reported = now
        return True


def copied(error: BaseException) -> BaseException:
    """Return an error of the same type and text, without its traceback."""
    kind = type(error)
    copy = kind.__new__(kind, *error.args)  # not by its __init__, which may want other arguments
    copy.__dict__.update(error.__dict__)
    return copy
