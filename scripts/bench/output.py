"""What every benchmark's report has: bars, a line on the machine, and files that are written whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..atomic import WriteError, write_atomically
from ..errors import CommandError

WIDTH = 110
NOT_HERE = ("pgbouncer", "gunicorn", "flask", "werkzeug", "psycopg2")  # of the machine; the peers' versions count


@dataclass(frozen=True)
class Bar:
    """One bar: what is asked, what was reached, and whether that is enough."""

    text: str
    reached: str
    holds: bool


def judged(bars: Sequence[Bar]) -> Iterator[str]:
    """Yield the lines of a text report that say which bars hold."""
    if bars:
        yield ""
        yield "bars"
    for bar in bars:
        yield f"  {'holds ' if bar.holds else 'FAILS '} {bar.text}: {bar.reached}"


def machine_line(machine: Mapping[str, Any]) -> str:
    """Return what a run was measured on."""
    return (
        f"machine: {machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']:g} GiB, {machine['os']}, "
        f"Python {machine['python']}, PostgreSQL {machine['postgresql']}"
    )


def refuse_missing_folders(*files: Path | None) -> None:
    """Check, before anything is measured, that reports can be written.

    Raises:
        CommandError: a file's folder does not exist.
    """
    for file in files:
        if file is not None and not file.absolute().parent.is_dir():
            raise CommandError(f"the folder of {file} does not exist; make it, or name another file")


def write(file: Path | None, text: str, progress: Callable[[str], None]) -> None:
    """Write one report, if it was asked for.

    Raises:
        CommandError: it cannot be written.
    """
    if file is None:
        return
    try:
        write_atomically(file, text)
    except WriteError as error:
        raise CommandError(str(error)) from None
    progress(f"wrote {file}")
