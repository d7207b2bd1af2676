"""Failures of the kit's own watching: each kind is logged once, for it must not fail a request, nor fill a log.

Knows nothing else. If this is wrong, a fault of ours becomes the app's.
"""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)
_said: set[str] = set()


def say(failure: Exception) -> None:
    """Log a failure, unless one of its kind was logged already."""
    if (name := type(failure).__name__) not in _said:
        _said.add(name)
        log.exception("the monitor failed; this is logged once")
