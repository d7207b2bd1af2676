"""Opens a pool's connections, and judges whether an idle one can still be handed out.

Nothing here is called with the pool's lock held: connecting and pinging take as long as they take.
Knows the options, not the pool. If this is wrong, callers get connections that are too old or lead nowhere.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2.extensions import parse_dsn

from . import liveness, reset
from .connection import Leased, Record, leased_class
from .pool_options import PoolOptions


class Opener:
    """Opens connections with one set of parameters.

    Attributes:
        last_failure: why the last attempt to connect failed; None after a success.
    """

    def __init__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], options: PoolOptions, kind: type[Leased]
    ) -> None:
        self._arguments = _arguments(args, kwargs, options, kind)
        self._options = options
        self._retired_before = self._suspected_before = float("-inf")
        self.last_failure: BaseException | None = None

    def open(self, give_back: Callable[[Any], None]) -> Any:
        """Connect.

        Args:
            give_back: called with the connection when its user closes it.

        Raises:
            psycopg2.Error: the server refused, or cannot be reached.
        """
        start = time.monotonic()
        try:
            conn = psycopg2.connect(**self._arguments)
        except psycopg2.Error as error:
            # A copy: the error itself will carry a traceback, and so every frame and lease of its callers.
            self.last_failure = type(error)(*error.args)
            raise
        self.last_failure = None
        lifetime = self._options.max_lifetime
        # 10 % jitter, so that connections opened in one burst do not expire in one burst (HikariCP: 2.5 %).
        expires = start + lifetime * random.uniform(0.9, 1.0) if lifetime else float("inf")
        conn._record = record = Record(give_back, expires)
        record.baseline = reset.baseline(conn)
        record.poller = liveness.watch(conn)
        return conn

    def retire_all(self) -> None:
        """Have every connection opened before now replaced."""
        self._retired_before = time.monotonic()

    def is_due(self, record: Record) -> bool:
        """Tell whether a connection has reached its age, or was retired."""
        return time.monotonic() >= record.expires or record.born < self._retired_before

    def is_fit(self, conn: Any) -> bool:
        """Tell whether an idle connection can be handed out: not due, and its server still there."""
        record: Record = conn._record
        if self.is_due(record):
            return False
        now = time.monotonic()
        quiet = record.poller is not None and liveness.is_quiet(record.poller)
        suspected = record.verified < self._suspected_before
        rested = now - record.returned > self._options.pre_ping_after
        if quiet and not suspected and not rested:
            return True
        if liveness.answers(conn):
            record.verified = now
            return True
        # The server it led to is gone: all that were opened before now are asked before they are trusted.
        self._suspected_before = now
        return False


def _arguments(
    args: tuple[Any, ...], kwargs: dict[str, Any], options: PoolOptions, kind: type[Leased]
) -> dict[str, Any]:
    """Return keywords for `psycopg2.connect`: the caller's, with our connection class and our timeouts."""
    arguments = dict(zip(("dsn", "connection_factory", "cursor_factory"), args), **kwargs)  # noqa: B905
    arguments["connection_factory"] = leased_class(kind, arguments.get("connection_factory"))
    dsn = arguments.get("dsn")
    known = {**(parse_dsn(dsn) if dsn else {}), **arguments}
    if options.connect_timeout and "connect_timeout" not in known and "service" not in known:
        arguments["connect_timeout"] = options.connect_timeout
    if options.statement_timeout_ms and options.reset != "pgbouncer":
        given = f"{known.get('options') or ''} -c statement_timeout={options.statement_timeout_ms}"
        arguments["options"] = given.strip()
    return arguments
