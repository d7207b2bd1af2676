"""Opens a pool's connections, and judges whether an idle one can still be handed out.

Nothing here is called with the pool's lock held: connecting and pinging take as long as they take.
Knows the options, not the pool. If this is wrong, callers get connections that are too old or lead nowhere.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, parse_dsn

from . import liveness, reset, watched
from .connection import Leased, leased_class
from .plans import Plans
from .pool_options import PoolOptions
from .record import Record

log = logging.getLogger(__name__)
# Told of each connection, its options and its parameters, while it is nobody's lease yet.
opened: Callable[[Any, PoolOptions, dict[str, Any]], None] | None = None
LARGEST_PID = 2**22  # of Linux. PgBouncer answers with a random number instead of a process id
WRITABLE = ("read-write", "primary")


class Opener:
    """Opens connections with one set of parameters.

    Attributes:
        create_time: seconds spent in successful connects.
        is_bounced: whether the last connection led to PgBouncer.
        must_write: whether the DSN asks for a server that takes writes.
        is_plain: whether a lease that left nothing on its object has nothing to be undone at the server either.
    """

    def __init__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], options: PoolOptions, kind: type[Leased]
    ) -> None:
        self._arguments = _arguments(args, kwargs, options, kind)
        self._options = options
        self._clock = options.clock
        self.create_time = 0.0
        self.is_bounced = False
        self.must_write = _known(self._arguments).get("target_session_attrs") in WRITABLE
        clears_sessions = options.reset in ("reset", "watch")
        self.is_plain = not (self.must_write or clears_sessions or options.on_return is not None)

    def open(self, give_back: Callable[[Any], None] | None) -> Any:
        """Connect.

        Args:
            give_back: called with the connection when its user closes it; None where closing closes.

        Raises:
            psycopg2.Error: the server refused, or cannot be reached.
        """
        start = self._clock()
        conn = psycopg2.connect(**self._arguments)
        try:
            self._prepare(conn, give_back, start)
        except BaseException:
            conn.close()
            raise
        self.create_time += self._clock() - start
        if opened is not None:
            opened(conn, self._options, self._arguments)
        return conn

    def _prepare(self, conn: Any, give_back: Callable[[Any], None] | None, start: float) -> None:
        if self._options.configure is not None:
            self._options.configure(conn)
            if conn.info.transaction_status != TRANSACTION_STATUS_IDLE:
                raise psycopg2.ProgrammingError(
                    "PoolOptions.configure left a transaction open; end it with commit(), or set autocommit"
                )
        lifetime = self._options.max_lifetime
        # 10 % jitter, so that connections opened in one burst do not expire in one burst (HikariCP: 2.5 %).
        expires = start + lifetime * random.uniform(0.9, 1.0) if lifetime else float("inf")
        record = Record(give_back, start, expires)
        record.baseline = reset.baseline(conn)
        record.poll = liveness.watch(conn)
        record.watch = watched.watch_for(self._options)
        if self._options.kept_plans and self._options.reset == "rollback":
            record.plans = Plans(self._options.kept_plans)
        conn._record = record
        self._note_bouncer(conn)

    def _note_bouncer(self, conn: Any) -> None:
        was, self.is_bounced = self.is_bounced, not 0 < conn.info.backend_pid <= LARGEST_PID
        if self.is_bounced and not was and self._options.reset in ("reset", "watch"):
            log.warning(
                "connected through PgBouncer, and resetting sessions by DISCARD ALL: right for its session "
                "mode; in transaction mode it wipes other clients' sessions, so set DB_PGBOUNCER=transaction"
            )

    def is_fit(self, conn: Any) -> bool:
        """Tell whether an idle connection can be handed out: not due, its server there, and as wanted."""
        record: Record = conn._record
        now = self._clock()
        if now >= record.expires:
            return False
        if now < record.fit_until and record.poll is not None and not record.poll(0):
            return True
        is_alive = liveness.answers(conn, self._options.peer_timeout)
        return is_alive and not (self.must_write and _is_read_only(conn))

    def is_lost_for_writes(self, conn: Any, *, has_failed: bool) -> bool:
        """Tell whether a connection leads to a server that no longer takes the writes the DSN asks for.

        A failover by proxy or by name leaves sessions on a server that was demoted. PostgreSQL 14 reports
        that by itself; for older ones a lease that met an error is asked about, by one round trip.
        """
        if not self.must_write:
            return False
        if _is_read_only(conn):
            return True
        return has_failed and not liveness.takes_writes(conn)


def _is_read_only(conn: Any) -> bool:
    """Tell whether the server has said so: PostgreSQL 14 and later do, without being asked."""
    status = conn.info.parameter_status
    return "on" in (status("in_hot_standby"), status("default_transaction_read_only"))


def _known(arguments: dict[str, Any]) -> dict[str, Any]:
    dsn = arguments.get("dsn")
    return {**(parse_dsn(dsn) if dsn else {}), **arguments}


def _arguments(
    args: tuple[Any, ...], kwargs: dict[str, Any], options: PoolOptions, kind: type[Leased]
) -> dict[str, Any]:
    """Return keywords for `psycopg2.connect`: the caller's, with our connection class and our timeouts."""
    arguments = dict(zip(("dsn", "connection_factory", "cursor_factory"), args), **kwargs)  # noqa: B905
    arguments["connection_factory"] = leased_class(kind, arguments.get("connection_factory"))
    known = _known(arguments)
    if "service" not in known:  # its file may say these things
        arguments.update({name: value for name, value in _timeouts(options).items() if name not in known})
    if options.statement_timeout_ms and options.reset != "pgbouncer":
        given = f"{known.get('options') or ''} -c statement_timeout={options.statement_timeout_ms}"
        arguments["options"] = given.strip()
    return arguments


def _timeouts(options: PoolOptions) -> dict[str, int]:
    """Return libpq's names and values for our timeouts.

    Silence is probed after a third of `peer_timeout`, then four times within the rest; what was sent and not
    acknowledged ends the connection after all of it.
    """
    timeouts = {"connect_timeout": options.connect_timeout} if options.connect_timeout else {}
    if options.peer_timeout:
        timeouts["keepalives_idle"] = max(1, round(options.peer_timeout / 3))
        timeouts["keepalives_interval"] = max(1, round(options.peer_timeout / 6))
        timeouts["keepalives_count"] = 4
        timeouts["tcp_user_timeout"] = max(1000, round(options.peer_timeout * 1000))
    return timeouts
