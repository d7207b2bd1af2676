"""A server process: started with fewer rights and its own log, awaited until it answers, stopped for sure."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..errors import CommandError
from .runfolder import MARK, RunFolder

# What a server gets of the caller's environment; the rest (PG*, GUNICORN_*, WERKZEUG_*) could change it.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


def unprivileged_user() -> str | None:
    """Return whom servers run as when we are root: PostgreSQL refuses to be. None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise CommandError(
        "there is no user postgres or nobody to run PostgreSQL as; add one: adduser --system postgres"
    )


def user_ids(user: str | None) -> tuple[int, int]:
    """Return the user's and its group's number; our own for None."""
    if user is None:
        return os.geteuid(), os.getegid()
    account = pwd.getpwnam(user)
    return account.pw_uid, account.pw_gid


def as_user(argv: Sequence[str], user: str | None, death_signal: str = "TERM") -> list[str]:
    """Return the command, run as another user and ended by the kernel when our process dies."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if user is not None:
            raise CommandError("setpriv is missing, which drops root's rights; install util-linux")
        return list(argv)
    drop = ["--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--init-groups"] if user else []
    return [setpriv, *drop, "--pdeathsig", death_signal, "--", *argv]


def clean_environment(run: RunFolder, extra: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a server: little of ours, the run's mark, and what is given."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed, **extra, MARK: str(run.path)}


class PortTaken(CommandError):
    """Somebody took the port between its choice and its use: another one will do."""


class Child:
    """One running server.

    Args:
        name: unique in the run; names the log.
        argv: the command.
        run: the folder of the run.
        environ: its whole environment, from `clean_environment`.
        user: whom it runs as; None for ourselves.
        stop_signal: what asks it to end.
        cwd: its working folder.
        pass_fds: descriptors it inherits.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        run: RunFolder,
        environ: Mapping[str, str],
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = run.logs / f"{name}.log"
        self._stop_signal = stop_signal
        command = as_user(argv, user, stop_signal.name.removeprefix("SIG"))
        with self.log.open("ab") as log:
            self._log_start = log.tell()  # a restart goes on in the same file
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                cwd=cwd or run.path,
                start_new_session=True,  # Ctrl-C is for us; we stop it in order
                pass_fds=pass_fds,
            )
        run.record(name, self.process.pid)

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def is_running(self) -> bool:
        """Tell whether the process is there."""
        return self.process.poll() is None

    def wait_until(self, is_ready: Callable[[], bool], seconds: float) -> None:
        """Wait until it answers.

        Raises:
            CommandError: it ended, or did not answer in time.
            PortTaken: it ended because its port is in use.
        """
        deadline = time.monotonic() + seconds
        while not is_ready():
            if not self.is_running():
                kind = PortTaken if self.says("address already in use") else CommandError
                raise kind(f"{self.name} ended with code {self.process.returncode}: {self.last_line()}", self.log)
            if time.monotonic() > deadline:
                raise CommandError(
                    f"{self.name} did not answer within {seconds:.0f} s: {self.last_line()}", self.log
                )
            time.sleep(0.02)

    def last_line(self) -> str:
        """Return the last line of its log that says something."""
        lines = [line.strip() for line in self._said().splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()]
        return (telling or lines or ["its log is empty"])[-1][:300]

    def says(self, text: str) -> bool:
        """Tell whether its log has a text, in upper or lower case, since it was started."""
        return text.lower() in self._said().lower()

    def _said(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def stop(self, seconds: float = 10.0) -> None:
        """Ask it to end, then make it, with everything it started."""
        deadline = time.monotonic() + seconds
        if self.is_running():
            self.process.send_signal(self._stop_signal)
        while self.is_running() and time.monotonic() < deadline:
            try:
                self.process.wait(min(1.0, seconds))
            except subprocess.TimeoutExpired:
                # A worker that Gunicorn was just forking has missed the word, and would be waited for in vain.
                self._tell_all(self._stop_signal)
        self._tell_all(signal.SIGKILL)  # stragglers of its session; often nobody
        self.process.wait()

    def _tell_all(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass
