"""Says where an app in production opens a SQLite file, or refuses that: HARDEN_SQLITE.

A file serves one writer at a time, on one host, and each worker waits for the others. Python tells of every
`sqlite3.connect` by an audit event, wherever the app imported it from; such a hook cannot be taken away, so there
is one per process, which does nothing while no mode is set. Databases in memory are nobody's concern, and what a
library opens for itself is told at debug level and never refused.
Must not import Flask or sqlite3. If this is wrong, an app stops that had a cache in a file.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from .callsite import is_app_file
from .errors import SettingsError, SQLiteRefused
from .settings import Settings

log = logging.getLogger(__name__)
MOST = 20  # files that are told of
# Libraries that open what the app names; others open files of their own.
_ON_BEHALF = ("sqlalchemy", "peewee", "playhouse", "pony", "dataset", "records", "flask_sqlalchemy", "databases")
_ADVICE = "one writer at a time, on one host: move it with scripts/harden sqlite-to-postgres (docs/sqlite.md)"
_mode = "allow"
_is_hooked = False
_told: set[str] = set()
_lock = threading.Lock()  # guards the three above; nothing is logged while it is held


def start(settings: Settings, config: Mapping[str, Any] | None = None) -> None:
    """Look at what is opened from now on, and at what the app is configured to open.

    Args:
        settings: HARDEN_SQLITE, or by default `warn` in production and `allow` elsewhere.
        config: The app's, for URLs that say sqlite.

    Raises:
        SettingsError: the mode is `refuse`, and the configuration names a SQLite file.
    """
    global _mode, _is_hooked
    mode = settings["HARDEN_SQLITE"] or ("warn" if settings.environment == "production" else "allow")
    with _lock:
        _mode = mode
        if mode != "allow" and not _is_hooked:
            sys.addaudithook(_heard)
            _is_hooked = True
    if mode != "allow":
        _look_at(config or {}, mode)


def stop() -> None:
    """Look no more, and forget what was told."""
    global _mode
    with _lock:
        _mode = "allow"
        _told.clear()


def _look_at(config: Mapping[str, Any], mode: str) -> None:
    for name, value in config.items():
        if isinstance(value, str) and value.startswith("sqlite") and "://" in value and ":memory:" not in value:
            text = f"app.config[{name!r}] names a SQLite file; {_ADVICE}"
            if mode == "refuse" and value.rpartition("://")[2].strip("/"):
                raise SettingsError([f"{text}, or set HARDEN_SQLITE=warn"])
            if _is_new(name):
                log.warning("%s", text)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    """Take an audit event: this is called for each file and each import, so nearly always it only returns."""
    if event == "sqlite3.connect" and _mode != "allow":
        _judge(arguments[0] if arguments else "")


def _judge(database: Any) -> None:
    try:
        name = os.fsdecode(database)
    except TypeError:
        return
    if name in ("", ":memory:") or "mode=memory" in name or name.startswith("file::memory:"):
        return
    where = _opener()
    if not where:
        log.debug("a library keeps %s in SQLite", name)
        return
    if _mode == "refuse":
        raise _refusal()(f"SQLite file {name} opened at {where}, and HARDEN_SQLITE=refuse; {_ADVICE}")
    if _is_new(name):
        log.warning("SQLite file %s opened at %s; %s", name, where, _ADVICE)


def _is_new(name: str) -> bool:
    with _lock:
        is_new = name not in _told and len(_told) < MOST
        _told.add(name)
    return is_new


def _opener() -> str:
    """Return the app's line that opens it; "" when a library does for itself."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file, module = frame.f_code.co_filename, frame.f_globals.get("__name__", "")
        if is_app_file(file):
            return f"{file}:{frame.f_lineno} in {frame.f_code.co_name}"
        is_between = file == __file__ or module.split(".")[0] in ("sqlite3", *_ON_BEHALF)
        if not is_between and not _is_standard(file):
            return ""
        frame = frame.f_back
    return ""


_STANDARD = str(Path(os.__file__).parent) + os.sep


def _is_standard(file: str) -> bool:
    return file.startswith((_STANDARD, "<")) and "site-packages" not in file


@cache
def _refusal() -> type[Exception]:
    """Return the error that `except sqlite3.Error` catches as well; sqlite3 is imported whenever it is needed."""
    import sqlite3

    return type("SQLiteRefused", (SQLiteRefused, sqlite3.OperationalError), {"__doc__": SQLiteRefused.__doc__})
