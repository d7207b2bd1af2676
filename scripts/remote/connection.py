"""One login per host: OpenSSH's own client, its user's settings, and a shared connection for all that follows.

Keys, jump hosts and the checking of host keys are ssh's and its user's business: nothing of it is weakened here.
Never asks: a password or an unknown host key is an error that says so.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from ..errors import CommandError
from . import failures

CONNECT = 10  # seconds until a host that does not answer is given up
SILENT = 15  # seconds of silence after which a connection counts as lost, in three questions
WAIT = 60.0  # seconds for login with all that it may bring: jump hosts, slow name servers


class Connection:
    """A connection to a host; `with Connection(host, options) as connection:`.

    Attributes:
        host: as the user named it.
    """

    def __init__(self, host: str, options: list[str]) -> None:
        """Prepare it.

        Args:
            host: `[USER@]HOST`, or a name of ~/.ssh/config.
            options: for ssh, before ours: of two the first counts.
        """
        self.host = host
        self._options = options
        self._folder: Path | None = None
        self._master: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Connection:
        """Log in.

        Raises:
            CommandError: there is no ssh, or the host does not let us in; says why.
        """
        if shutil.which("ssh") is None:
            raise CommandError("there is no ssh here; apt-get install openssh-client")
        self._folder = Path(tempfile.mkdtemp(prefix="harden-ssh-"))
        try:
            self._log_in()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Log out."""
        master, self._master = self._master, None
        if master is not None:
            assert master.stdin is not None and master.stdout is not None
            master.stdout.close()
            master.stdin.close()  # its remote command reads until then
            try:
                master.wait(2)
            except subprocess.TimeoutExpired:
                master.kill()
                master.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start a command of the host's shell, with pipes for all three of its streams."""
        return subprocess.Popen(
            self._ssh("-S", str(self._socket), "--", self.host, command), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, bufsize=0,
        )  # fmt: skip

    def run(self, command: str, timeout: float = 60.0) -> subprocess.CompletedProcess[bytes]:
        """Run a command of the host's shell to its end.

        Raises:
            CommandError: it took too long, or the connection was lost.
        """
        child = self.start(command)
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise CommandError(f"{self.host} did not answer within {timeout:.0f} s; try again") from None
        finally:
            _bury(child)
        if child.returncode == 255:
            raise CommandError(failures.reason(self.host, err.decode(errors="replace")))
        return subprocess.CompletedProcess(command, child.returncode, out, err)

    @property
    def _socket(self) -> Path:
        assert self._folder is not None
        return self._folder / "s"

    def _log_in(self) -> None:
        assert self._folder is not None
        log = self._folder / "said"
        # `cat` ends with the pipe, and the pipe with us, however we end: no connection stays behind.
        with log.open("wb") as said:
            self._master = subprocess.Popen(
                self._ssh("-M", "-S", str(self._socket), "--", self.host, "echo in && exec cat >/dev/null"),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, start_new_session=True,
            )  # fmt: skip
        assert self._master.stdout is not None
        is_in = _answers(self._master, time.monotonic() + WAIT)
        if not is_in or not self._socket.exists():
            raise CommandError(failures.reason(self.host, log.read_text(errors="replace")))

    def _ssh(self, *words: str) -> list[str]:
        ours = {
            "BatchMode": "yes", "ConnectTimeout": CONNECT, "ServerAliveInterval": SILENT // 3,
            "ServerAliveCountMax": 3, "ControlPersist": "no", "RequestTTY": "no", "ForwardX11": "no",
            "ForwardAgent": "no", "PermitLocalCommand": "no", "EscapeChar": "none", "LogLevel": "ERROR",
        }  # fmt: skip
        flags = [word for name, value in ours.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", *self._options, *flags, *words]


def _answers(process: subprocess.Popen[bytes], deadline: float) -> bool:
    """Tell whether a process says its first line before a moment; a banner of the host's shell counts as one."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    while time.monotonic() < deadline:
        if process.stdout.read():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    return False


def _bury(child: subprocess.Popen[bytes]) -> None:
    """End a command's client and let go of its pipes: the shared connection may hold their other ends for long."""
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def quoted(*words: str) -> str:
    """Return words as a command of the host's shell."""
    return shlex.join(words)
