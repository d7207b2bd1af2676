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
from .rows import made_as
from .site import app_line
from .statements import HELD, SETTING, WIPE, Change, may_change_session, session_change

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
        cursor = made_as(watching(type(cursor)), cursor, make, *args, **kwargs)
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

    def see_call(self, conn: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at a method of the connection, or an attribute set, that may send SET or DISCARD by itself."""
        if name == "reset":
            self.note(WIPE)
        elif name == "set_client_encoding":
            if not _is_same_encoding(conn.encoding, (*args, *kwargs.values(), conn.encoding)[0]):
                self.note(SETTING)
        elif _sets_defaults(conn, name, args, kwargs):
            self.note(SETTING)

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


def _is_same_encoding(one: str, other: Any) -> bool:
    names = ["".join(filter(str.isalnum, str(name))).upper() for name in (one, other)]
    return names[0] == names[1]


def _sets_defaults(conn: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether psycopg2 answers a call by SET SESSION: it does while autocommit is on, or goes on with it."""
    if name == "set_session":
        given = {**dict(zip(("isolation_level", "readonly", "deferrable", "autocommit"), args)), **kwargs}  # noqa: B905
        autocommit = given.pop("autocommit", None)
        is_on = conn.autocommit if autocommit is None else bool(autocommit)
        return is_on and any(value is not None and not _is_default(value) for value in given.values())
    if name in ("isolation_level", "readonly", "deferrable"):
        return bool(conn.autocommit) and args[0] is not None and not _is_default(args[0])
    return False


def _is_default(value: Any) -> bool:
    return isinstance(value, str) and value.upper() == "DEFAULT"


class _Watching:
    """Mixed into a cursor class."""

    _watch: Watch

    def execute(self, query: Any, vars: Any = None) -> Any:
        self._watch.see(self, query)
        return super().execute(query, vars)  # type: ignore[misc]

    def executemany(self, query: Any, vars_list: Any) -> Any:
        self._watch.see(self, query)
        return super().executemany(query, vars_list)  # type: ignore[misc]

    def callproc(self, procname: Any, parameters: Any = None) -> Any:
        is_last_true = isinstance(parameters, (list, tuple)) and parameters and parameters[-1] is True
        self._watch.see(self, f"SELECT {procname}({', true' if is_last_true else ''})")
        self._watch.is_dirty = True  # what the procedure does is not to be seen
        return super().callproc(procname, parameters)  # type: ignore[misc]

    def copy_expert(self, sql: Any, file: Any, *args: Any, **kwargs: Any) -> Any:
        self._watch.see(self, sql)
        return super().copy_expert(sql, file, *args, **kwargs)  # type: ignore[misc]


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
