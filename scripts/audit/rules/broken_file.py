"""H901: a file that the audit could not look at."""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Finding, Place, Severity
from ..model.project import Broken, Project
from ..rule import Rule


def _check(project: Project) -> Iterator[Finding]:
    for each in project.broken:
        yield RULE.at(place(each), f"{each.path} {each.reason}")


def place(broken: Broken) -> Place:
    """Return where a file breaks."""
    return Place(broken.path, broken.line, broken.col)


RULE = Rule(
    id="H901",
    name="broken-file",
    finds="A file that cannot be read, does not parse, or is too large to have been written by a person.",
    why="Whatever is wrong in it is not in this report, and what calls into it was followed no further. A module"
    " that does not parse also stops the worker that imports it.",
    fix="Mend what the message names; leave generated files out with `--exclude`.",
    leaves_alone=(
        "Files that no rule reads, such as images and notebooks.",
        "Tests, and folders of installed packages.",
    ),
    severity=Severity.medium,
    check=_check,
    example="from flask import Flask\n\napp = Flask(__name__\n",
    instead="from flask import Flask\n\napp = Flask(__name__)\n",
)
