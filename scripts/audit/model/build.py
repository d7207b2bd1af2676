"""From a folder to a project that rules can look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from .interpreter import Interpreter
from .kit_copy import set_aside
from .project import Project
from .reading import read

Say = Callable[[str, int, int], None]


def build(path: Path, exclude: Iterable[str] = (), say: Say | None = None) -> Project:
    """Read a folder, or one file, and interpret it.

    Args:
        say: Told what is under way, and how far it is.

    Raises:
        OSError: The folder itself cannot be read.
    """
    project = read(path, exclude, (lambda done, total: say("reading", done, total)) if say else None)
    set_aside(project)
    Interpreter(project).run((lambda done, total: say("following", done, total)) if say else None)
    return project
