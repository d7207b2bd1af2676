"""A host of a lab: its power, its cable, its disk, and commands in it.

State is what lies in its folder and what the kernel says, so another process finds the same host. Made by `Lab`.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from . import cgroups, execution, network, processes, transfer
from .errors import LabError
from .folders import remove_tree

if TYPE_CHECKING:
    from .lab import Lab

BOOT = 90.0  # seconds until systemd has started everything; a loaded machine takes its time
HALT = 90.0  # systemd's own limit for a service that does not stop
UP = ("running", "degraded")


class Host:
    """One host.

    Attributes:
        name: its host name, which every other host knows.
        folder: its disk, its console and its records.
        console: what it said while it booted.
    """

    def __init__(self, lab: Lab, name: str, folder: Path) -> None:
        self.lab = lab
        self.name = name
        self.folder = folder
        self.console = folder / "console.log"
        self._starter: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<host {self.name} {self.address}>"

    @property
    def index(self) -> int:
        """Return its number in the lab."""
        return int((self.folder / "index").read_text())

    @property
    def address(self) -> str:
        """Return its address, which it keeps."""
        return network.address(self.index)

    @property
    def group(self) -> Path:
        """Return its control group."""
        return self.lab.group / self.name

    @property
    def is_on(self) -> bool:
        """Tell whether it has power."""
        return processes.recorded(self.folder / "keeper") is not None

    @property
    def is_cut(self) -> bool:
        """Tell whether its cable is out."""
        return (self.folder / "cut").exists()

    # Power.

    def power_on(self) -> None:
        """Start booting; `wait_up` waits for the end of it."""
        if self.is_on:
            return
        self.close()
        self.group.mkdir(exist_ok=True)
        for record in ("keeper", "init"):
            (self.folder / record).unlink(missing_ok=True)
        log = self.console.open("ab")
        with log:
            self._starter = subprocess.Popen(
                self._keeper(), stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/", env=execution.ENVIRON,
                start_new_session=True,
            )  # fmt: skip
        assert self._starter.stdin is not None
        with self._starter.stdin as cable:
            processes.wait(lambda: self.is_on, 20, f"{self.name} did not start")
            network.plug(self.lab.switch, self._process("keeper"), self.index)
            into = network.disconnect if self.is_cut else network.connect
            into(self.lab.switch, self.index)
            for other in self._apart():
                network.part(self._process("keeper"), other)
            cable.write(b"plugged\n")

    def wait_up(self, timeout: float = BOOT) -> str:
        """Wait until systemd has started everything, and return "running", or "degraded" when a unit failed.

        Raises:
            LabError: it did not come up in time, or went down.
        """
        says = ""

        def is_up() -> bool:
            nonlocal says
            if not self.is_on:
                raise LabError(f"{self.name} went down while it booted: {self._last_words()}")
            if processes.recorded(self.folder / "init") is not None:
                says = self.state()
            return says in UP

        processes.wait(is_up, timeout, f"{self.name} did not finish booting")
        return says

    def boot(self) -> str:
        """Switch it on and wait until it is up; see `wait_up`."""
        self.power_on()
        return self.wait_up()

    def state(self) -> str:
        """Return what systemd says of itself: "starting", "running", "degraded" ...; "" before it answers."""
        done = self.run("systemctl", "is-system-running", check=False, timeout=20)
        return done.stdout.strip().replace("offline", "")

    def kill9(self) -> None:
        """Cut the power: others see silence, no FIN and no RST, and every process is gone. The disk stays."""
        self._process("keeper")
        network.disconnect(self.lab.switch, self.index)
        processes.kill(self.folder / "init")
        processes.kill(self.folder / "keeper")
        self._is_off()

    def halt(self) -> None:
        """Shut it down as systemd does.

        Raises:
            LabError: it was not off in time; its power has been cut then.
        """
        keeper = self.folder / "keeper"
        self.run("systemctl", "poweroff", "--no-wall", check=False)
        try:
            processes.wait(lambda: processes.recorded(keeper) is None, HALT, f"{self.name} did not power off")
        except LabError:
            self.kill9()
            raise
        self._is_off()

    def destroy(self) -> None:
        """Remove it with its disk."""
        if self.is_on:
            self.kill9()
        cgroups.remove(self.group)
        remove_tree(self.lab.state, self.folder)
        self.lab.forget(self)

    def freeze(self) -> None:
        """Stop all its processes, as a stalled virtual machine does."""
        self._process("init")
        cgroups.freeze(self.group)

    def thaw(self) -> None:
        """Let them go on."""
        cgroups.thaw(self.group)

    # Cable.

    def cut(self, peer: Host | None = None) -> None:
        """Let packets vanish: all of them, or those from and to one other host; no link goes down.

        Args:
            peer: the other host; None cuts this one off from everybody, over power cuts too, until `heal`.
        """
        if peer is None:
            (self.folder / "cut").touch()
            if self.is_on:
                network.disconnect(self.lab.switch, self.index)
            return
        for one, other in ((self, peer), (peer, self)):
            (one.folder / f"apart-{other.index}").touch()
            if one.is_on:
                network.part(one._process("keeper"), other.index)

    def heal(self, peer: Host | None = None) -> None:
        """Take a cut back, the whole one or that from one other host."""
        if peer is None:
            (self.folder / "cut").unlink(missing_ok=True)
            if self.is_on:
                network.connect(self.lab.switch, self.index)
            return
        for one, other in ((self, peer), (peer, self)):
            (one.folder / f"apart-{other.index}").unlink(missing_ok=True)
            if one.is_on:
                network.join(one._process("keeper"), other.index)

    # Commands and files.

    def run(
        self, *command: str, input: str | bytes = "", check: bool = True, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root.

        Args:
            command: program and arguments.
            input: what it reads.
            check: False leaves the exit code to the caller.
            timeout: seconds that it may take.

        Raises:
            LabError: the host is off or frozen, or the command failed or took too long.
        """
        done = execution.run(self.command(*command, timeout=timeout), command, input=input, timeout=timeout)
        if check and done.returncode:
            said = execution.last_line(done.stderr) or execution.last_line(done.stdout)
            raise LabError(f"{self.name}: {' '.join(command)[:200]!r} ended with {done.returncode}: {said}")
        return done

    def shell(self, script: str, timeout: float = 60.0) -> str:
        """Run a script, which ends at its first failure, and return what it printed; raises as `run`."""
        return self.run("bash", "-euo", "pipefail", "-c", script, timeout=timeout).stdout

    def command(self, *command: str, timeout: float | None = None) -> list[str]:
        """Return the command of this machine that runs a command here; for Popen and exec.

        Raises:
            LabError: the host is off or frozen.
        """
        init = self._process("init")
        if cgroups.is_frozen(self.group):
            raise LabError(f"{self.name} is frozen; thaw it first")
        return execution.in_host(init, self.group, command, timeout)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of root's, with the folders above it."""
        transfer.write(self, path, text, mode)

    def read(self, path: str) -> str:
        """Return a file's text; raises as `run`."""
        return self.run("cat", "--", path).stdout

    def copy(self, source: Path, target: str, timeout: float = 120.0) -> None:
        """Copy a file or folder of this machine to a path here, as root's.

        Args:
            source: what.
            target: the copy's own absolute path, not the folder that it goes to.
            timeout: seconds.
        """
        transfer.copy(self, source, target, timeout)

    def fetch(self, path: str, target: Path, timeout: float = 120.0) -> None:
        """Copy a file or folder from here to a path of this machine; as for `copy`."""
        transfer.fetch(self, path, target, timeout)

    def wait_port(self, port: int, timeout: float = 30.0) -> None:
        """Wait until something accepts connections.

        Raises:
            LabError: nothing did in time.
        """
        answers = partial(self.lab.can_connect, self.address, port)
        processes.wait(answers, timeout, f"{self.name}:{port} does not answer")

    def _keeper(self) -> list[str]:
        program = [sys.executable, "-E", "-s", Path(__file__).with_name("keeper.py")]
        keeper = map(str, [*program, self.folder, self.name, self.lab.base, self.group])
        return ["nsenter", "--target", str(self.lab.switch), "--pid", "--mount", "--", "unshare", "--net", *keeper]

    def _process(self, record: str) -> int:
        pid = processes.recorded(self.folder / record)
        if pid is None:
            raise LabError(f"{self.name} is off; boot it first")
        return pid

    def _last_words(self) -> str:
        lines = self.console.read_text(errors="replace").splitlines()
        said = "\n".join(line for line in lines if not line.startswith("=="))
        return execution.last_line(said) or "its console is empty"

    def _apart(self) -> list[int]:
        return [int(path.name.removeprefix("apart-")) for path in self.folder.glob("apart-*")]

    def close(self) -> None:
        """Bury what has started it; its power is gone by then."""
        starter, self._starter = self._starter, None
        if starter is not None:
            starter.wait(20)

    def _is_off(self) -> None:
        self.close()
        network.unplug(self.lab.switch, self.index)
        cgroups.remove(self.group)
