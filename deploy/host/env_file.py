"""Files of NAME=value lines, read as systemd's EnvironmentFile= reads them, and never with a value in a message.

Knows no variable by name. If this is wrong, the kit takes another password than the one the app gets.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from .errors import HostError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SPACE = " \t\n\r"
ENDS = "\n\r"
ESCAPABLE = '"\\`$'  # in double quotes; a backslash before anything else stays


def read(path: Path) -> dict[str, str]:
    """Return the variables of a file that is its owner's alone.

    Raises:
        HostError: it cannot be read, others may read it, or it is no such file.
    """
    try:
        with path.open("rb") as stream:
            require_private(path, os.fstat(stream.fileno()))
            text = stream.read().decode()
    except UnicodeDecodeError as error:
        raise HostError(f"{path} is not UTF-8 (byte {error.start}); save it as such") from None
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return parse(text)
    except HostError as error:
        raise HostError(f"{path} {error}") from None


def require_private(path: Path, found: os.stat_result) -> None:
    """Refuse a file that others than its owner may read or change.

    Raises:
        HostError: they may; says how that is mended.
    """
    if not stat.S_ISREG(found.st_mode):
        raise HostError(f"{path} is no file")
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise HostError(f"{path} has mode {mode:04o}, so that others can read secrets; chmod 0600 {path}")
    if found.st_uid not in (0, os.geteuid()):
        raise HostError(f"{path} belongs to user {found.st_uid}, who could change it; chown root {path}")


def parse(text: str) -> dict[str, str]:
    """Return the variables of a text; of a name that comes twice the last value.

    Raises:
        HostError: a line is one that systemd drops, or reads differently in its versions; says which.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if text[at] in SPACE:
            at += 1
        elif text[at] in "#;":
            at = _comment_end(text, at)
        else:
            at = _assignment(text, at, found)
    return found


def _comment_end(text: str, at: int) -> int:
    end = _line_end(text, at)
    if text[at:end].endswith("\\"):
        # Up to systemd 253 the next line belongs to such a comment, from 254 on it does not.
        raise HostError(f"line {_line(text, at)}: a comment must not end with a backslash")
    return end


def _assignment(text: str, at: int, found: dict[str, str]) -> int:
    name, is_there, _ = text[at : _line_end(text, at)].partition("=")
    key = name.rstrip(SPACE)
    if not is_there or not NAME.fullmatch(key):
        raise HostError(f"line {_line(text, at)} is not like NAME=value; systemd leaves it out")
    value, end = _value(text, at + len(name) + 1)
    if "\0" in value:
        raise HostError(f"line {_line(text, at)}: the value of {key} has a NUL; systemd leaves it out")
    found[key] = value
    return end


def _value(text: str, at: int) -> tuple[str, int]:
    """Return a value and where its line ends: quoted parts first, then a bare rest to the end of the line."""
    value = ""
    while at < len(text) and text[at] not in ENDS:
        if text[at] in SPACE:
            at += 1
        elif text[at] in "'\"":
            part, at = _quoted(text, at)
            value += part
        else:
            part, at = _bare(text, at)
            return value + part, at
    return value, at


def _quoted(text: str, at: int) -> tuple[str, int]:
    quote, start, part = text[at], at, ""
    at += 1
    while at < len(text) and text[at] != quote:
        if quote == '"' and text[at] == "\\" and at + 1 < len(text):
            at += 1
            part += "" if text[at] in ESCAPABLE + "\n" else "\\"
            part += "" if text[at] == "\n" else text[at]
        else:
            part += text[at]
        at += 1
    if at >= len(text):
        raise HostError(f"line {_line(text, start)}: the quote is never closed")
    return part, at + 1


def _bare(text: str, at: int) -> tuple[str, int]:
    part, kept = "", 0  # what was escaped is no blank at the end
    while at < len(text) and text[at] not in ENDS:
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
            part += "" if text[at] in ENDS else text[at]
            kept = len(part)
        elif text[at] != "\\":
            part += text[at]
        at += 1
    return part[:kept] + part[kept:].rstrip(SPACE), at


def _line_end(text: str, at: int) -> int:
    ends = [end for end in (text.find(char, at) for char in ENDS) if end >= 0]
    return min(ends, default=len(text))


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
