"""`harden top` as people call it: against a real service, once and live in a real terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.stack.web import Web

from ..stack.running import ROOT, clean_environ
from .conftest import TOKEN

LAUNCH = [sys.executable, str(ROOT / "scripts" / "launch.py"), "top"]
DEADLINE = 30.0  # seconds for one change on the screen; a busy machine needs its time


def top(*arguments: str, token: str = TOKEN, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it without a terminal."""
    given = {**clean_environ(), **environ, **({"HARDEN_OPS_TOKEN": token} if token else {})}
    return subprocess.run([*LAUNCH, *arguments], capture_output=True, text=True, env=given, timeout=60)


def fails(*arguments: str, token: str = TOKEN) -> str:
    done = top(*arguments, token=token)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert TOKEN not in line
    return line.removeprefix("harden: error: ")


@pytest.mark.parametrize("arguments", [["--once"], []], ids=["--once", "no terminal"])
def test_one_screen_of_a_real_service_is_plain_text(service: Web, arguments: list[str]) -> None:
    done = top(service.url, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    for part in (service.url, "2 workers", "/loop", "looping.py:11 in loop", "relname from pg_class", "Workers"):
        assert part in done.stdout, part
    assert "\x1b" not in done.stdout
    assert TOKEN not in done.stdout


def test_json_is_the_service_s_own_data(service: Web) -> None:
    done = top(service.url, "--format", "json")
    data = json.loads(done.stdout)
    assert (done.returncode, data["version"], len(data["workers"])) == (0, 1, 2)
    assert data["service"]["errors"] >= 1


def test_an_unhealthy_worker_is_exit_code_1(serve: object, sample: dict[str, object]) -> None:
    sick = {**sample, "workers": [{"pid": 7, "health": "no database for 9 s"}]}
    url = serve(200, sick)  # type: ignore[operator]
    for arguments in (["--once"], ["--format", "json"]):
        assert top(url, *arguments).returncode == 1


def test_the_token_comes_from_a_file(service: Web, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    done = top(service.url, "--once", "--token-file", str(file), token="")
    assert done.returncode == 0


def test_what_is_refused_is_one_line_and_code_2(service: Web, serve: object) -> None:
    assert "shows no /ops/" in fails(f"{service.url}/loop")
    assert "does not take this token" in fails(serve(401))  # type: ignore[operator]
    assert "would travel in the open" in fails("http://192.0.2.1")


def test_nobody_there_is_one_line_and_code_2() -> None:
    assert "no answer from http://127.0.0.1:1: Connection refused" in fails("http://127.0.0.1:1")


def test_output_for_a_reader_that_knows_ascii_alone(service: Web) -> None:
    done = top(service.url, "--once", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()


class Terminal:
    """`harden top` in a pseudo-terminal; what it shows is what came after the cursor last went home."""

    def __init__(self, *arguments: str, size: tuple[int, int] = (40, 140), **environ: str) -> None:
        self._controller, terminal = pty.openpty()
        self.before = termios.tcgetattr(terminal)
        self.resize(*size)
        given = {**clean_environ(), "HARDEN_OPS_TOKEN": TOKEN, "TERM": "xterm-256color", **environ}
        self.process = subprocess.Popen(
            [*LAUNCH, *arguments], stdin=terminal, stdout=terminal, stderr=terminal, env=given,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self.terminal = terminal
        self.said = ""

    def resize(self, height: int, width: int) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self._controller, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def type(self, keys: str) -> None:
        """Press keys; what was shown before counts no more."""
        self.said = ""
        os.write(self._controller, keys.encode())

    def shows(self, *parts: str) -> str:
        """Wait until all of these stand on the screen; returns it."""
        end = time.monotonic() + DEADLINE
        while not all(part in self.screen() for part in parts):
            if time.monotonic() > end:
                missing = [part for part in parts if part not in self.screen()]
                pytest.fail(f"not shown: {missing}\n{self.said[-4000:]}")
            self.read(0.1)
        return self.screen()

    def read(self, seconds: float) -> None:
        """Take in what was printed."""
        if select.select([self._controller], [], [], seconds)[0]:
            try:
                self.said += os.read(self._controller, 65536).decode(errors="replace")
            except OSError:
                time.sleep(seconds)

    def screen(self) -> str:
        """Return what was drawn last, without colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.said.rpartition("\x1b[H")[2])

    def ended(self) -> int:
        """Wait for its end and return the exit code."""
        end = time.monotonic() + DEADLINE
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        return self.process.wait(1)

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        os.close(self._controller)
        os.close(self.terminal)


@pytest.fixture
def open_terminal() -> Iterator[type[Terminal]]:
    made: list[Terminal] = []

    class Kept(Terminal):
        def __init__(self, *arguments: str, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            made.append(self)

    yield Kept
    for terminal in made:
        terminal.close()


def test_the_live_view_obeys_its_keys_and_leaves_the_terminal_as_it_was(service: Web, open_terminal: type) -> None:
    terminal = open_terminal(service.url, "--interval", "0.5")
    terminal.shows("2 workers", "Routes, the most time first", "/loop", "q quit")
    terminal.type("2")
    terminal.shows("Queries, the most time first", "relname from pg_class")
    terminal.type("3")
    terminal.shows("the most runs in one request", "12")
    terminal.type("4")
    terminal.shows("Loops of queries (N+1)", "looping.py:11 in loop", "What to do")
    terminal.type("\x1b[C")
    terminal.shows("Workers", "memory", "files")
    terminal.type("\x1b[D1")
    terminal.shows("Routes, the most time first")
    terminal.type("p")
    terminal.shows("paused; p goes on")
    terminal.type("p")
    terminal.shows("harden top")
    terminal.type("q")
    assert terminal.ended() == 0
    assert termios.tcgetattr(terminal.terminal) == terminal.before
    assert "\x1b[?1049l" in terminal.said  # the screen from before is back
    assert "\x1b[?25h" in terminal.said  # and so is the cursor


def test_a_small_window_scrolls_and_a_larger_one_is_filled(service: Web, open_terminal: type) -> None:
    terminal = open_terminal(service.url, size=(9, 60))
    assert "/wrong" not in terminal.shows("Pools", "DATABASE_URL")
    terminal.type("\x1b[F")
    terminal.shows("/wrong")
    terminal.type("\x1b[H")
    terminal.shows("Pools")
    terminal.resize(40, 140)
    terminal.shows("Pools", "Routes", "/wrong")
    terminal.type("q")
    assert terminal.ended() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=str)
def test_a_signal_ends_it_and_leaves_the_terminal_as_it_was(
    service: Web, open_terminal: type, how: signal.Signals
) -> None:
    terminal = open_terminal(service.url)
    terminal.shows("q quit")
    terminal.process.send_signal(how)
    assert terminal.ended() == (0 if how is signal.SIGINT else 128 + how)
    assert termios.tcgetattr(terminal.terminal) == terminal.before
    assert "\x1b[?1049l" in terminal.said
    assert "Traceback" not in terminal.said


def test_no_color_is_obeyed(service: Web, open_terminal: type) -> None:
    terminal = open_terminal(service.url, NO_COLOR="1")
    terminal.shows("q quit")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", terminal.said)
    terminal.type("q")
    assert terminal.ended() == 0


def test_a_dumb_terminal_gets_plain_text(service: Web, open_terminal: type) -> None:
    terminal = open_terminal(service.url, TERM="dumb")
    assert terminal.ended() == 0
    assert "Workers" in terminal.said
    assert "\x1b" not in terminal.said


def test_a_service_that_stops_answering_is_said_to_and_watched_on(
    serve: object, sample: dict[str, object], open_terminal: type
) -> None:
    url = serve(200, sample)  # type: ignore[operator]
    terminal = open_terminal(url, "--interval", "0.5")
    terminal.shows("q quit", "4 workers")
    (server,) = serve.running  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    terminal.shows("no answer from", "Connection refused", "4 workers")
    terminal.type("q")
    assert terminal.ended() == 0
