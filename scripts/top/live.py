"""The live screen: one thread asks the service, the main thread draws and listens to the keys."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from rich.console import Console
from rich.live import Live

from ..errors import CommandError
from .figures import text
from .keys import GONE, Keyboard
from .screen import Screen
from .service import Service

FRAME = 0.25  # seconds in which a changed size or new data is drawn; a key is at once
STEPS = {"up": -1, "down": 1, "home": -1_000_000, "end": 1_000_000}


class Poller:
    """Asks a service again and again, in a thread.

    Args:
        service: whom.
        first: its first answer.
        interval: seconds between two questions.

    Attributes:
        data: the latest answer.
        note: why there is none since; "" when all is well.
    """

    def __init__(self, service: Service, first: dict[str, Any], interval: float) -> None:
        self.data, self.note = first, ""
        self._service, self._interval = service, interval
        self._answered = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Poller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()  # a question under way ends with the process

    def _run(self) -> None:
        while not self._end.wait(self._interval):
            try:
                self.data = self._service.ask()
                self.note, self._answered = "", time.monotonic()
            except CommandError as error:
                self.note = f"for {time.monotonic() - self._answered:.0f} s: {error.line()}"


def watch(service: Service, first: dict[str, Any], console: Console, interval: float) -> int:
    """Show a service until `q` or Ctrl-C; returns the exit code."""
    keyboard = Keyboard(sys.stdin.fileno() if sys.stdin.isatty() else None)
    screen, poller = Screen(service.url), Poller(service, first, interval)
    with poller, keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            _loop(live, console, keyboard, screen, poller)
        except KeyboardInterrupt:
            pass  # the usual way to end it
    return 0


def _loop(live: Live, console: Console, keyboard: Keyboard, screen: Screen, poller: Poller) -> None:
    held: dict[str, Any] | None = None
    drawn: Any = None
    while True:
        data = poller.data if held is None else held
        note = text("paused; p goes on" if held is not None else poller.note or data.get("note"))
        state = id(data), note, screen.view, screen.offset, console.size
        if state != drawn:
            live.update(screen.render(console, data, note), refresh=True)
            drawn = id(data), note, screen.view, screen.offset, console.size
        for key in keyboard.wait(FRAME):
            if key in ("q", "Q", GONE):
                return
            if key == "p":
                held = poller.data if held is None else None
            else:
                _act(screen, key)


def _act(screen: Screen, key: str) -> None:
    if key in STEPS:
        screen.scroll(STEPS[key])
    elif key in ("page up", "page down"):
        screen.scroll(screen.page if key == "page down" else -screen.page)
    elif key in ("left", "right"):
        screen.show(screen.view + (1 if key == "right" else -1))
    elif key in ("1", "2", "3", "4", "5"):
        screen.show(int(key) - 1)
