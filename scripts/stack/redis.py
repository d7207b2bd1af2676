"""A throw-away Redis (or Valkey): loopback alone, a password, nothing kept on disk."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from pathlib import Path

from ..errors import CommandError
from .child import Child, PortTaken, clean_environment, unprivileged_user, user_ids
from .ports import free_port
from .runfolder import RunFolder

ANSWER_SECONDS = 2.0
NOTHING_ON_DISK = {"save": '""', "appendonly": "no"}


class Redis:
    """A running Redis.

    Args:
        run: the folder of the run.
        program: redis-server's or valkey-server's.
        name: unique in the run.
        settings: more of redis.conf, as directive and value.
        password: shared with its replicas; one of its own when None.
        options: of its command line, such as "--sentinel".

    Attributes:
        port: its TCP port on 127.0.0.1; the same after a restart.
        password: of every client.
    """

    def __init__(
        self,
        run: RunFolder,
        program: Path,
        name: str = "redis",
        settings: dict[str, str] | None = None,
        password: str | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self._run, self._program, self._name = run, program, name
        self._settings, self._options = settings or {}, options
        self.password = password or secrets.token_hex(16)
        self._os_user = unprivileged_user()
        self._folder = run.path / name
        self._folder.mkdir(mode=0o700)
        os.chown(self._folder, *user_ids(self._os_user))
        self.port = 0
        self.child: Child | None = None
        self._start_somewhere()

    def _start_somewhere(self) -> None:
        for attempt in range(5):
            self.port = free_port()
            self._write_config()
            try:
                self.start()
                return
            except CommandError as error:
                self.kill()
                if attempt == 4 or not isinstance(error, PortTaken):
                    raise

    def _write_config(self) -> None:
        on_disk = {} if "--sentinel" in self._options else NOTHING_ON_DISK
        bus = {"cluster-port": str(free_port())} if "cluster-enabled" in self._settings else {}
        chosen = {
            "bind": "127.0.0.1", "port": str(self.port), "requirepass": self.password, "dir": str(self._folder),
            "daemonize": "no", **on_disk, **bus, **self._settings,
        }  # fmt: skip
        path = self._folder / "redis.conf"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name} {value}\n" for name, value in chosen.items()))
        os.chown(path, *user_ids(self._os_user))

    @property
    def url(self) -> str:
        """Its address with the password, for clients."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it on its port; where it runs, or is frozen, it goes on with what it has."""
        if self.child is not None and self.child.is_running():
            self.thaw()
            return
        self.child = Child(
            self._name,
            [str(self._program), str(self._folder / "redis.conf"), *self._options],
            self._run,
            clean_environment(self._run, {}),
            user=self._os_user,
            cwd=self._folder,
        )
        self.child.wait_until(self._answers, 15)

    def stop(self) -> None:
        """Stop it in order; what it kept is gone."""
        if self.child is not None:
            self.child.stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.child is not None and self.child.is_running():
            self.child.process.send_signal(signal.SIGKILL)
            self.child.process.wait()

    def freeze(self) -> None:
        """Have it answer nothing, with its connections open, until `thaw`."""
        if self.child is not None:
            self.child.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """End `freeze`."""
        if self.child is not None:
            self.child.process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        """Forget every key."""
        self.command("FLUSHALL")

    def command(self, *words: str) -> str:
        """Send one command and return its answer as text, for set-up; clients use redis-py.

        Raises:
            CommandError: it answered with an error.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS) as line:
            line.sendall(_packed("AUTH", self.password) + _packed(*words))
            with line.makefile("rb") as answers:
                for _ in range(2):
                    answer = answers.readline().decode(errors="replace").strip()
                    if answer.startswith("-"):
                        raise CommandError(f"redis answered {words[0]} with {answer[1:]}")
                if answer.startswith("$"):
                    answer = answers.read(max(0, int(answer[1:]))).decode(errors="replace")
        return answer

    def cluster_is_up(self) -> bool:
        """Tell whether it serves all slots, where it was started as a cluster."""
        return "cluster_state:ok" in self.command("CLUSTER", "INFO")

    def _answers(self) -> bool:
        if self.child is not None and self.child.says("address already in use"):
            raise PortTaken(f"port {self.port} was taken", self.child.log)
        try:
            return self.command("PING") == "+PONG"
        except OSError:
            return False


def _packed(*words: str) -> bytes:
    """Return a command in Redis's protocol: an array of strings with their lengths."""
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
