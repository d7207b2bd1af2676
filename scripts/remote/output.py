"""What a host says, handed on as it comes: line by line with the host's name before it where there are several."""

from __future__ import annotations

import io
import threading
from typing import IO

WRITING = threading.Lock()  # no line of one host in the middle of another's


def forward(source: IO[bytes], to: IO[str], prefix: str) -> threading.Thread:
    """Copy a stream to another until its end, in a thread that is returned running.

    Args:
        source: a host's, unbuffered.
        to: ours; when nobody reads it any more, the rest is read and dropped.
        prefix: such as "web1: "; "" for none.
    """
    thread = threading.Thread(target=_forward, args=(source, to, prefix), daemon=True)
    thread.start()
    return thread


def _forward(source: IO[bytes], to: IO[str], prefix: str) -> None:
    is_heard = True
    with io.BufferedReader(source) as lines:  # type: ignore[type-var]
        for line in iter(lines.readline, b""):
            is_heard = is_heard and _written(to, prefix + line.decode(errors="replace"))


def _written(to: IO[str], line: str) -> bool:
    with WRITING:
        try:
            to.write(line)
            to.flush()
        except (OSError, ValueError):
            return False
    return True
