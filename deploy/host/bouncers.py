"""The PgBouncer processes of an app on this host: which run, which take new clients, and who is with them.

All state is the host's own (units that run, socket files where they are or aside), so that whoever comes after an
interruption sees what there is to finish. Decides nothing. If this is wrong, clients find no process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..description import Description
from ..plan_sizes import sizes
from ..unit_network import listens_on_network
from .bouncer_console import Console
from .command import is_active, journal_tail, systemctl
from .errors import HostError
from .places import Places

LAST_PORT = 65535
POLL = 0.25  # seconds between two looks
START = 30.0  # seconds in which a process has to answer


@dataclass(frozen=True)
class Process:
    """One PgBouncer process.

    A client that connects looks for a socket file; one that is connected needs none. So a process whose file has
    been put aside keeps its clients and gets no more.

    Attributes:
        places: the app.
        number: from 1 on; the spare has the highest.
        port: part of the socket's name.
    """

    places: Places
    number: int
    port: int

    @property
    def user(self) -> str:
        """Return the account that it runs as."""
        return f"{self.places.name}-pgbouncer"

    @property
    def unit(self) -> str:
        """Return its unit."""
        return f"{self.user}@{self.number}.service"

    @property
    def folder(self) -> Path:
        """Return where its clients look for its socket."""
        return self.places.root / "run" / self.user / str(self.number)

    @property
    def socket(self) -> Path:
        """Return its socket's file while it takes clients."""
        return self._file(self.port)

    @property
    def socket_aside(self) -> Path:
        """Return its socket's file while it takes none: the name of another port, for which nobody asks there.

        In the same folder, which is not root's: in one below it, its owner could have put a link.
        """
        return self._file(self._port_aside)

    @property
    def console(self) -> Console:
        """Return its console, by the socket where it is now."""
        return Console(self.user, self.folder, self._port_aside if self.is_aside() else self.port)

    def is_running(self) -> bool:
        """Tell whether its unit is active."""
        return is_active(self.unit)

    def is_aside(self) -> bool:
        """Tell whether new clients do not find it, though it runs."""
        return self.socket_aside.exists() and not self.socket.exists()

    def step_aside(self) -> None:
        """Take no new clients; those that it has stay."""
        if self.socket.exists():
            self.socket.rename(self.socket_aside)

    def step_back(self) -> None:
        """Take new clients again."""
        if self.is_aside():
            self.socket_aside.rename(self.socket)

    def start(self) -> None:
        """Let it run and take clients; one that does so already is left alone.

        Raises:
            HostError: it does not come up; the journal's last lines are with it.
        """
        self.step_back()
        self._command("start")

    def restart(self) -> None:
        """Stop it, which cuts off the clients that it has, and start it; raises as `start`."""
        self._command("restart")

    def stop(self) -> None:
        """Stop it, which cuts off the clients that it has."""
        systemctl("stop", self.unit)

    @property
    def _port_aside(self) -> int:
        return self.port % LAST_PORT + 1

    def _file(self, port: int) -> Path:
        return self.folder / f".s.PGSQL.{port}"

    def _command(self, word: str) -> None:
        done = systemctl(word, self.unit, check=False)
        if done.returncode or not wait_until(self.console.answers, START):
            raise HostError(f"{self.unit} does not answer after a {word}", journal_tail(self.unit))


@dataclass(frozen=True)
class Bouncers:
    """All PgBouncer processes of an app on this host.

    Attributes:
        processes: those that run in normal operation.
        spare: the one that stands in for another; None where there is none.
        is_on_network: whether their clients come over a network, so that no socket file decides who gets them.
    """

    processes: tuple[Process, ...]
    spare: Process | None
    is_on_network: bool

    @property
    def running(self) -> list[Process]:
        """Return those that run, the spare too after an interruption."""
        return [one for one in (*self.processes, *filter(None, (self.spare,))) if one.is_running()]


def bouncers(places: Places, description: Description) -> Bouncers:
    """Return the processes that a description has on a host of its app, or on its database's."""
    port, count = description.pgbouncer.port, description.pgbouncer.processes
    if not description.pgbouncer.enabled:
        count = 0
    numbered = tuple(Process(places, number, port) for number in range(1, count + 1))
    spare = Process(places, count + 1, port) if sizes(description).spares else None
    return Bouncers(numbered, spare, listens_on_network(description))


def wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Look until something is so; returns whether it was within so many seconds."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(POLL)
    return True
