"""The text of a `harden.toml`: read from a file, parsed, and where in it each key stands.

Knows TOML and no keys. If the lines are wrong, a person looks for the problem in the wrong place.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from .description import DescriptionError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST_BYTES = 256 * 1024


def read(path: Path) -> str:
    """Return a file's text.

    Raises:
        DescriptionError: it is not there, cannot be read, is too large or no UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise DescriptionError([f"{path} does not exist; make one with: scripts/harden init"]) from None
    except OSError as error:
        raise DescriptionError([f"{path} cannot be read: {error.strerror}"]) from None
    if len(data) > LARGEST_BYTES:
        raise DescriptionError([f"{path} is larger than {LARGEST_BYTES // 1024} kB; it is no description"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DescriptionError([f"{path}:{line}: byte {error.start} is no UTF-8; save it as UTF-8"]) from None


def tables_of(text: str, name: str) -> dict[str, Any]:
    """Return the tables of a text.

    Raises:
        DescriptionError: it is not TOML; with the line.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        raise DescriptionError([_syntax(name, text, str(error))]) from None


class Where:
    """Puts a problem after the file, the line and the key that it is about."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._lines = _lines_of(text)

    def __call__(self, section: str, key: str, problem: str) -> str:
        """Return the whole line about a key, or about a section when the key is ""."""
        line = self._lines.get((section, key)) or self._lines.get((section, ""))
        place = f"{self._name}:{line}" if line else self._name
        return f"{place}: {_dotted(section, key)} {problem}"

    def said(self, problem: str) -> str:
        """Return a problem that begins with its key, with its place before it."""
        place, _, rest = problem.partition(" ")
        section, _, key = place.partition(".")
        return self(section, key, rest)


def _lines_of(text: str) -> dict[tuple[str, str], int]:
    """Return where sections and keys stand; the parser does not tell. A key written otherwise has no line."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.split("\n"), 1):
        if header := re.match(r"\s*\[\s*\"?([\w-]+)\"?\s*\]", line):
            section = header[1]
            found.setdefault((section, ""), number)
        elif entry := re.match(r"\s*\"?([\w-]+)\"?\s*=", line):
            found.setdefault((section, entry[1]) if section else (entry[1], ""), number)
    return found


def _syntax(name: str, text: str, message: str) -> str:
    # Its words quote the file's keys at most, never a value.
    found = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)", message)
    line = found[1] if found and found[1] else text.count("\n") + 1
    column = f", column {found[2]}" if found and found[2] else ""
    said = message[: found.start()] if found else message.splitlines()[0]
    return f"{name}:{line}: this is not TOML: {said}{column}"


def _dotted(section: str, key: str) -> str:
    # A key is text of the file: quoted keys may hold anything, line ends too.
    names = [name if re.fullmatch(r"[\w-]{1,64}", name) else repr(name[:60]) for name in (section, key) if name]
    return ".".join(names)
