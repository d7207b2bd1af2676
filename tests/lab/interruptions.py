"""Ends a verb at a random moment, by SIGKILL or by a power cut, and says where it was.

The moment is a phase of the operation and a delay after its start, or a share of the verb's whole time; both come
from a seed, so that a run can be had again. Knows verbs as commands, and what they leave on disk by one path.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.host.operation import PHASES

from .errors import LabError
from .host import Host

HOW = ("kill -9", "power cut")
LONGEST_DELAY = 1.2  # seconds after the start of a phase; most phases are shorter
LOOK = 0.002  # seconds between two looks at the phase


@dataclass(frozen=True)
class Moment:
    """When and how a verb is ended.

    Attributes:
        how: one of HOW.
        phase: which the operation has to be in; "" for a time from the verb's start.
        delay: seconds after that.
    """

    how: str
    phase: str
    delay: float

    def __str__(self) -> str:
        return f"{self.how} {self.delay:.2f} s into {self.phase or 'the verb'}"


@dataclass(frozen=True)
class Ending:
    """How it came out.

    Attributes:
        phase: the operation's when the verb was ended; "" for none.
        code: the verb's exit code where it was through before the moment; None where it was ended.
    """

    phase: str
    code: int | None


def count(environ: os._Environ[str] | dict[str, str] = os.environ) -> int:
    """Return how many interruptions a run has: HARDEN_LAB_INTERRUPTIONS, else a few."""
    return int(environ.get("HARDEN_LAB_INTERRUPTIONS") or 8)


def draw(dice: random.Random, seconds: float, phases: Sequence[str] = PHASES) -> Moment:
    """Return a moment: half of them anywhere in a verb's time, half by phase, for those that matter are short.

    Args:
        dice: seeded.
        seconds: that the verb takes when it is let alone.
        phases: those that the verb has; none for one that keeps no record of them.
    """
    how = HOW[dice.random() < 0.4]
    if dice.random() < 0.5 or not phases:
        return Moment(how, "", dice.uniform(0.0, seconds))
    return Moment(how, dice.choice(phases), LONGEST_DELAY * dice.random() ** 2)


def interrupt(host: Host, command: tuple[str, ...], state: str, moment: Moment, timeout: float = 300.0) -> Ending:
    """Run a verb and end it at a moment; after a power cut the host is off.

    Args:
        host: where.
        command: the verb's.
        state: folder of the host in which operation.json lies.
        moment: when and how; a verb that is through before it is let be.
        timeout: seconds that the verb may take.

    Raises:
        LabError: it did not end.
    """
    operation = host.folder / "upper" / state.lstrip("/") / "operation.json"
    with subprocess.Popen(
        host.command(*command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as verb:  # fmt: skip
        try:
            _wait(verb, operation, moment, timeout)
            ending = Ending(_phase(operation), verb.poll())
            if moment.how == "power cut" and ending.code is None:
                host.kill9()
        finally:
            try:
                os.killpg(verb.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    return ending


def _wait(verb: subprocess.Popen[bytes], operation: Path, moment: Moment, timeout: float) -> None:
    limit = time.monotonic() + timeout
    started = None if moment.phase else time.monotonic()
    while verb.poll() is None:
        now = time.monotonic()
        if started is None and _has_reached(_phase(operation), moment.phase):
            started = now
        if started is not None and now >= started + moment.delay:
            return
        if now > limit:
            raise LabError(f"the verb did not end within {timeout:.0f} s")
        time.sleep(LOOK)


def _has_reached(phase: str, wanted: str) -> bool:
    """Tell whether an operation is in a phase or past it: a rollback skips some."""
    return phase in PHASES and PHASES.index(phase) >= PHASES.index(wanted)


def _phase(operation: Path) -> str:
    """Return the phase that is on the host's disk; "" for no operation."""
    try:
        return str(json.loads(operation.read_text())["phase"])
    except (OSError, ValueError, KeyError):
        return ""
