"""`harden` as a process of its own: what it prints, what it starts, and what is left of it."""

from __future__ import annotations

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
TELLING = (
    "PG", "DB_", "HARDEN_", "DATABASE_URL", "FLASK_", "GUNICORN_", "WORKERS", "WEB_CONC", "THREADS", "VIRTUAL_ENV",
)  # fmt: skip
DEADLINE = 60.0  # for one event; far above what it takes, for a busy machine


class Harden:
    """A running `harden VERB`.

    Args:
        arguments: of the command line.
        state: HARDEN_STATE.
        environ: more of its environment.
        cwd: where it runs.
        nohup: whether it starts as under nohup.
    """

    def __init__(
        self,
        *arguments: str | Path,
        state: Path,
        environ: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        nohup: bool = False,
    ) -> None:
        self.state = state
        self.lines: list[str] = []
        self._new: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [
                *(["env", "--ignore-signal=HUP"] if nohup else []),
                sys.executable, str(ROOT / "scripts" / "launch.py"), *map(str, arguments),
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd,
            env={**clean_environ(), "HARDEN_STATE": str(state), **(environ or {})}, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._new.put(line.rstrip("\n"))
        self._new.put(None)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match in a line that has come, or comes in time."""
        seen = list(self.lines)
        end = time.monotonic() + DEADLINE
        while True:
            for line in seen:
                found = re.search(pattern, line)
                if found:
                    return found
            new = self._new.get(timeout=max(0.0, end - time.monotonic()))
            assert new is not None, f"it ended without {pattern!r}:\n" + "\n".join(self.lines)
            self.lines.append(new)
            seen = [new]

    def serving(self) -> str:
        """Wait until it serves, and return its address."""
        return self.wait_for(r"harden: serving .* at (http://\S+)")[1]

    def ended(self) -> int:
        """Wait until it has ended, and return its code; all it printed is in `lines` then."""
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        while not self._new.empty():
            line = self._new.get()
            if line is not None:
                self.lines.append(line)
        return code

    def errors(self) -> list[str]:
        """Return the lines that report an error."""
        return [line for line in self.lines if line.startswith("harden: error:")]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to harden alone, not to its servers."""
        self.process.send_signal(number)

    def close(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(DEADLINE)
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def harden(*arguments: str | Path, **options: object) -> Iterator[Harden]:
    """A running `harden`, ended with the block; see `Harden`."""
    running = Harden(*arguments, **options)  # type: ignore[arg-type]
    try:
        yield running
    finally:
        running.close()


@contextmanager
def short_state() -> Iterator[Path]:
    """A state folder with a short name, where the database's user may pass, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="hs-", dir="/tmp"))
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clean_environ() -> dict[str, str]:
    """Return our environment without what a developer's shell may say about the app or its database."""
    return {name: value for name, value in os.environ.items() if not name.startswith(TELLING)}


def descendants(pid: int) -> set[int]:
    """Return the processes below one, PostgreSQL's backends and all."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            return found - {pid}
        found |= more


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(is_so: Callable[[], object], what: str, seconds: float = DEADLINE) -> None:
    """Wait for something that tells nobody when it happens."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.01)


def runs(state: Path) -> list[Path]:
    """Return the run folders there are."""
    return sorted(state.glob("run-*"))


def get(url: str) -> str:
    """Return the answer to a GET."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())
