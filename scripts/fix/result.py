"""What came of a run of the fixers."""

from __future__ import annotations

from dataclasses import dataclass

from ..audit.run import Result as Audit
from .fixer import Change, Left


@dataclass(frozen=True)
class Changed:
    """A file that is changed or new; `before` is None for a new one."""

    path: str
    before: bytes | None
    after: bytes


@dataclass(frozen=True)
class Result:
    """A run.

    Attributes:
        files: By path.
        changes: Those that are made, in order; their places are in the files as they were.
        left: The findings that are left alone, in order; their places are in the files as they are after it.
        unsafe: The changes that only `--unsafe-fixes` makes, in order; their places are like those of `left`.
        kit: What the vendored runtime is imported as; "" when there is none.
        audit: The audit of the files as they are after it.
        lines: For each changed file the line, before it, of each of its lines.
    """

    files: tuple[Changed, ...]
    changes: tuple[Change, ...]
    left: tuple[Left, ...]
    unsafe: tuple[Change, ...]
    kit: str
    audit: Audit
    lines: dict[str, list[int]]
