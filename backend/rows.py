"""Cursors of any class and rows of any shape: what several modules have to know of them.

Knows nothing of pools or queries. If this is wrong, an app with its own cursor class gets errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def only_value(row: Any) -> Any:
    """Return a row's only column, whatever the connection's cursors make of rows."""
    return next(iter(row.values())) if isinstance(row, Mapping) else row[0]


def made_as(kind: type[Any], cursor: Any, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return a cursor as one of a subclass of its class.

    Args:
        kind: the subclass.
        cursor: what `make` has made of the arguments.
        make: the connection's own `cursor` method, which has to make another one where layouts differ.
        *args, **kwargs: its arguments.
    """
    try:
        cursor.__class__ = kind
        return cursor
    except TypeError:  # psycopg2's own class, or one with __slots__: of another layout
        if len(args) > 1:
            args = args[0], kind, *args[2:]
        else:
            kwargs = {**kwargs, "cursor_factory": kind}
        return make(*args, **kwargs)
