"""An app's requirements file, made installable as far as psycopg2 goes.

A pinned `psycopg2` wants a compiler and PostgreSQL's headers, and an old `psycopg2-binary` has no wheel for a
current Python: of eight real apps four failed on that line alone. The kit needs 2.9 in any case, so that line is
replaced; every other one stays as it is.
"""

from __future__ import annotations

import codecs
import re

DRIVER = "psycopg2-binary>=2.9"
LINE = re.compile(r"^[ \t]*psycopg2(?:-binary)?(?![\w.-])[^\n]*$", re.MULTILINE | re.IGNORECASE)
# Lines that lead to other files: those are found relative to the file, so it is left where and as it is.
ELSEWHERE = re.compile(r"^[ \t]*(?:-r|-c|-e|--requirement|--constraint|--editable|\.|file:)", re.MULTILINE)

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def prepared(raw: bytes) -> tuple[str, str] | None:
    """Return the text to install and what was changed, in words; None to install the file as it is.

    Raises:
        ValueError: it is no text.
    """
    text = _decoded(raw)
    if ELSEWHERE.search(text):
        return None
    lines = [line.strip() for line in LINE.findall(text)]
    if lines == [DRIVER]:
        return None
    if not lines:
        return f"{text.rstrip()}\n{DRIVER}\n", f"added {DRIVER}, which it does not list"
    return LINE.sub(DRIVER, text), f"{DRIVER} instead of {', '.join(lines)}"


def _decoded(raw: bytes) -> str:
    for mark, encoding in MARKS.items():
        if raw.startswith(mark):
            return raw.decode(encoding)
    return raw.decode("utf-8")
