"""Keys from a terminal, one at a time, without Return; the terminal is left as it was."""

from __future__ import annotations

import os
import re
import select
import termios
import tty
from types import TracebackType

NAMES = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left", b"\x1b[5~": "page up",
    b"\x1b[6~": "page down", b"\x1b[H": "home", b"\x1b[F": "end", b"\x1b[1~": "home", b"\x1b[4~": "end",
    b"\x1b[7~": "home", b"\x1b[8~": "end", b" ": "page down", b"j": "down", b"k": "up", b"\t": "right",
}  # fmt: skip
_KEY = re.compile(rb"\x1b[\[O][0-9;]*[A-Za-z~]|\x1b[\[O][0-9;]*\Z|[^\x1b]|\x1b", re.DOTALL)
GONE = "gone"


class Keyboard:
    """The keys of a terminal, for as long as its `with` block lasts.

    Args:
        fd: the terminal; None where there is none, and no key ever comes.
    """

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._rest = b""

    def __enter__(self) -> Keyboard:
        if self._fd is not None:
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)
            now = termios.tcgetattr(self._fd)
            now[6][termios.VSUSP] = b"\x00"  # a shell behind our screen would be of no use
            termios.tcsetattr(self._fd, termios.TCSADRAIN, now)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None:
            try:
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
            except termios.error:
                pass  # the terminal is gone

    def wait(self, seconds: float) -> list[str]:
        """Return the keys that came, after so many seconds at most; GONE when the terminal was closed."""
        if self._fd is None:
            select.select([], [], [], seconds)
            return []
        if not select.select([self._fd], [], [], seconds)[0]:
            rest, self._rest = self._rest, b""
            return ["escape"] if rest == b"\x1b" else []
        try:
            came = os.read(self._fd, 1024)
        except OSError:
            came = b""
        return self.split(came) if came else [GONE]

    def split(self, came: bytes) -> list[str]:
        """Return the names of the keys in some bytes; the beginning of one is kept for the next call."""
        found = _KEY.findall(self._rest + came)
        self._rest = b""
        if found and found[-1].startswith(b"\x1b") and found[-1][-1:] in b"\x1b[O0123456789;":
            self._rest = found.pop()
        named = (NAMES.get(key.replace(b"\x1bO", b"\x1b["), "") or key.decode("latin-1") for key in found)
        return list(named)
