"""Looks for secrets in a host, where somebody without rights could find them. Runs in the host, by its Python.

    leak_probe.py files|processes|units|logs < {"secrets": {...}, "logs": [...]} > [[place, name], ...]

What is open to all is looked at as `nobody`, so that the kernel and not a guess says what others can read.
Standard library only. Prints names of secrets, never one itself; they come in by stdin, for arguments are seen.
"""

from __future__ import annotations

import base64
import json
import os
import pwd
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

CHUNK = 4 << 20
NOT_FILES = ("/proc", "/sys", "/dev/pts", "/srv")  # processes have a look of their own; /srv is the test's
OPEN_TO_ALL = ("/tmp", "/var/tmp", "/dev/shm")  # whatever the modes: nothing secret belongs there
PAUSE = 0.004  # seconds between two looks at all processes
UNITS_EVERY = 0.1  # seconds between two questions to systemd, which take it a while
Found = set[tuple[str, str]]


class Secrets:
    """Secrets in the forms in which they get about: as they are, in a URL, in base64, in a core's UTF-16."""

    def __init__(self, told: dict[str, str]) -> None:
        self._forms = [(form, name) for name, value in told.items() for form in set(forms(value.encode()))]
        self.overlap = max(len(form) for form, _ in self._forms)

    def among(self, data: bytes) -> set[str]:
        """Return the names of those that are in there."""
        return {name for form, name in self._forms if form in data}


def forms(value: bytes) -> Iterator[bytes]:
    """Yield the spellings of a secret; base64 at each of three offsets, without what depends on neighbours."""
    yield value
    yield quote(value, safe="").encode()
    yield json.dumps(value.decode())[1:-1].encode()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + value)
        yield text[4 if shift else 0 : len(text) // 4 * 4 - 4]


def files(secrets: Secrets, told: dict[str, list[str]]) -> Found:
    """Look into every file that others can read, and into all that lies in folders for everybody."""
    found = {(str(path), name) for place in OPEN_TO_ALL for path in below(place) for name in inside(path, secrets)}
    return found | as_nobody(lambda: {
        (str(path), name) for path in below("/", NOT_FILES) for name in inside(path, secrets)
    })  # fmt: skip


def below(top: str, without: Iterable[str] = ()) -> Iterator[Path]:
    """Yield the plain files below a folder that can be listed."""
    skipped = set(without)
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if str(Path(folder, name)) not in skipped]
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path


def inside(path: Path, secrets: Secrets) -> set[str]:
    """Return the names of the secrets in a file; none where it cannot be read."""
    found: set[str] = set()
    try:
        with path.open("rb") as stream:
            rest = b""
            while data := stream.read(CHUNK):
                found |= secrets.among(rest + data)
                rest = data[-secrets.overlap :]
    except OSError:
        pass
    return found


def processes(secrets: Secrets, told: dict[str, list[str]]) -> Found:
    """Look at all processes and units again and again, until stdin ends."""
    return as_nobody(lambda: sampled(secrets))


def sampled(secrets: Secrets) -> Found:
    """Return what was seen in command lines, environments and units."""
    os.set_blocking(0, False)
    print("watching", file=sys.stderr, flush=True)
    found: Found = set()
    over = threading.Event()
    asking = threading.Thread(target=_ask, args=(secrets, over, found))
    asking.start()  # beside: a process may be gone before systemd has told of all its units
    while sys.stdin.buffer.read(1) is None:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                found |= of_process(entry, secrets)
        time.sleep(PAUSE)
    over.set()
    asking.join()
    return found


def _ask(secrets: Secrets, over: threading.Event, found: Found) -> None:
    while not over.wait(UNITS_EVERY):
        found |= units(secrets, {})


def of_process(entry: Path, secrets: Secrets) -> Found:
    """Return what others see of a process."""
    found: Found = set()
    for part in ("cmdline", "environ"):
        try:
            data = (entry / part).read_bytes()
        except OSError:
            continue
        for name in secrets.among(data):
            found.add((f"{part} of {_program(entry)}", name))
    return found


def units(secrets: Secrets, told: dict[str, list[str]]) -> Found:
    """Look at what systemd tells everybody about units: their commands, their environment, their text."""
    done = subprocess.run(["systemctl", "show", "--all", "*"], capture_output=True)
    found: Found = set()
    for unit in done.stdout.split(b"\n\n"):
        name = next((line[3:].decode() for line in unit.splitlines() if line.startswith(b"Id=")), "?")
        found |= {(f"unit {name}", secret) for secret in secrets.among(unit)}
    return found


def logs(secrets: Secrets, told: dict[str, list[str]]) -> Found:
    """Look into the whole journal with all fields, and into files of logs, as root: logs get copied about."""
    found: Found = set()
    journal = subprocess.run(["journalctl", "-q", "--no-pager", "--all", "--output=export"], capture_output=True)
    for entry in journal.stdout.split(b"\n\n"):
        for name in secrets.among(entry):
            lines = entry.decode(errors="replace").splitlines()
            unit = next((line[14:] for line in lines if line.startswith("_SYSTEMD_UNIT=")), "?")
            found.add((f"journal of {unit}", name))
    for top in told["logs"]:
        for path in below(top) if Path(top).is_dir() else [Path(top)]:
            found |= {(str(path), name) for name in inside(path, secrets) if path.suffix != ".journal"}
    return found


def as_nobody(look: Callable[[], Found]) -> Found:
    """Return what a process of nobody's finds."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            somebody = pwd.getpwnam("nobody")
            os.setgroups([])
            os.setresgid(somebody.pw_gid, somebody.pw_gid, somebody.pw_gid)
            os.setresuid(somebody.pw_uid, somebody.pw_uid, somebody.pw_uid)
            with os.fdopen(writer, "w") as out:
                json.dump(sorted(look()), out)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        text = answers.read()
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the look as nobody failed")
    return {(place, name) for place, name in json.loads(text)}


def _program(entry: Path) -> str:
    try:
        return (entry / "comm").read_text().strip()
    except OSError:
        return "one that has ended"


def main() -> None:
    """Read the job, look, and print what was found."""
    job = json.loads(sys.stdin.buffer.readline())
    looks = {"files": files, "processes": processes, "units": units, "logs": logs}
    found = looks[sys.argv[1]](Secrets(job["secrets"]), job)
    json.dump(sorted(found), sys.stdout)


if __name__ == "__main__":
    main()
