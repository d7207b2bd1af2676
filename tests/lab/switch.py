"""The first process of a lab, and the first of its process namespace: when it ends, all of the lab ends.

Run by its path, with nothing but the standard library: `switch.py HOSTS_TXT [--stay]`. It ends when its standard
input does, so a lab ends with its owner, however that one was killed; with --stay it goes on until it is killed
itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path


def main(names: str, *stay: str) -> None:
    """Say who we are, then wait for the owner's end.

    Args:
        names: the file to be seen as /etc/hosts by what runs in the lab's network.
        stay: an argument to outlive the owner.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries what is orphaned here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's, who ends us in order
    subprocess.run(["mount", "--bind", names, "/etc/hosts"])
    print(Path("/proc/self").readlink(), flush=True)  # /proc is still the machine's, and so is this number
    os.close(1)
    while stay:
        signal.pause()
    while os.read(0, 4096):
        pass


main(*sys.argv[1:])
