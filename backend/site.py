"""Where in the code something happens: kept cheaply, written out only when somebody asks.

Frames are kept as (code, line) pairs: eight of them cost 3 microseconds, `traceback` thirty. Never a frame
itself: it would keep its caller's variables, and so the connections in them.
"""

from __future__ import annotations

import sys
import threading
from types import CodeType, FrameType

Site = tuple[tuple[CodeType, int], ...]
DEPTH = 8
_OURS = __name__.rpartition(".")[0]


def current_site() -> Site:
    """Return the eight innermost frames of the caller that are neither ours nor the driver's."""
    return _site(_outside(sys._getframe(1)))


def site_of(thread: int) -> Site:
    """Return where a thread is at this moment; empty when it has ended."""
    return _site(_outside(sys._current_frames().get(thread)))


def _outside(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame that is no plumbing, from this one on."""
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.rpartition(".")[0] not in (_OURS, "psycopg2") and name != "psycopg2":
            return frame
        frame = frame.f_back
    return None


def _site(frame: FrameType | None) -> Site:
    found: list[tuple[CodeType, int]] = []
    while frame is not None and len(found) < DEPTH:
        found.append((frame.f_code, frame.f_lineno or 0))
        frame = frame.f_back
    return tuple(found)


def site_text(site: Site) -> str:
    """Return the site as one line, the innermost call first."""
    return " < ".join(f"{code.co_filename}:{line} in {code.co_name}" for code, line in site)


def app_line() -> str:
    """Return the innermost frame of the caller that is neither ours nor the driver's, as one line."""
    return site_text(current_site()[:1]) or "?"


def thread_name(ident: int) -> str:
    """Return a thread's name; its number when it has ended."""
    for thread in threading.enumerate():
        if thread.ident == ident:
            return thread.name
    return f"a thread that has ended ({ident})"
