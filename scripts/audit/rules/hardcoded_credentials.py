"""H302: a password, a key or a log-in that stands in the repository."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..evidence.purpose import is_for_development, is_sample
from ..evidence.tracked import tracked
from ..finding import Confidence, Finding, Place, Severity
from ..model.code import Module
from ..model.project import Project
from ..rule import Rule
from . import dsn_text, secret_words, secrets_by_flow, secrets_in_code, secrets_in_files
from .literals import text
from .secrets_in_code import Secret

_DEVELOPMENT = re.compile(r"(dev|local|debug)")
GRADES = {
    "login": Severity.high, "password": Severity.high, "key": Severity.high, "comparison": Severity.high,
    "token": Severity.medium,
}  # fmt: skip
CONSEQUENCES = {
    "login": "whoever reads the repository can open the database",
    "password": "whoever reads the repository has it",
    "key": "whoever reads the repository can sign sessions or tokens as any user",
    "comparison": "whoever reads the repository can log in",
    "token": "whoever reads the repository can act as the app there",
}


def _check(project: Project) -> Iterator[Finding]:
    published = tracked(project.origin or project.root)
    found: dict[Place, Finding] = {}
    for module, secret in _of_code(project):
        is_public = published is None or module.path in published
        if is_public and not is_sample(module.path) and not _is_of_developers(module, secret):
            found.setdefault(module.place(secret.node), _in_code(module, secret))
    yield from found.values()
    for path in project.files:
        if published is None or path in published:
            yield from _in_file(project, path)


def _of_code(project: Project) -> Iterator[tuple[Module, Secret]]:
    """Yield what literals show by themselves, then what values lead to."""
    for module in project.modules:
        for secret in secrets_in_code.secrets(module):
            yield module, secret
    yield from secrets_by_flow.secrets(project)


def _is_of_developers(module: Module, secret: Secret) -> bool:
    """Whether it stands in a class for tests, or is of no worth in one of several classes, for development."""
    classes = [each.name.lower() for each in module.ancestors(secret.node) if isinstance(each, ast.ClassDef)]
    if any("test" in name for name in classes):
        return True
    is_one_of_several = any(_DEVELOPMENT.match(name) for name in classes) and len(module.classes) > 1
    return is_one_of_several and not secret.is_remote and not _is_chosen(secret)


def _is_chosen(secret: Secret) -> bool:
    """Whether a password is nobody's default; a key for development opens nothing."""
    value = text(secret.node) or ""
    login = dsn_text.login(value) if secret.kind == "login" else None
    return secret.kind in ("login", "password") and secret_words.is_real(login.password if login else value)


def _in_code(module: Module, secret: Secret) -> Finding:
    severity = Severity.critical if secret.is_remote else GRADES[secret.kind]
    confidence = Confidence.medium if is_for_development(module.path) else Confidence.high
    message = f"{secret.what} stands in the code: {CONSEQUENCES[secret.kind]}"
    return RULE.at(module.place(secret.node), message, severity=severity, confidence=confidence)


def _in_file(project: Project, path: str) -> Iterator[Finding]:
    try:
        content = project.text(path)
    except OSError:
        return
    for secret in secrets_in_files.secrets(path, content):
        severity = Severity.critical if secret.is_remote else Severity.high
        message = f"{secret.what}: whoever reads the repository has it"
        yield RULE.at(secret.place, message, severity=severity, more=secret.more)


RULE = Rule(
    id="H302",
    name="hardcoded-credentials",
    finds="A password, a connection text with one, a signing key or a log-in that is a literal in the repository.",
    why="Everybody who can read the repository, its forks, its backups or an image of it can open the database"
    " or, with Flask's secret key, sign a session as any user. It cannot be changed without a release, and it"
    " stays in the history when the line is gone. Linters that go by variable names miss a third of these.",
    fix="Read it from the environment (`backend.settings` does, and stops the start when it is missing), change"
    " the value at the server, since it is in the history, and keep `.env` out of git.",
    leaves_alone=(
        "A key in a configuration class for development that is one of several.",
        "A literal that is only the default of an environment variable: `os.environ.get('KEY', 'dev')`.",
        "Placeholders, templates, field names, hashes of passwords, samples such as `.env.example`, tests.",
        "A `.env` or a settings file that git does not track.",
        "`postgres`, `changeme` and other defaults of development databases in compose files and the like.",
    ),
    severity=Severity.high,
    check=_check,
    example='import psycopg2\n\nconnection = psycopg2.connect("dbname=shop user=shop password=s3cr3t-7")\n',
    instead='import os\n\nimport psycopg2\n\nconnection = psycopg2.connect(os.environ["DATABASE_URL"])\n',
)
