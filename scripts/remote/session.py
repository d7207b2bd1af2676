"""One verb on one host: sends `host.py` with what the verb needs, hands its output on, passes an interrupt on.

The verb ends by itself in any case, and we wait for it: after an interrupt it undoes what it has begun, and still
tells that. A lost connection is an error here and a hangup there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import CommandError
from .host import INTERRUPT, PYTHON
from .output import forward
from .readiness import Remote

PROGRAM = Path(__file__).with_name("host.py")
CHUNK = 1 << 16
LOST = 255  # ssh's own exit code
# Reads exactly the program, for what follows it on the same stream is the program's to read.
STARTER = (
    "import os, sys\ntext = b''\nwhile len(text) < {size}:\n"
    "    text += os.read(0, {size} - len(text)) or sys.exit(255)\n"
    "exec(compile(text, 'host.py', 'exec'))"
)


@dataclass(frozen=True)
class Made:
    """A word of a command that is a path made on the host.

    Attributes:
        kind: "FOLDER", where the tar was unpacked, or "SECRETS", the file of secrets.
        then: what follows it, such as "/app".
    """

    kind: str
    then: str = ""


Word = str | Made


class LostError(CommandError):
    """The connection ended before the verb did."""


class Session:
    """A verb that runs on a host, started by being made."""

    def __init__(
        self, remote: Remote, command: Sequence[Word], bundle: IO[bytes], secrets: bytes, prefix: str
    ) -> None:
        """Start it.

        Args:
            remote: where.
            command: the verb and its arguments.
            bundle: the tar.
            secrets: what the file of secrets says; b"" for none.
            prefix: goes before each line of its output.
        """
        program = PROGRAM.read_bytes()
        self._host, self._verb = remote.host, command[0]
        starter = remote.command(PYTHON, "-E", "-s", "-c", STARTER.format(size=len(program)))
        self._child = child = remote.connection.start(starter)
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
        self._input = child.stdin
        self._readers = [forward(child.stdout, sys.stdout, prefix), forward(child.stderr, sys.stderr, prefix)]
        try:
            self._send(program, command, bundle, secrets)
        except BaseException:
            self.close()
            raise

    def wait(self) -> int:
        """Wait for its end; returns its exit code.

        Raises:
            LostError: the connection was lost.
        """
        code = self._child.wait()
        for reader in self._readers:
            reader.join()
        if code == LOST:
            raise LostError(
                f"the connection to {self._host} was lost while {self._verb} was under way; the host ends "
                f"or undoes it by itself: see harden status --ssh {self._host}, then run it again"
            )
        return code

    def interrupt(self) -> None:
        """Tell the host to end what it does; `wait` waits for that."""
        try:
            self._input.write(INTERRUPT)
        except (BrokenPipeError, ValueError):
            pass  # it has ended

    def close(self) -> None:
        """Hang up, which ends it too; nobody waits for that then."""
        self._input.close()
        if self._child.poll() is None:
            self._child.terminate()
            self._child.wait()

    def _send(self, program: bytes, command: Sequence[Word], bundle: IO[bytes], secrets: bytes) -> None:
        size = bundle.seek(0, 2)
        bundle.seek(0)
        words = [word if isinstance(word, str) else {"is": word.kind, "then": word.then} for word in command]
        order = json.dumps({"command": words, "tar": size, "secrets": len(secrets)})
        try:
            self._write(program + order.encode() + b"\n")
            for chunk in iter(lambda: bundle.read(CHUNK), b""):
                self._write(chunk)
            self._write(secrets)
        except BrokenPipeError:
            pass  # it has ended already: its exit code and its words say why

    def _write(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest:
            rest = rest[self._input.write(rest) :]


def wait_for(sessions: Sequence[Session]) -> list[int | CommandError]:
    """Wait for all; returns what each came to.

    Raises:
        KeyboardInterrupt, SystemExit: this end was told to stop; the hosts were told, too, and have ended,
            unless it was told twice.
    """
    try:
        return [_outcome(session) for session in sessions]
    except BaseException:
        print("harden: stopping: the host ends what it does; once more leaves it alone with that", file=sys.stderr)
        for session in sessions:
            session.interrupt()
        for session in sessions:
            _outcome(session)
        raise
    finally:
        for session in sessions:
            session.close()


def _outcome(session: Session) -> int | CommandError:
    try:
        return session.wait()
    except LostError as error:
        return error
