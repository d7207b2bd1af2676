"""Whether a repository says a word anywhere: in code, settings, SQL or deployment files.

Knows text only, comments included, so it is for "this is dealt with somewhere" and never for a finding.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..finding import Place
from .vendored_kit import is_of_kit

if TYPE_CHECKING:
    from ..model.project import Project

LARGEST = 1_000_000  # characters; dumps and bundles hold no settings
DOCUMENTS = (".html", ".htm", ".j2", ".jinja2", ".xml")


def first_mention(project: Project, pattern: re.Pattern[str]) -> Place | None:
    """Return the first line that says it, code first; None when nothing does."""
    for module in project.modules:
        if not is_of_kit(project, module.path):
            for number, line in enumerate(module.lines, 1):
                if pattern.search(line):
                    return Place(module.path, number)
    for path in project.files:
        if path.endswith(DOCUMENTS):
            continue
        for number, line in enumerate(_text(project, path).splitlines(), 1):
            if pattern.search(line):
                return Place(path, number)
    return None


def _text(project: Project, path: str) -> str:
    """Return a file's text; what cannot be read, or is too large for settings, says nothing."""
    try:
        if (project.root / path).stat().st_size > LARGEST:
            return ""
        return project.text(path)
    except OSError:
        return ""
