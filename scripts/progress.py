"""Progress on stderr: one rewritten line on a terminal, plain lines elsewhere. Results go to stdout."""

from __future__ import annotations

import shutil
import sys
import time


class Progress:
    """Says what goes on.

    Call it with a line; `bar` shows how far a longer step is.
    """

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._open = False
        self._last = 0.0

    def __call__(self, text: str) -> None:
        """Say one thing, on a line of its own."""
        self.clear()
        print(f"harden: {text}", file=sys.stderr, flush=True)

    def bar(self, done: float, total: float, text: str) -> None:
        """Show a bar on a terminal; elsewhere a line when the step starts and every ten seconds."""
        share = min(1.0, done / total) if total else 1.0
        if self._terminal:
            width = max(10, min(30, shutil.get_terminal_size().columns - len(text) - 16))
            filled = round(width * share)
            print(f"\r\x1b[K  [{'#' * filled}{'.' * (width - filled)}] {share:4.0%} {text}",
                  end="", file=sys.stderr, flush=True)  # fmt: skip
            self._open = True
        elif not done or time.monotonic() - self._last >= 10:
            print(f"harden: {share:4.0%} {text}", file=sys.stderr, flush=True)
            self._last = time.monotonic()

    def clear(self) -> None:
        """Take the bar away."""
        if self._open:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._open = False
