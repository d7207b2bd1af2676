"""Load from within a lab's network, beside whatever a test does to the hosts meanwhile.

The generator is the kit's own (scripts/load): a process of its own, bounded in time, which ends with its caller.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from scripts.load import Request, Result, Workload, run_closed

from . import processes
from .errors import LabError
from .host import Host

ESTABLISHED = "01"  # a connection's state in the kernel's table


class Load:
    """Users that ask a host again and again. Use it as a context manager: on entry the first of them is connected.

    Attributes:
        seconds: for how long they ask.
    """

    def __init__(
        self, host: Host, requests: Sequence[Request], *, users: int = 8, seconds: float = 10.0, port: int = 80,
        drain: float = 10.0,
    ) -> None:  # fmt: skip
        """Prepare it.

        Args:
            host: who is asked.
            requests: what, in turn.
            users: how many ask at a time.
            seconds: for how long.
            port: where.
            drain: seconds that the last answers may take.
        """
        self.seconds = seconds
        self._host, self._port = host, port
        self._workload = Workload(f"http://{host.address}:{port}", requests)
        self._users, self._drain = users, drain
        self._result: Result | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        processes.wait(lambda: not self._thread.is_alive() or self._is_flowing(), 20, "the load did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(self.seconds + 2 * self._drain + 30)

    def result(self) -> Result:
        """Wait for the end, and return what was counted.

        Raises:
            LabError: it did not end.
            LoadError: the generator itself failed.
        """
        self.__exit__()
        if self._failure is not None:
            raise self._failure
        if self._result is None:
            raise LabError(f"the load did not end within {self.seconds + 2 * self._drain + 30:.0f} s")
        return self._result

    def lost(self) -> dict[str, int]:
        """Wait for the end, and return the requests that a client without retries has lost, by kind."""
        result = self.result()
        retried = {"kept connection closed under a request": result.retried} if result.retried else {}
        return {**result.errors, **retried}

    def _run(self) -> None:
        try:
            with self._host.lab.inside():  # this thread alone, and the generator that it starts
                self._result = run_closed(
                    self._workload, self._users, self.seconds, drain_timeout=self._drain, allow_remote=True
                )
        except BaseException as error:  # the caller's thread raises it
            self._failure = error

    def _is_flowing(self) -> bool:
        port = f":{self._port:04X}"
        table = Path(f"/proc/{self._host.lab.switch}/net/tcp").read_text().splitlines()[1:]
        rows = [line.split() for line in table]
        return any(row[2].endswith(port) and row[3] == ESTABLISHED for row in rows)
