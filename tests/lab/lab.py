"""A lab: hosts, their network, and the end of both.

All processes of a lab are in one process namespace, whose first process is the switch: its end is the end of them
all, and no mount or namespace has a name that could stay. What is left to remove is a folder and control groups.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from scripts.stack.locks import held, locked

from . import base, cgroups, execution, machine, network, processes
from .errors import LabError
from .folders import state_folder
from .host import BOOT, Host
from .leftovers import KEPT, remove, remove_dead

NAME = re.compile(r"[a-z][a-z0-9-]{0,20}")


class Lab:
    """Hosts on a network of their own. `with Lab() as lab:` leaves nothing behind.

    Attributes:
        name: what it is called; a lab without one gets one, and ends with this process.
        recipe: what its hosts have installed.
        state: the folder of all labs.
        folder: the lab's own.
        base: the tree below all disks.
        group: its control group.
    """

    def __init__(
        self, name: str = "", *, environ: Mapping[str, str] = os.environ, progress: Callable[[str], None] = print
    ) -> None:
        """Prepare a lab; `open` or `with` makes it.

        Args:
            name: keeps the lab beyond this process, to be found again by this name.
            environ: has the settings, HARDEN_LAB_*.
            progress: told what takes long.

        Raises:
            LabError: the machine cannot have labs, or the name is none.
        """
        if name and not NAME.fullmatch(name):
            raise LabError(f"{name!r} is no name for a lab; lower-case letters, digits and -")
        self.recipe = base.recipe_from(environ)
        self.state = state_folder(environ)
        machine.require(self.state, self.recipe)
        self._progress = progress
        self._is_kept = bool(name)
        self.name = name or f"run-{os.getpid()}-{secrets.token_hex(3)}"
        self.folder = self.state / "labs" / self.name
        self.base = self.state / self.recipe.folder_name
        self.group = cgroups.of_lab(self.name)
        self._hosts: dict[str, Host] = {}
        self._owner: IO[str] | None = None
        self._switch: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Lab:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    @property
    def switch(self) -> int:
        """Return the process that holds the network.

        Raises:
            LabError: the lab is not open, or has been killed.
        """
        pid = processes.recorded(self.folder / "switch")
        if pid is None:
            raise LabError(f"lab {self.name} is down; destroy it and boot anew")
        return pid

    @property
    def hosts(self) -> list[Host]:
        """Return all hosts, switched on or not."""
        return [self._known(path.parent.name) for path in sorted(self.folder.glob("hosts/*/index"))]

    def open(self) -> None:
        """Build the base when it is missing, remove what dead labs left, and lay the network.

        Raises:
            LabError: some of it failed; nothing is left of the lab then.
        """
        base.build(self.state, self.recipe, self._progress)
        with locked(self.state / "labs.lock"):
            remove_dead(self.state, self._progress)
            (self.folder / "hosts").mkdir(parents=True, exist_ok=True)
            if self._is_kept:
                (self.folder / KEPT).touch()
            else:
                self._owner = held(self.folder / "owner.lock")
            self._settle_base()
        try:
            if processes.recorded(self.folder / "switch") is None:
                self._start_switch()
        except BaseException:
            self.destroy()
            raise

    def attach(self) -> Lab:
        """Return this lab, which another process has made.

        Raises:
            LabError: there is none of this name.
        """
        if not (self.folder / KEPT).exists():
            raise LabError(f"there is no lab {self.name!r}; boot a host first")
        self._settle_base()
        return self

    def boot(self, *names: str, timeout: float = BOOT) -> list[Host]:
        """Switch hosts on, made at their first use, and wait until they are up.

        Raises:
            LabError: a name is none, or a host did not come up.
        """
        hosts = [self._make(name) for name in names]
        self._write_names()
        for host in hosts:
            host.power_on()
        for host in hosts:
            host.wait_up(timeout)
        return hosts

    def host(self, name: str) -> Host:
        """Return a host by name.

        Raises:
            LabError: there is none.
        """
        if not (self.folder / "hosts" / name / "index").exists():
            raise LabError(f"there is no host {name!r} in lab {self.name}; boot it first")
        return self._known(name)

    def inside(self) -> AbstractContextManager[None]:
        """Put this thread, and the processes it starts, into the lab's network; hosts are reached by address."""
        return network.entered(self.switch)

    def run(
        self, *command: str, input: str | bytes = "", timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of this machine in the lab's network, where hosts have names; look at its exit code.

        Raises:
            LabError: it took too long.
        """
        return execution.run(self.command(*command, timeout=timeout), command, input=input, timeout=timeout)

    def command(self, *command: str, timeout: float | None = None) -> list[str]:
        """Return the command that runs a program in the lab's network; for Popen and exec."""
        return execution.in_network(self.switch, self.group, command, timeout)

    def can_connect(self, address: str, port: int) -> bool:
        """Tell whether something in the lab accepts a connection now."""
        with self.inside():
            try:
                socket.create_connection((address, port), timeout=1).close()
            except OSError:
                return False
        return True

    def forget(self, host: Host) -> None:
        """Take a host that was destroyed out of what the others know."""
        self._hosts.pop(host.name, None)
        self._write_names()

    def destroy(self) -> None:
        """End everything, and remove what lies about it."""
        remove(self.folder)
        for host in self._hosts.values():
            host.close()
        self._hosts.clear()
        if self._switch is not None:
            self._switch.communicate(timeout=20)
            self._switch = None
        if self._owner is not None:
            self._owner.close()
            self._owner = None

    def _settle_base(self) -> None:
        """Keep to the base that the lab was made on: a disk is worth nothing above another one."""
        record = self.folder / "base"
        if not record.exists():
            record.write_text(self.base.name)
        if record.read_text() != self.base.name:
            raise LabError(f"lab {self.name} stands on {record.read_text()}; destroy it, or ask for that suite")

    def _start_switch(self) -> None:
        for record in self.folder.glob("hosts/*/keeper"):
            record.unlink()
        cgroups.make(self.group)
        self._write_names()
        names = self.folder / "hosts.txt"
        own = ["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"]
        program = [sys.executable, "-E", "-s", str(Path(__file__).with_name("switch.py")), str(names)]
        if self._is_kept:
            program.append("--stay")
        with (self.folder / "switch.log").open("w+") as log:
            self._switch = subprocess.Popen(
                ["unshare", *own, *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd="/",
                env=execution.ENVIRON, start_new_session=True,
            )  # fmt: skip
            assert self._switch.stdout is not None
            pid = self._switch.stdout.readline().strip()
            log.seek(0)
            if not pid:
                raise LabError(f"the lab's first process ended: {execution.last_line(log.read())}")
        processes.write(self.folder / "switch", int(pid))
        network.set_up(int(pid))

    def _known(self, name: str) -> Host:
        if name not in self._hosts:
            self._hosts[name] = Host(self, name, self.folder / "hosts" / name)
        return self._hosts[name]

    def _make(self, name: str) -> Host:
        if not NAME.fullmatch(name) or name in ("switch", "localhost"):
            raise LabError(f"{name!r} is no name for a host; lower-case letters, digits and -")
        host = self._known(name)
        if (host.folder / "index").exists():
            return host
        taken = {other.index for other in self.hosts}
        for part in ("upper/etc", "work", "root"):
            (host.folder / part).mkdir(parents=True, exist_ok=True)
            (host.folder / part).chmod(0o755)
        (host.folder / "upper").chmod(0o755)
        _write(host.folder / "upper/etc/hostname", f"{name}\n")
        index = next(number for number in range(1, network.MOST_HOSTS) if number not in taken)
        (host.folder / "index").write_text(str(index))
        return host

    def _write_names(self) -> None:
        """Tell everybody everybody's name: the switch, hosts that are off, and hosts that run."""
        lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost", f"{network.SWITCH} switch"]
        text = "\n".join([*lines, *(f"{host.address} {host.name}" for host in self.hosts)]) + "\n"
        _write(self.folder / "hosts.txt", text)
        for host in self.hosts:
            if host.is_on:
                host.run("tee", "/etc/hosts", input=text)
            else:
                _write(host.folder / "upper/etc/hosts", text)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)  # whatever the umask: a host's services read it
