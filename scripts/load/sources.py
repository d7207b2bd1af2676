"""Where the values of a scenario come from: ranges, lists, files, numbers that never come twice.

A source is data that can be sent to the engine's process as JSON; drawing from it needs a random generator that
the engine seeds, so that a run can be repeated.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Source:
    """One named value.

    Attributes:
        kind: range, list, sequence or uuid.
        low, high: inclusive, of a range; a sequence begins at `low`.
        items: of a list.
    """

    kind: str
    low: int = 0
    high: int = 0
    items: Sequence[Any] = ()

    def draw(self, chance: random.Random, turn: int) -> Any:
        """Return a value.

        Args:
            chance: the person's own random generator.
            turn: a number that no other task of the run has; for a sequence.
        """
        if self.kind == "range":
            return chance.randint(self.low, self.high)
        if self.kind == "list":
            return self.items[chance.randrange(len(self.items))]
        if self.kind == "sequence":
            return self.low + turn
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))
