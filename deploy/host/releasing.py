"""A release and a rollback: the order of phases, each on record before it begins, and undone when it fails.

Old and new run side by side: the new one must pass the gate on a socket of its own, then again on the shared one,
before the old one goes. If the order is wrong, requests are lost, or a host is left that boots into nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..description import Description
from ..files import File
from . import audit, configuring, gate, operation, recovery, slots
from .apply import apply, differences
from .command import is_active, run, systemctl
from .errors import GateError, HostError
from .lock import now
from .operation import Operation
from .places import Places
from .steps import Steps

WATCHED = 3.0  # seconds that a new instance must go on running after the gate
TAIL = 15  # lines of a journal
SEARCHED = 300  # lines of it in which a reason is looked for
REASON = "harden: error:"  # as the kit begins it, in the app's own process


@dataclass(frozen=True)
class Change:
    """What is to serve.

    Attributes:
        verb: "release" or "rollback".
        release: its id.
        description, files: its harden.toml and configuration.
        gate_seconds: in which the gate must be passed, each time.
        build: makes it; None for one that is there.
        migrate: brings the database to it; None for nothing.
        facts: for the audit log.
    """

    verb: str
    release: str
    description: Description
    files: tuple[File, ...]
    gate_seconds: float
    build: Callable[[], None] | None = None
    migrate: Callable[[], None] | None = None
    facts: dict[str, str] = field(default_factory=dict)


def perform(places: Places, change: Change, steps: Steps, say: Callable[[str], None]) -> None:
    """Let a release serve in place of the one that does; the caller holds the lock and has recovered.

    Args:
        places: the app.
        change: what.
        steps: tells and does the steps.
        say: takes lines beside them.

    Raises:
        GateError: it failed, and all has been put back.
        HostError: it failed, and something could not be put back; the next run tries again.
    """
    _Run(places, change, steps, say).perform()


class _Run:
    def __init__(self, places: Places, change: Change, steps: Steps, say: Callable[[str], None]) -> None:
        self.places, self.change, self.steps, self.say = places, change, steps, say
        old = slots.serving(places)
        slot = slots.other(old)
        self.operation = Operation(
            change.verb, change.release, slot, slots.current(places), slots.release_of(places.slot(slot)), "build",
            now(),
        )  # fmt: skip
        self.asked = gate.question(change.description)
        self.since = time.monotonic()

    def perform(self) -> None:
        try:
            self._before_the_switch()
        except BaseException as error:
            with recovery.undisturbed():
                self._undo(error)
            if isinstance(error, (HostError, OSError)):
                tail = getattr(error, "tail", ())
                raise GateError(f"{_reason(error)}; {self._state()}", tail) from None
            raise
        with recovery.undisturbed():
            self._after_the_switch()

    def _before_the_switch(self) -> None:
        change, slot = self.change, self.operation.slot
        if change.build is not None:
            self._step("build", f"build {change.release}", change.build)
        if change.migrate is not None:
            self._step("migrate", f"run the migrations of {change.release}", change.migrate)
        self._step("config", f"apply its configuration: {self._config_shown()}", self._apply)
        self._step("link", f"let instance {slot} be {change.release}", self._link)
        self._step("candidate", f"try it on a socket of its own: {self._gate_shown()}", self._candidate)
        self._step("start", f"start instance {slot} beside the old one and ask it again", self._start)

    def _after_the_switch(self) -> None:
        self._step("switched", f"make {self.change.release} the current release", self._switch)
        self.steps("stop the old instance, which finishes what it has, and remove old releases", self._finish)

    def _step(self, phase: str, text: str, do: Callable[[], object]) -> None:
        def recorded() -> None:
            self.operation = replace(self.operation, phase=phase)
            operation.write(self.places, self.operation)
            do()

        self.steps(text, recorded)

    def _config_shown(self) -> str:
        changes = differences(self.change.files, configuring.applied(self.places), self.places.root)
        return ", ".join(change.path for change in changes) or "nothing differs"

    def _gate_shown(self) -> str:
        seconds = f"{self.change.gate_seconds:g} s"
        return f"{self.asked.path} must answer 200 {gate.TIMES} times in a row within {seconds}"

    def _apply(self) -> None:
        apply(self.change.files, configuring.applied(self.places), self.places.root)

    def _link(self) -> None:
        slot = self.operation.slot
        # Either may run when somebody has started it by hand.
        recovery.stop_candidates(self.places)
        systemctl("stop", self.places.unit(slot), timeout=recovery.LONGEST_STOP)
        slots.point(self.places, self.places.slot(slot), self.change.release)

    def _candidate(self) -> None:
        unit = self.places.candidate(self.operation.slot)
        self._pass(unit, self.places.candidate_socket)
        recovery.stop_candidates(self.places)

    def _start(self) -> None:
        unit = self.places.unit(self.operation.slot)
        self._pass(unit, self.places.health_socket(self.operation.slot))
        self._watch(unit)

    def _pass(self, unit: str, place: Path) -> None:
        """Start a unit and ask it."""
        # Of an instance that failed before, systemd would remember that it did so too often.
        systemctl("reset-failed", unit, check=False)
        try:
            systemctl("start", unit)
        except HostError:
            tail = journal_of(unit)
            raise GateError(f"the release does not start{f': {tail[-1][:200]}' if tail else ''}", tail) from None
        try:
            gate.pass_through(place, self.asked, self.change.gate_seconds, lambda: is_active(unit))
        except GateError as error:
            raise GateError(str(error), journal_of(unit)) from None

    def _watch(self, unit: str) -> None:
        """Look for a while whether an instance keeps running."""
        until = time.monotonic() + WATCHED
        while time.monotonic() < until:
            if not is_active(unit) or _restarts(unit) != "0":
                raise GateError(f"{unit} passed the gate and then ended", journal_of(unit))
            time.sleep(0.5)

    def _switch(self) -> None:
        slots.point(self.places, self.places.current, self.change.release)

    def _finish(self) -> None:
        recovery.finish(self.places, self.operation, self.say)
        self._record("done")

    def _undo(self, error: BaseException) -> None:
        if self.steps.is_dry or operation.read(self.places) is None:
            return
        self.say(f"undoing: {_reason(error)}")
        # Of what nobody expected, the name alone: its text may have anything in it.
        reason = _reason(error) if isinstance(error, (HostError, OSError)) else type(error).__name__
        try:
            recovery.undo(self.places, self.operation, self.say)
        except (HostError, OSError) as second:
            why, tail = _reason(second), getattr(second, "tail", ())
            with suppress(OSError):  # on a full disk the log has no room, either
                self._record("failed", reason=f"{reason}; and {why}")
            raise HostError(f"{reason}; and it cannot be undone: {why}; run this again", tail) from None
        self._record("undone", reason=reason)

    def _record(self, result: str, reason: str | None = None) -> None:
        seconds = round(time.monotonic() - self.since, 1)
        audit.record(
            self.places, self.change.verb, result, release=self.change.release,
            before=self.operation.before or None, slot=self.operation.slot, seconds=seconds,
            reason=reason and reason[:500], **self.change.facts,
        )  # fmt: skip

    def _state(self) -> str:
        if not self.operation.before:
            return "all is as before, and nothing serves yet"
        return f"all is as before, {self.operation.before} serves"


def journal_of(unit: str) -> tuple[str, ...]:
    """Return the last lines that a unit's last run has said; why the app cannot be loaded comes first.

    Gunicorn follows that line up with a traceback of its own for each worker.
    """
    run("journalctl", "--sync", check=False)
    invocation = systemctl("show", "--property=InvocationID", "--value", unit, check=False).stdout.strip()
    if not invocation:
        return ()
    done = run(
        "journalctl", "--quiet", "--no-pager", "--output=cat", f"--lines={SEARCHED}",
        f"_SYSTEMD_INVOCATION_ID={invocation}", check=False,
    )  # fmt: skip
    said = [line for line in done.stdout.splitlines() if line.strip()]
    reasons = [line for line in said if line.startswith(REASON)]
    return tuple(dict.fromkeys([*reasons[-1:], *said[-TAIL:]]))


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return str(error) or type(error).__name__


def _restarts(unit: str) -> str:
    return systemctl("show", "--property=NRestarts", "--value", unit).stdout.strip()
