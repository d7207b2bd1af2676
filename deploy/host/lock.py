"""One change of an app at a time on a host.

The kernel drops the lock with its holder, however that ends, so that none is ever left behind.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import IO

from .errors import HostError
from .places import Places


@contextmanager
def deploy_lock(places: Places, verb: str) -> Iterator[None]:
    """Hold the lock for the span of the block.

    Args:
        places: the app.
        verb: what is done, for whoever comes meanwhile.

    Raises:
        HostError: somebody else holds it; says who, since when and what for.
    """
    places.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(places.lock, "a+", encoding="utf-8", opener=_private) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HostError(f"{_holder(handle)} is under way for {places.name}; wait until it is done") from None
        handle.truncate(0)
        json.dump({"verb": verb, "who": who(), "since": now(), "pid": os.getpid()}, handle)
        handle.flush()
        yield
        handle.truncate(0)


def who() -> str:
    """Return the person who acts, also through sudo."""
    user = os.environ.get("SUDO_USER", "")
    if user.isprintable() and user:
        return user[:64]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def now() -> str:
    """Return the time in UTC, as in 2026-01-31T12:00:00Z."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _holder(handle: IO[str]) -> str:
    handle.seek(0)
    try:
        said = json.load(handle)
        return f"{said['verb']} by {said['who']} since {said['since']} (pid {said['pid']})"
    except (ValueError, KeyError, TypeError):
        return "another change"
