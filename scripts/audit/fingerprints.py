"""What stays the same of a finding when lines move: its rule, file, function and the words of its line.

Baselines and `--diff-base` compare by it. Too coarse, and a new finding hides behind an old one of the same line;
too fine, and an old one comes back with each edit around it.
"""

from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import dataclass

from .finding import Finding
from .model.project import Project
from .report.masking import masked
from .sources import SECRETS, Sources


@dataclass(frozen=True, order=True)
class Fingerprint:
    """Equal for the same finding in two states of the code.

    Attributes:
        function: Qualified name; empty outside of Python.
        source: Digest of the line without spaces; of a line with a secret, without its value.
    """

    path: str
    rule: str
    function: str
    source: str

    @property
    def digest(self) -> str:
        """All of it in 32 hexadecimal digits."""
        return _digest("\0".join((self.path, self.rule, self.function, self.source)), 32)


class Fingerprints:
    """Makes them, for one project."""

    def __init__(self, project: Project, sources: Sources) -> None:
        self._sources = sources
        self._functions = {
            module.path: sorted(
                (function.node.lineno, function.node.end_lineno or 0, function.qualname)
                for function in module.functions
                if not isinstance(function.node, ast.Module | ast.Lambda)
            )
            for module in project.modules
        }

    def of(self, finding: Finding) -> Fingerprint:
        """Return a finding's."""
        place = finding.place
        line = self._sources.line(place.path, place.line)
        if finding.rule == SECRETS or self._sources.is_secret(place.path, place.line):
            line = masked(line)  # a digest of a short password can be guessed
        return Fingerprint(
            place.path, finding.rule, self._function(place.path, place.line), _digest(_plain(line), 16)
        )

    def _function(self, path: str, line: int) -> str:
        around = [name for first, last, name in self._functions.get(path, []) if first <= line <= last]
        return around[-1] if around else ""


def _plain(line: str) -> str:
    return re.sub(r"\s+", "", line)


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]
