"""PgBouncer's console, asked as the one administrator there is: the process's own user, by its Unix socket.

So no password is needed and none exists. Knows the console's language and not what is done with the answers;
columns differ between versions and are read by name. Needs psql on the host.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from .command import run
from .errors import HostError

CONSOLE = "pgbouncer"  # the console's database, and what PgBouncer calls its own user there
ANSWER = 10.0  # seconds within which a console answers that has nothing to wait for


@dataclass(frozen=True)
class Client:
    """Somebody who is connected to PgBouncer.

    Attributes:
        database: the entry.
        state: active, waiting or idle; a client between two transactions is active before 1.23.
        pid: its process on this host; 0 over a network.
        application: what it calls itself.
    """

    database: str
    state: str
    pid: int
    application: str

    def __str__(self) -> str:
        who = f"pid {self.pid}" if self.pid else self.application or "a client"
        return f"{who} ({self.database}, {self.state})"


@dataclass(frozen=True)
class Console:
    """The console of one process.

    Attributes:
        user: the account that the process runs as.
        folder: where its socket is just now.
        port: part of the socket's name.
    """

    user: str
    folder: Path
    port: int

    def ask(self, command: str, timeout: float = ANSWER) -> list[dict[str, str]]:
        """Give a command; returns its rows by column, none for one that shows nothing.

        Raises:
            HostError: it is refused, nobody listens, or it took longer than `timeout` seconds.
        """
        done = run(*self.argv(command), timeout=timeout)
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def argv(self, *commands: str) -> tuple[str, ...]:
        """Return the program that gives commands one after the other, for somebody else to run."""
        psql = ("psql", "-X", "-q", "--csv", "-h", str(self.folder), "-p", str(self.port), "-U", CONSOLE)
        given = (word for command in commands for word in ("-c", command))
        return "runuser", "-u", self.user, "--", *psql, "-d", CONSOLE, *given

    def answers(self) -> bool:
        """Tell whether somebody listens who takes commands."""
        try:
            self.ask("SHOW VERSION")
        except HostError:
            return False
        return True

    def clients(self) -> list[Client]:
        """Return who is connected, those of consoles left out."""
        return [_client(row) for row in self.ask("SHOW CLIENTS") if row.get("database") != CONSOLE]


def _client(row: dict[str, str]) -> Client:
    pid = row.get("remote_pid") or "0"
    return Client(
        row.get("database", ""), row.get("state", ""), int(pid) if pid.isdecimal() else 0,
        row.get("application_name") or "",
    )  # fmt: skip
