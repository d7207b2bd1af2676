"""The lines of the audited files, for excerpts, ignores and fingerprints.

A line that may hold a secret is shown with its values hidden, whichever rule points at it: what this lets through
stands in build logs and in reports that are sent around.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .model.project import Project
from .report.masking import masked

LONGEST = 200  # characters of a line that is shown
SECRETS = "H302"
_NAME = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api_?key|private_?key|dsn|credential)"
_TELLING = re.compile(
    rf"(?i){_NAME}\w*[\"'\]]*\s*(?:[=:]|,)\s*[rbuf]{{0,2}}[\"'][^\"'%{{]"  # key = "value", get(key, "value")
    rf"|[\"'][^\"']*{_NAME}\w*\s*=\s*[^\s\"'%{{(]"  # "dbname=x password=value"
    rf"|{_NAME}\w*[=:]\s?[\w+/-]+\s*$"  # PASSWORD=value of an .env, password: value of YAML
    r"|://[^\s:/@]*:[^\s@{%]+@"
)


class Sources:
    """Lines by path."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._lines = {module.path: module.lines for module in project.modules}
        self._secret: set[tuple[str, int]] = set()

    def hide(self, path: str, lines: Iterable[int]) -> None:
        """Remember lines that are only shown masked."""
        self._secret.update((path, line) for line in lines)

    def lines(self, path: str) -> list[str]:
        """Return a file's lines; none for one that cannot be read."""
        if path not in self._lines:
            try:
                self._lines[path] = self._project.text(path).splitlines()
            except OSError:
                self._lines[path] = []
        return self._lines[path]

    def line(self, path: str, line: int) -> str:
        """Return a line as it stands, not for showing; empty where there is none."""
        lines = self.lines(path)
        return lines[line - 1] if 0 < line <= len(lines) else ""

    def shown(self, path: str, line: int) -> str:
        """Return a line as it may be shown: printable, tabs as one space, secrets hidden, cut when too long."""
        text = self.line(path, line)
        text = "".join(char if char.isprintable() else " " for char in text)
        if self.is_secret(path, line):
            text = masked(text)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."

    def is_secret(self, path: str, line: int) -> bool:
        """Whether a line may hold a secret."""
        return (path, line) in self._secret or is_telling(self.line(path, line))


def is_telling(line: str) -> bool:
    """Whether a line may hold a secret, by its text alone."""
    return _TELLING.search(line) is not None
