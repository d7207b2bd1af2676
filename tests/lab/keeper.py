"""Holds one host: its network namespace is this process's own, so it lasts as long, reboots included.

Run by its path, with nothing but this folder and the standard library: `keeper.py FOLDER NAME BASE GROUP`. Ends
with the host's power; what becomes the host's own first process is inside.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import DEVNULL, Popen

from inside import record  # type: ignore[import-not-found]  # this folder is the first on the path here

REBOOT = (129, -1)  # the kernel ends a namespace's first process with SIGHUP when it asked for a reboot


def main(folder: Path, name: str, base: str, group: str) -> None:
    """Wait for the cable, then run the host until its power goes.

    Args:
        folder: the host's.
        name: its name.
        base: the tree below its disk.
        group: its control group.
    """
    record(folder / "keeper")
    if not sys.stdin.readline():
        return
    program = str(Path(__file__).with_name("inside.py"))
    inside = [sys.executable, "-E", "-s", program, str(folder), name, base, group]
    own = ["--mount", "--propagation", "private", "--uts", "--ipc", "--pid"]
    code = REBOOT[0]
    while code in REBOOT:
        print(f"== {name} boots", flush=True)
        code = Popen(["unshare", "--fork", "--kill-child=KILL", *own, *inside], stdin=DEVNULL).wait()
        print(f"== {name} ended ({code})", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:5])
