"""A lab's network: a bridge in a network namespace of its own, and a cable from it to each host.

The machine's own network namespace is never touched: no address, no route, no bridge is added there, and nothing
leads out of the lab. The namespaces have no names; they live as long as the processes that are in them.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import LabError

NET = "10.77.0"  # every lab may have the same: they cannot see each other
SWITCH = f"{NET}.254"
MOST_HOSTS = 250
SWITCH_CARD = "02:77:00:00:00:ff"  # left to itself a bridge takes a port's, and another when ports come and go
NOWHERE = "02:00:00:00:00:fe"  # a neighbour at this address never answers
CLONE_NEWNET = 0x40000000


def address(index: int) -> str:
    """Return the address of the host with a number."""
    return f"{NET}.{index}"


def set_up(switch: int) -> None:
    """Lay the bridge.

    Args:
        switch: the process in the lab's network namespace.
    """
    # Without IPv6: a cut between two hosts is made of what IPv4 knows of its neighbours.
    _ip(
        switch,
        "link set lo up",
        f"link add br0 address {SWITCH_CARD} type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
        "link set br0 addrgenmode none",
        "link add hole type bridge",  # never up
        f"addr add {SWITCH}/24 dev br0",
        "link set br0 up",
    )


def plug(switch: int, keeper: int, index: int) -> None:
    """Lay the cable to a host, and give the host its address.

    Args:
        switch: as for `set_up`.
        keeper: a process in the host's network namespace.
        index: the host's number.
    """
    unplug(switch, index)
    _ip(
        switch,
        f"link add p{index} type veth peer name eth0 netns {keeper}",
        f"link set p{index} addrgenmode none",
        f"link set p{index} up",
    )
    _ip(
        keeper,
        "link set lo up",
        f"link set eth0 addrgenmode none address 02:77:00:00:00:{index:02x}",
        f"addr add {address(index)}/24 dev eth0",
        "link set eth0 up",
    )


def unplug(switch: int, index: int) -> None:
    """Take a cable away whose host is off; the kernel would do so too, when it comes to it."""
    try:
        _ip(switch, f"link del p{index}")
    except LabError:
        pass  # there is none, or it goes at this moment: what is laid next says when it cannot be


def connect(switch: int, index: int) -> None:
    """Put the host's end of the cable into the switch."""
    _ip(switch, f"link set p{index} master br0")


def disconnect(switch: int, index: int) -> None:
    """Pull it out: the link stays up, and packets vanish both ways without a word.

    It goes into a bridge that is down. With none at all the switch itself would take what the host sends, and
    answer who-has: Linux has its addresses on every card.
    """
    _ip(switch, f"link set p{index} master hole")


def part(host: int, other: int) -> None:
    """Let what a host sends to another one go nowhere.

    Args:
        host: a process in the one's network namespace.
        other: the other one's number.
    """
    _ip(host, f"neigh replace {address(other)} lladdr {NOWHERE} dev eth0 nud permanent")


def join(host: int, other: int) -> None:
    """Take that back."""
    _ip(host, f"neigh replace {address(other)} lladdr {NOWHERE} dev eth0 nud permanent",
        f"neigh del {address(other)} dev eth0")  # fmt: skip


@contextmanager
def entered(process: int) -> Iterator[None]:
    """Put this thread, and what it starts, into a process's network for the span of the block.

    Raises:
        LabError: the kernel refused.
    """
    own = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(own)
    finally:
        os.close(own)


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET):
        raise LabError(f"cannot enter a lab's network: {os.strerror(ctypes.get_errno())}")


def _ip(process: int, *lines: str) -> None:
    done = subprocess.run(
        ["nsenter", "--target", str(process), "--net", "ip", "-batch", "-"],
        input="".join(f"{line}\n" for line in lines), capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr.strip() or "ip failed").splitlines()[0]
        raise LabError(f"the lab's network: {said} ({lines[0]} ...)")
