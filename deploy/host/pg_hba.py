"""Our lines at the top of a server's pg_hba.conf, between marks, so that they come and go without a trace.

PostgreSQL takes the first line that fits, so ours go before Debian's, which name `all`. Knows no server. If this
is wrong, the app cannot log in, or others can.
"""

from __future__ import annotations

import re
from pathlib import Path

from .errors import HostError

INCLUDES = 16  # PostgreSQL's first version whose pg_hba.conf can include a file
BEGIN = "# harden begin {name}: written by harden install; changes in here are lost"
END = "# harden end {name}"


def read(path: Path) -> str:
    """Return a server's own pg_hba.conf.

    Raises:
        HostError: it cannot be read as text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise HostError(f"{path} is not UTF-8 (byte {error.start}); save it as such") from None
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}") from None


def block(name: str, version: int, path: str, text: str) -> str:
    """Return an app's lines for the server's own file.

    Args:
        name: the app's.
        version: PostgreSQL's major version.
        path: where the app's file lies.
        text: what is in it.
    """
    own = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    lines = [f"include {path}"] if version >= INCLUDES else own
    return "\n".join([BEGIN.format(name=name), *lines, END.format(name=name), ""])


def with_block(text: str, name: str, lines: str) -> str:
    """Return a pg_hba.conf with an app's lines, once, where they were or at its top."""
    found = _pattern(name).search(text)
    if found is None:
        return lines + text
    return text[: found.start()] + lines + without_block(text[found.end() :], name)


def without_block(text: str, name: str) -> str:
    """Return a pg_hba.conf without an app's lines."""
    return _pattern(name).sub("", text)


def _pattern(name: str) -> re.Pattern[str]:
    begin, end = (re.escape(mark.format(name=name)) for mark in (BEGIN, END))
    # A block whose end somebody has deleted ends before the first line that is none of it.
    return re.compile(rf"^{begin}\n(?:(?!# harden ).*\n)*?{end}(?:\n|\Z)", re.MULTILINE)
