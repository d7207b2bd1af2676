"""Restarts PgBouncer under load such that no request notices.

PgBouncer cannot hand its clients over: whoever is connected when it stops is cut off. So a second process, the
spare, takes the new clients meanwhile, the app's workers are replaced while the old ones finish what they have,
and a process is restarted when nobody is connected to it any more. At each moment at least one takes clients.

Holds no state: after an interruption at any point the next run starts the spare again, if it has to, and goes on.
If an order here is wrong, requests are lost, or the app finds no PgBouncer at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .bouncers import Bouncers, Process, wait_until
from .command import is_active, systemctl
from .errors import GateError, HostError
from .places import SLOTS, Places
from .steps import Steps

NAMED = 5  # clients that an error names


@dataclass(frozen=True)
class Restart:
    """What a restart of PgBouncer works with.

    Attributes:
        places: the app.
        bouncers: its processes.
        steps: tells and does what is done.
        seconds: how long old workers may take to finish and leave a process.
    """

    places: Places
    bouncers: Bouncers
    steps: Steps
    seconds: float


def restart_bouncers(job: Restart) -> None:
    """Restart each process, one after the other, and lose no request of the app.

    Raises:
        HostError: there is no spare, or a process does not come up.
        GateError: somebody does not leave a process; it serves on as before, and the spare beside it.
    """
    spare = job.bouncers.spare
    if spare is None:
        raise HostError(_no_spare(job.bouncers))
    try:
        job.steps(f"start {spare.unit}, which stands in", spare.start)
        for process in job.bouncers.processes:
            _restart(job, process, spare)
        _retire(job, spare)
    except BaseException:
        if not job.steps.is_dry:
            _take_clients(job.bouncers)
        raise


def cut_bouncers(job: Restart) -> None:
    """Restart each process at once: transactions finish, and then clients are cut off.

    Raises:
        HostError: a process does not come up.
    """
    for process in job.bouncers.processes:
        job.steps(f"restart {process.unit}, which cuts off its clients", process.restart)
    spare = job.bouncers.spare
    if spare is not None and spare.is_running():
        job.steps(f"stop {spare.unit}, which cuts off its clients", spare.stop)


def replace_workers(job: Restart) -> None:
    """Have the app's workers replaced by new ones, with new pools; the old ones finish their requests."""
    for unit in filter(is_active, map(job.places.unit, SLOTS)):
        systemctl("reload", unit)


def _no_spare(bouncers: Bouncers) -> str:
    if bouncers.is_on_network:
        return (
            "PgBouncer is beside the database, where no spare can stand in, so that a restart cuts off requests "
            "of the app's hosts; docs/restart.md says what to do there before --cut"
        )
    return (
        "there is no spare PgBouncer process to stand in, so that a restart cuts off requests: harden plan says "
        "why; restart PgBouncer with --cut"
    )


def _restart(job: Restart, process: Process, spare: Process) -> None:
    if not process.is_running():
        job.steps(f"start {process.unit}, which does not run", process.start)
        return
    _empty(job, process, spare)
    job.steps(f"restart {process.unit}", process.restart)


def _retire(job: Restart, spare: Process) -> None:
    _empty(job, spare, job.bouncers.processes[0])
    job.steps(f"stop {spare.unit}", spare.stop)


def _empty(job: Restart, process: Process, other: Process) -> None:
    """Let a process take no more clients, and wait until all have left it for others."""
    steps = job.steps
    steps(f"put the socket of {process.unit} aside", _unless_last(process, other))
    steps("replace the app's workers", lambda: replace_workers(job))
    steps(f"wait until nobody is connected to {process.unit}", lambda: _wait_empty(process, job.seconds))


def _unless_last(process: Process, other: Process) -> Callable[[], None]:
    def act() -> None:
        if other.is_aside() or not other.console.answers():
            raise HostError(f"{other.unit} takes no clients, so {process.unit} has to; nothing was restarted")
        process.step_aside()

    return act


def _wait_empty(process: Process, seconds: float) -> None:
    left = process.console.clients()

    def is_empty() -> bool:
        nonlocal left
        # Twice: one that was just logging in is shown the second time.
        before, left = left, process.console.clients()
        return not before and not left

    if not wait_until(is_empty, seconds):
        named = ", ".join(map(str, left[:NAMED])) + (f" and {len(left) - NAMED} more" if len(left) > NAMED else "")
        raise GateError(
            f"{process.unit} still has {len(left)} clients after {seconds:.0f} s: {named}; it was not restarted "
            "and serves on; end them, wait longer with --seconds, or use --cut"
        )


def _take_clients(bouncers: Bouncers) -> None:
    for process in bouncers.running:
        process.step_back()
