"""Holds queries back in PgBouncer while PostgreSQL is away: clients wait instead of failing.

PAUSE lets transactions finish and keeps new ones waiting. Whatever happens to whoever paused, it ends: a timer of
systemd's own resumes, also when we are killed. If this is wrong, an app stands still until somebody types RESUME.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from ..description import Description
from .bouncers import Process
from .command import run, systemctl
from .errors import GateError, HostError

AWAY = 60  # seconds after the limit at which the timer resumes by itself


@dataclass(frozen=True)
class Pause:
    """Which processes hold what back.

    Attributes:
        processes: all of the host that run.
        entry: the entry of PgBouncer that waits, in transaction mode.
        query_wait: its seconds in the queue otherwise; while it pauses, there is no limit.
        seconds: how long running transactions may take to finish.
    """

    processes: tuple[Process, ...]
    entry: str
    query_wait: int
    seconds: float


def pause_of(description: Description, processes: Sequence[Process], seconds: float) -> Pause:
    """Return how to pause a description's processes.

    Raises:
        HostError: it is in session mode, where a pause waits for clients that never leave.
    """
    if processes and description.pgbouncer.mode == "session":
        raise HostError(
            'pgbouncer.mode is "session", where PgBouncer cannot pause while clients are connected; stop the app '
            "for the restart, or use --cut"
        )
    return Pause(tuple(processes), description.database.name, description.timeouts.query_wait, seconds)


def hold(pause: Pause, oldest: Callable[[], Sequence[str]] = tuple) -> None:
    """Hold new queries back, and wait until running transactions are done.

    Args:
        pause: which.
        oldest: tells the transactions that run longest, for the error.

    Raises:
        GateError: they were not done in time; queries go on already.
    """
    for process in pause.processes:
        _resume_later(pause, process)
    try:
        _pause_all(pause, oldest)
    except BaseException:
        let_go(pause)
        raise


def let_go(pause: Pause) -> None:
    """Let queries go on; those that do so already do."""
    for process in pause.processes:
        # A process that is gone holds nobody back any more.
        run(*process.console.argv(*_resuming(pause)), check=False)
        systemctl("stop", f"{_timer(process)}.timer", check=False)


@contextmanager
def held(pause: Pause, oldest: Callable[[], Sequence[str]] = tuple) -> Iterator[float]:
    """Hold queries back for the span of the block, however it ends; gives the time at which it began to.

    Raises:
        GateError: as `hold`.
    """
    began = time.monotonic()
    hold(pause, oldest)
    try:
        yield began
    finally:
        let_go(pause)


def _pause_all(pause: Pause, oldest: Callable[[], Sequence[str]]) -> None:
    if not pause.processes:
        return
    with ThreadPoolExecutor(len(pause.processes)) as pool:
        doing = [pool.submit(_pause, pause, process) for process in pause.processes]
        failed = [error for error in (each.exception() for each in doing) if error is not None]
    if failed:
        named = ", ".join(f"pid {each}" for each in oldest()) or "PostgreSQL's host knows which"
        raise GateError(
            f"transactions were not done within {pause.seconds:.0f} s: {named}; nothing was restarted, and "
            "queries go on; end them, or wait longer with --seconds"
        ) from failed[0]


def _pause(pause: Pause, process: Process) -> None:
    # Callers in the queue would be sent away after query_wait seconds, also while it pauses.
    process.console.ask("SET query_wait_timeout = 0")
    process.console.ask(f"PAUSE {_quoted(pause.entry)}", timeout=pause.seconds)


def _resuming(pause: Pause) -> tuple[str, str]:
    return f"RESUME {_quoted(pause.entry)}", f"SET query_wait_timeout = {pause.query_wait}"


def _resume_later(pause: Pause, process: Process) -> None:
    name = _timer(process)
    systemctl("stop", f"{name}.timer", check=False)  # of an earlier run; it comes again here
    run(
        "systemd-run", "--quiet", "--collect", f"--unit={name}", f"--on-active={pause.seconds + AWAY:.0f}s",
        "--timer-property=AccuracySec=1s", "--", *process.console.argv(*_resuming(pause)),
    )  # fmt: skip


def _timer(process: Process) -> str:
    return f"{process.places.name}-resume-{process.number}"


def _quoted(entry: str) -> str:
    return '"' + entry.replace('"', '""') + '"'
