"""Cursors whose statements are looked at before they are sent, where a pool has to know.

Behind PgBouncer in transaction mode, to stop a statement that changes the session before it reaches somebody
else's; in reset mode `watch`, to know whether a reset is needed at all. The class of such a cursor is a
subclass of the one the app asked for. In the other modes nothing of this is made, and nothing costs.

A cursor built by hand (`psycopg2.extensions.cursor(conn)`) is not seen. If this is wrong, session state
crosses from one client to another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import psycopg2.extensions
from psycopg2.sql import Composable

from .errors import SessionStateError
from .pool_options import PoolOptions
from .site import app_line
from .statements import HELD, Change, may_change_session, session_change

log = logging.getLogger(__name__)
plain: type[Any] = psycopg2.extensions.cursor
MOST_REPORTED = 512
_reported: set[tuple[str, str]] = set()
_classes: dict[type[Any], type[Any]] = {}


class Watch:
    """What looks at one connection's statements.

    Attributes:
        is_dirty: whether the lease sent something that may have changed the session.
    """

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self.is_dirty = False

    def __call__(self, conn: Any, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return the cursor that `make` makes, watched."""
        cursor = make(*args, **kwargs)
        if type(cursor) is plain:  # of a type built in, whose class cannot change
            cursor.close()
            cursor = make(*args, **{**kwargs, "cursor_factory": watching(plain)})
        else:
            cursor.__class__ = watching(type(cursor))
        cursor._watch = self
        return cursor

    def note(self, change: Change) -> None:
        """Refuse or report a change of the session.

        Raises:
            SessionStateError: the policy is to refuse.
        """
        self.is_dirty = True
        what, instead = change
        if self._policy == "allow":
            return
        where = app_line()
        message = f"{what} in a session that PgBouncer shares with others, at {where}; {instead}"
        if self._policy == "refuse":
            raise SessionStateError(message, what=what, where=where)
        if (what, where) not in _reported and len(_reported) < MOST_REPORTED:
            _reported.add((what, where))
            log.warning("%s", message)

    def see(self, cursor: Any, query: Any) -> None:
        """Look at a statement that is about to be sent."""
        if isinstance(query, Composable):
            query = query.as_string(cursor)
        text = query.decode("utf-8", "replace") if isinstance(query, bytes) else str(query)
        change = HELD if cursor.name is not None and cursor.withhold else session_change(text)
        if change is not None:
            self.note(change)
        elif self._policy == "allow" and not self.is_dirty and may_change_session(text):
            self.is_dirty = True


class _Watching:
    """Mixed into a cursor class."""

    _watch: Watch

    def execute(self, query: Any, vars: Any = None) -> Any:
        self._watch.see(self, query)
        return super().execute(query, vars)  # type: ignore[misc]

    def executemany(self, query: Any, vars_list: Any) -> Any:
        self._watch.see(self, query)
        return super().executemany(query, vars_list)  # type: ignore[misc]

    def callproc(self, procname: Any, *args: Any) -> Any:
        self._watch.see(self, f"SELECT {procname}()")
        self._watch.is_dirty = True
        return super().callproc(procname, *args)  # type: ignore[misc]


def watching(factory: type[Any]) -> type[Any]:
    """Return the watched subclass of a cursor class."""
    made = _classes.get(factory)
    if made is None:
        if issubclass(factory, _Watching):
            return factory
        made = type(factory.__name__, (_Watching, factory), {"__module__": factory.__module__})
        _classes[factory] = made
    return made


def watch_for(options: PoolOptions) -> Watch | None:
    """Return what watches one connection of a pool with such options; None where nothing needs to."""
    if options.reset == "pgbouncer" and options.session_state != "allow":
        return Watch(options.session_state)
    return Watch("allow") if options.reset == "watch" else None
