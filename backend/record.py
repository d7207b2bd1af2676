"""What the pool knows of one physical connection.

A record outlives the lease, the connection object refers to it, and it refers to the connection weakly: a
connection that everybody dropped is collected, and the pool hears of it. Knows nothing of pools.
If a field here is stale, a caller gets a connection that another one still uses.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from .site import Site

NEVER = float("-inf")


class Record:
    """One physical connection. Touched by its holder alone, or under the pool's lock.

    Attributes:
        pid: the process that opened it; a child of that process must not use it.
        born, expires: seconds of the pool's clock: opened, due to be replaced.
        fit_until: until then it may be handed out without a question to the server; set at each return.
        returned: when it was given back last.
        leased: whether somebody holds it.
        number: how often it was leased so far; tells one lease of the same object from the next.
        thread, since, site: the holder's thread, when it took it, and from where.
        key: the caller's key of `getconn(key)`.
        touched: whether the lease may have sent anything to the server.
        altered: whether it may have changed an attribute such as autocommit.
        called: whether it called a function whose plan the session keeps.
        leak_reported, stall_reported: whether the log has been told of this lease.
        users: other threads that used this lease.
        use_time: seconds it was leased, of all leases that ended.
        givers: threads that gave this object back by `close()` and may still refer to it; a second one of
            theirs must not end the lease of whoever holds it now.
        cursors: weak references to the cursors of the lease.
        watch: makes the cursors where statements are looked at; None where they are not.
        poll: poll(2) on its socket.
        plans: the statements kept prepared on it; None where its session is not the pool's own.
        promised: what waits for the transaction's commit; None when nothing does.
    """

    __slots__ = (
        "__weakref__", "altered", "baseline", "born", "called", "cursors", "expires", "fit_until", "give_back",
        "givers", "key", "leak_reported", "leased", "number", "pid", "plans", "poll", "promised", "ref",
        "returned", "since", "site", "stall_reported", "thread", "touched", "use_time", "users", "watch",
    )  # fmt: skip

    def __init__(self, give_back: Callable[[Any], None] | None, now: float, expires: float) -> None:
        self.pid = os.getpid()
        self.born = self.returned = self.since = now
        self.expires = expires
        self.fit_until = NEVER
        self.give_back = give_back
        self.leased = self.leak_reported = self.stall_reported = False
        self.touched = self.altered = self.called = False
        self.number = self.thread = 0
        self.use_time = 0.0
        self.key: Any = None
        self.site: Site = ()
        self.users: set[int] | None = None
        self.poll: Callable[[int], list[Any]] | None = None
        self.watch: Any = None
        self.plans: Any = None
        self.promised: list[Any] | None = None
        self.baseline: Any = None
        self.ref: weakref.ref[Any] | None = None
        self.givers: set[int] = set()
        self.cursors: list[weakref.ref[Any]] = []

    def is_held(self) -> bool:
        """Tell whether the caller may use the connection: it is leased, and not to somebody after him."""
        if not self.givers or not self.leased:
            return self.leased
        me = threading.get_ident()
        return me == self.thread or me not in self.givers

    def end(self, now: float) -> None:
        """Mark it as given back."""
        self.use_time += now - self.since
        self.leased = self.leak_reported = self.stall_reported = False
        self.users = None
        self.returned = now

    def connection(self) -> Any:
        """Return the connection, or None when it was collected."""
        return self.ref() if self.ref is not None else None


def _unreferenced() -> int:
    """Return what `sys.getrefcount` says of a list's last item, just taken, that nothing else refers to."""
    items = [object()]
    conn = items.pop()
    return sys.getrefcount(conn)


UNREFERENCED = _unreferenced()
