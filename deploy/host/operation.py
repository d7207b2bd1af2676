"""What is under way on a host, on disk before each phase, so that after an interruption the next run knows.

It is removed at the end: whoever finds one while holding the lock finds an interrupted run's.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from . import durable
from .errors import HostError
from .places import Places

# Up to "start" an interrupted release is undone; from "switched" on it is finished.
PHASES = ("build", "migrate", "config", "link", "candidate", "start", "switched")


@dataclass(frozen=True)
class Operation:
    """A release or rollback.

    Attributes:
        verb: "release" or "rollback".
        release: the id that is to serve.
        slot: the instance that is to serve it, "a" or "b".
        before: the id that `current` led to; "" for none.
        before_link: the id that the slot's link led to; "" for none.
        phase: one of PHASES.
        started: when, in UTC.
    """

    verb: str
    release: str
    slot: str
    before: str
    before_link: str
    phase: str
    started: str

    @property
    def is_switched(self) -> bool:
        """Tell whether the new release is the current one already, so that there is no way back but forward."""
        return self.phase == "switched"


def write(places: Places, operation: Operation) -> None:
    """Bring an operation's phase to disk."""
    durable.replace(places.operation, json.dumps(asdict(operation)) + "\n", 0o600)


def read(places: Places) -> Operation | None:
    """Return what was under way; None when nothing was.

    Raises:
        HostError: the file is none that this version of the kit has written.
    """
    try:
        text = places.operation.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    try:
        told = json.loads(text)
        found = Operation(**{field.name: str(told[field.name]) for field in fields(Operation)})
    except (ValueError, KeyError, TypeError):
        found = None
    if found is None or found.phase not in PHASES:
        raise HostError(
            f"{places.operation} cannot be read; see harden status for what serves, then remove it"
        )
    return found


def clear(places: Places) -> None:
    """Say that nothing is under way any more."""
    durable.remove(places.operation)
