"""The error of a command: one line on stderr, and exit code 2."""

from __future__ import annotations

from pathlib import Path


class CommandError(Exception):
    """Something a person has to see and act on.

    Args:
        message: one line: what happened, the numbers, the next step.
        log: a file that says more; named in the line.
    """

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log

    def line(self) -> str:
        """Return the whole line, with the log's path when there is one."""
        text = " ".join(str(self).split())
        return f"{text} (log: {self.log})" if self.log is not None else text
