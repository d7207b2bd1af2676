"""What runs on the host: takes in a folder, runs a verb of the kit in it as root, and removes it.

Sent as text and run by the host's python3, so it imports the standard library alone and nothing of the kit. The
connection is its standard input: one line of JSON, the tar, the secrets, and then an "interrupt" byte or nothing.
The end of that stream is a connection that was lost. The verb must not die of it half way: it gets SIGHUP, which
it answers by undoing what it does, and what it still says is read to the end even when nobody listens.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
from pathlib import Path
from typing import Any

INTERRUPT = b"I"
PYTHON = "/usr/bin/python3"
PLACE = "/var/tmp"  # not /tmp, which may be memory: a repository with its wheels can be large
PRIVATE = "/run"  # memory: secrets that are on their way lie on no disk
PASSED_ON = ("SUDO_USER", "USER", "LOGNAME", "COLUMNS")


def main() -> int:
    """Do what the first line says; returns the verb's exit code."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    order = json.loads(_line())
    folders: list[Path] = []
    try:
        folder = _folder(folders, PLACE)
        _unpack(_Part(order["tar"]), folder)
        given = {"FOLDER": str(folder)}
        if order["secrets"]:
            given["SECRETS"] = _written(_folder(folders, PRIVATE), _Part(order["secrets"]).all())
        return _run(_command(order, folder, given), folder)
    except EOFError:
        return 255  # the connection ended before all was here: nothing has been done
    finally:
        for each in folders:
            shutil.rmtree(each, ignore_errors=True)


class _Part(io.RawIOBase):
    """The next so many bytes of the connection, as a file; nothing behind them is read."""

    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = os.read(0, min(len(buffer), self._left)) if self._left else b""
        if self._left and not found:
            raise EOFError
        buffer[: len(found)] = found
        self._left -= len(found)
        return len(found)

    def all(self) -> bytes:
        return self.readall() or b""


def _line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(0, 1) or sys.exit(255)
    return line


def _folder(folders: list[Path], place: str) -> Path:
    folders.append(Path(tempfile.mkdtemp(prefix="harden-remote-", dir=place)))  # 0700
    return folders[-1]


def _unpack(part: _Part, folder: Path) -> None:
    with tarfile.open(fileobj=part, mode="r|gz") as tar:
        if hasattr(tarfile, "tar_filter"):  # Debian 12's tarfile has none, newer ones ask for one
            tar.extraction_filter = staticmethod(tarfile.tar_filter)
        tar.extractall(folder)
    part.all()


def _written(folder: Path, secrets: bytes) -> str:
    path = folder / "secrets.env"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(secrets)
    return str(path)


def _command(order: dict[str, Any], folder: Path, given: dict[str, str]) -> list[str]:
    """Return the verb's command: `{"is": "FOLDER", "then": "/app"}` among its words is a path made here."""
    words = [
        word if isinstance(word, str) else given[word["is"]] + word["then"] for word in order["command"]
    ]
    return [PYTHON, "-E", "-s", str(folder / "kit" / "scripts" / "launch.py"), *words]


def _run(command: list[str], folder: Path) -> int:
    environ = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environ |= {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    command[1:1] = ["-u", "-B"]  # -E has it ignore the two variables, which are for its children
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ,
        cwd=folder, start_new_session=True, preexec_fn=_as_usual,
    )  # fmt: skip
    assert child.stdout is not None and child.stderr is not None
    readers = [
        threading.Thread(target=_forward, args=(pipe.fileno(), to))
        for pipe, to in ((child.stdout, 1), (child.stderr, 2))
    ]
    for reader in readers:
        reader.start()
    threading.Thread(target=_listen, args=(child,), daemon=True).start()
    code = child.wait()
    for reader in readers:
        reader.join(5.0)  # something that the verb has started may hold the pipe for ever
    return code if code >= 0 else 128 - code


def _as_usual() -> None:
    # What is ignored here would stay so in what is started, and the verb is to hear these.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)


def _forward(source: int, target: int) -> None:
    is_heard = True
    while text := os.read(source, 65536):
        while is_heard and text:
            try:
                text = text[os.write(target, text) :]
            except OSError:
                is_heard = False


def _listen(child: subprocess.Popen[bytes]) -> None:
    """Pass on an interrupt, or the end of the connection as a hangup; once: undoing must not be interrupted."""
    number = signal.SIGINT if _byte() == INTERRUPT else signal.SIGHUP
    if child.poll() is None:
        child.send_signal(number)


def _byte() -> bytes:
    try:
        return os.read(0, 1)
    except OSError:
        return b""


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # a thread may still be listening
