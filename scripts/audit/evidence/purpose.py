"""What a file is for, by its path: production, development, tests, or a sample that people copy and fill in.

Names are all there is to go by; a file with no such word in its path counts as what production runs.
"""

from __future__ import annotations

import re

_SAMPLE = re.compile(r"(^|[._\-/])(example|sample|template|tmpl|tpl|dist|skel)s?($|[._\-/])", re.I)
_DEVELOPMENT = re.compile(
    r"(^|[._\-/])(dev|devel|develop|development|debug|local|locally|test|tests|testing|pytest|tox|devserver|ci"
    r"|staging|vagrant|devcontainer|override)"
    r"($|[._\-/])",
    re.IGNORECASE,
)
_DOCUMENT = re.compile(r"\.(md|rst|adoc|html?|j2|jinja2?|ipynb)$|(^|/)(docs?|documentation|node_modules)/", re.I)


def is_sample(path: str) -> bool:
    """Whether it is to be copied and filled in: `.env.example`."""
    return bool(_SAMPLE.search(path))


def is_for_development(path: str) -> bool:
    """Whether its path says development or tests: `docker-compose.dev.yml`."""
    return bool(_DEVELOPMENT.search(path))


def is_document(path: str) -> bool:
    """Whether people read it, and no program."""
    return bool(_DOCUMENT.search(path))
