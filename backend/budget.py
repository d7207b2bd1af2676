"""Whether this service can ask for more connections than it may have: workers x maxconn against the limits.

Knows figures alone; `startup.py` asks for them. If this is wrong, a deployment is refused that would work, or one
starts that breaks at its first busy minute.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a server allows.

    Attributes:
        connections: max_connections, or PgBouncer's max_client_conn.
        reserved: Of those, for superusers and reserved roles.
        of_role: CONNECTION LIMIT of our role; None for none.
        of_database: CONNECTION LIMIT of our database; None for none.
        is_bouncer: Whether they are PgBouncer's.
    """

    connections: int
    reserved: int = 0
    of_role: int | None = None
    of_database: int | None = None
    is_bouncer: bool = False

    @property
    def most(self) -> tuple[int, str]:
        """The narrowest of them, and how it is called."""
        known = [(self.connections - self.reserved, self._of_server())]
        if self.of_role is not None:
            known.append((self.of_role, "the role's CONNECTION LIMIT"))
        if self.of_database is not None:
            known.append((self.of_database, "the database's CONNECTION LIMIT"))
        return min(known)

    def _of_server(self) -> str:
        if self.is_bouncer:
            return "PgBouncer's max_client_conn"
        return f"max_connections={self.connections} less {self.reserved} reserved"


def over(workers: int, maxconn: int, limits: Limits) -> str:
    """Return what is wrong, in one line with the numbers and the next step; "" when all fit.

    Args:
        workers: Processes of this service on this host.
        maxconn: The most connections that each may hold.
    """
    wanted, (most, name) = workers * maxconn, limits.most
    if wanted <= most:
        return ""
    fits = most // workers
    fewer = f"set DB_POOL_MAX={fits}, or " if fits else "run fewer workers, or "
    where = "raise max_client_conn" if limits.is_bouncer else "put PgBouncer before the server"
    return (
        f"{workers} workers x {maxconn} connections = {wanted}, and {most} are allowed ({name}); {fewer}{where}; "
        "scripts/harden plan sizes the whole chain"
    )
