"""PostgreSQL's server on this host: whether it is here, whether its settings let it start, and its restart.

Debian's cluster `main` alone. Knows nothing of who is connected, but for what keeps a pause waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..description import Description
from .bouncers import wait_until
from .command import journal_tail, run, systemctl
from .errors import HostError

START = 120.0  # seconds in which it has to answer; a recovery after a crash takes longer, a clean restart does not
STOP = 300.0
OLDEST = """
SELECT pid || ' (' || state || ' for ' || extract(epoch FROM now() - xact_start)::int || ' s, '
    || coalesce(nullif(application_name, ''), 'no name') || ')'
FROM pg_catalog.pg_stat_activity WHERE usename = :'role' AND xact_start IS NOT NULL ORDER BY xact_start LIMIT 5
"""


@dataclass(frozen=True)
class Server:
    """PostgreSQL on this host.

    Attributes:
        version: its major version.
        port: where it listens.
        root: "/" on a host.
    """

    version: int
    port: int
    root: Path = Path("/")

    @property
    def unit(self) -> str:
        """Return its unit."""
        return f"postgresql@{self.version}-main.service"

    def is_here(self) -> bool:
        """Tell whether this host has the cluster."""
        return (self.root / f"etc/postgresql/{self.version}/main/postgresql.conf").exists()

    def check(self) -> None:
        """Have it read its settings as a start would.

        Raises:
            HostError: it would not start with them.
        """
        cluster = f"{self.version}/main"
        done = run(
            "runuser", "-u", "postgres", "--", f"/usr/lib/postgresql/{self.version}/bin/postgres",
            "-D", f"/var/lib/postgresql/{cluster}", "-c", f"config_file=/etc/postgresql/{cluster}/postgresql.conf",
            "-C", "max_connections", check=False,
        )  # fmt: skip
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise HostError(f"PostgreSQL would not start: {said[0] if said else 'no reason given'}", said)

    def checkpoint(self) -> None:
        """Have it write what it would write while it stops, so that the stop is short."""
        self._ask("CHECKPOINT", timeout=STOP)

    def restart(self) -> None:
        """Restart it.

        Raises:
            HostError: it does not answer after that; the journal's last lines are with it.
        """
        done = systemctl("restart", self.unit, check=False, timeout=STOP)
        if done.returncode or not wait_until(self.answers, START):
            raise HostError(f"{self.unit} does not answer after a restart", journal_tail(self.unit))

    def answers(self) -> bool:
        """Tell whether it takes queries."""
        try:
            return self._ask("SELECT 1", timeout=10) == "1\n"
        except HostError:
            return False

    def oldest(self, role: str) -> tuple[str, ...]:
        """Return a role's longest transactions by pid, state and age; none when nobody can say."""
        try:
            return tuple(self._ask(OLDEST, "-v", f"role={role}", timeout=10).splitlines())
        except HostError:
            return ()

    def _ask(self, sql: str, *more: str, timeout: float) -> str:
        psql = ("psql", "-X", "-q", "-A", "-t", "-p", str(self.port), "-d", "postgres", *more, "-f", "-")
        return run("runuser", "-u", "postgres", "--", *psql, input=sql, timeout=timeout).stdout


def server(description: Description, root: Path = Path("/")) -> Server:
    """Return a description's server, which may be on another host."""
    return Server(description.database.version, description.database.port, root)
