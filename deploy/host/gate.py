"""The gate: asks a release over its private socket whether it is well, until it says so several times in a row.

Knows HTTP and sockets; whoever calls says what else has to hold, such as that the unit still runs. If this passes
what it should not, users meet a release that does not work.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..description import Description
from .errors import GateError

TIMES = 5  # answers in a row: there are several workers, each of which has loaded the app for itself
PATIENCE = 10.0  # seconds for one answer
PAUSE = 0.2  # seconds between two questions
LONGEST_LINE = 200


@dataclass(frozen=True)
class Question:
    """What is asked: a path, and the name and scheme that the front would ask with."""

    path: str
    host: str
    scheme: str


@dataclass(frozen=True)
class Answer:
    """An answer: its status, 0 for none, and the first line of its body or the reason."""

    status: int
    line: str

    def __str__(self) -> str:
        return f"{self.status or 'no answer'}{f' ({self.line})' if self.line else ''}"


def question(description: Description) -> Question:
    """Return what is asked of a service."""
    front = description.front
    domain = front.domains[0] if front.domains else "localhost"
    is_tls = bool(front.certificate) or front.balancer
    return Question(description.app.health, domain.replace("*.", "www."), "https" if is_tls else "http")


def ask(place: Path, asked: Question, timeout: float = PATIENCE) -> Answer:
    """Ask once, on a connection of its own.

    Args:
        place: the socket.
        asked: what.
        timeout: seconds.
    """
    connection = http.client.HTTPConnection("localhost", timeout=timeout)
    try:
        connection.sock = _connected(place, timeout)
        headers = {"Host": asked.host, "X-Forwarded-Proto": asked.scheme, "X-Forwarded-For": "127.0.0.1",
                   "User-Agent": "harden-gate", "Connection": "close"}  # fmt: skip
        connection.request("GET", asked.path, headers=headers)
        response = connection.getresponse()
        body = response.read(64 * 1024).decode(errors="replace").strip()
        return Answer(response.status, _first_line(body))
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, _first_line(str(error)) or type(error).__name__)
    finally:
        connection.close()


def pass_through(
    place: Path, asked: Question, seconds: float, is_alive: Callable[[], bool], times: int = TIMES
) -> None:
    """Ask until it has answered 200 several times in a row.

    Args:
        place: the socket.
        asked: what.
        seconds: in which it must have done so.
        is_alive: whether asking again makes sense.
        times: how often in a row.

    Raises:
        GateError: it has not; says what it answered last.
    """
    deadline = time.monotonic() + seconds
    good = 0
    while True:
        left = deadline - time.monotonic()
        answer = ask(place, asked, max(0.1, min(PATIENCE, left)))
        good = good + 1 if answer.status == http.HTTPStatus.OK else 0
        if good >= times:
            return
        if not is_alive():
            raise GateError(f"the release ended while {asked.path} was asked; last answer: {answer}")
        if time.monotonic() >= deadline:
            raise GateError(f"{asked.path} did not answer 200 {times} times within {seconds:g} s; last: {answer}")
        time.sleep(PAUSE if answer.status != http.HTTPStatus.OK else 0)


def _connected(place: Path, timeout: float) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout)
        made.connect(str(place))
    except BaseException:
        made.close()
        raise
    return made


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return "".join(char for char in line if char.isprintable())[:LONGEST_LINE]
