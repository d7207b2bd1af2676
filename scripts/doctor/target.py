"""The database that is looked at: its connection, and what was read of it, each thing once, when first asked for.

What cannot be read raises the same `NotSeen` for each rule that asks, so a report names all that was not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .catalog import Catalog
from .reading import read_catalog
from .server import Server, server_of
from .session import NotSeen, Session

if TYPE_CHECKING:
    from deploy.description import Description

    from ..audit.model.project import Project
    from .workload.statements import Workload

Read = TypeVar("Read")
Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Options:
    """What a person chose.

    Attributes:
        code: The app's folder, for call sites and statements; None for none.
        description: harden.toml, for the plan's budget of connections; None for none.
        pgbouncer: DSN of PgBouncer's admin console (database `pgbouncer`); None for none.
        prove: How gains are proved: "auto", "hypopg", "copy" or "off".
        unused_after: Days of counting before an index that nobody reads is called unused.
        long: Seconds from which a transaction is long.
        slow_ms: Mean milliseconds from which a statement is slow.
        table_rows: Rows from which a table is large enough for an index to matter to reads.
    """

    code: Path | None = None
    description: Description | None = field(default=None, repr=False)
    pgbouncer: str | None = field(default=None, repr=False)
    prove: str = "auto"
    unused_after: float = 7.0
    long: float = 60.0
    slow_ms: float = 100.0
    table_rows: int = 1000


class Target:
    """A database under examination.

    Attributes:
        session: To ask it more.
        options: What a person chose.
        say: Told what is under way: text, done, total.
    """

    def __init__(self, session: Session, options: Options, say: Say = lambda *_: None) -> None:
        self.session = session
        self.options = options
        self.say = say
        self._read: dict[str, object] = {}

    def once(self, name: str, read: Callable[[], Read]) -> Read:
        """Return what a question gave when it was asked first; a `NotSeen` is kept as well.

        Raises:
            NotSeen: that question has no answer here.
        """
        if name not in self._read:
            try:
                self._read[name] = read()
            except NotSeen as error:
                self._read[name] = error
        found = self._read[name]
        if isinstance(found, NotSeen):
            raise found
        return found  # type: ignore[return-value]

    @property
    def server(self) -> Server:
        """Version, settings, who we are."""
        return self.once("server", lambda: server_of(self.session))

    @property
    def catalog(self) -> Catalog:
        """Tables, indexes, keys, sequences, and what is counted of them."""
        return self.once("catalog", lambda: read_catalog(self.session))

    @property
    def project(self) -> Project | None:
        """The app's code, read by the audit; None when no folder was named."""
        code = self.options.code
        if code is None:
            return None

        def read() -> Project:
            from ..audit.model.build import build

            return build(code, (), self.say)

        return self.once("project", read)

    @property
    def workload(self) -> Workload:
        """The statements that the database and the code are known to run."""
        from .workload.statements import read_workload

        return self.once("workload", lambda: read_workload(self))
