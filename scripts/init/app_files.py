"""What a release takes from the repository beside the code: packages, static files, migrations.

Looks near the app that is served first.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from .found import DEFAULT, Found, in_file
from .repository import Repository, Source, called, is_aside
from .target import Candidate

REQUIREMENTS = (
    "requirements.txt", "requirements/production.txt", "requirements/prod.txt", "requirements-prod.txt",
    "requirements/base.txt", "requirements/requirements.txt",
)  # fmt: skip


def find_requirements(repository: Repository, candidate: Candidate | None) -> Found:
    """Return the file that pip installs, the nearest above the app first."""
    near = list(_folders_above(candidate.path if candidate else ""))
    nearest = [posixpath.join(folder, name) for folder in near for name in REQUIREMENTS]
    lists = repository.named("requirements*.txt")
    anywhere = [path for path in lists if not is_aside(path) and not _for_people(path)]
    found = list(dict.fromkeys(path for path in (*nearest, *anywhere) if path in repository.files))
    if found:
        return Found(found[0], in_file(found[0]), others=tuple((path, in_file(path)) for path in found[1:4]))
    for name, advice in (
        ("Pipfile", "pipenv requirements > requirements.txt"), ("poetry.lock", "poetry export > requirements.txt"),
        ("uv.lock", "uv export > requirements.txt"), ("pyproject.toml", "pip freeze > requirements.txt"),
        ("setup.py", "pip freeze > requirements.txt"),
    ):  # fmt: skip
        if repository.has(name):
            return Found("requirements.txt", in_file(name), change=f"pip installs a list; make one by: {advice}")
    return Found("requirements.txt", "a guess", change="there is none; make one by: pip freeze > requirements.txt")


def find_static(repository: Repository, candidate: Candidate | None) -> tuple[Found, Found]:
    """Return `app.static` and `app.static_url`, from the Flask(...) call and the folder beside it."""
    none = Found("", "no folder of static files"), Found("/static/")
    made = _flask_call(repository, candidate)
    if made is None:
        return none
    source, call = made
    folder = _keyword(call, "static_folder", "static")
    url = _keyword(call, "static_url_path", f"/{PurePosixPath(folder).name}" if folder else "")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source.path), folder or ""))
    if not folder or path.startswith(("..", "/")) or not repository.has_folder(path):
        return none
    address = f"/{(url or '').strip('/')}/"
    if address == "//":
        return Found("", f"the app answers it at / itself ({source.at(call)})"), Found("/static/")
    where = in_file(source.at(call))
    return Found(path, where), Found(address, where if address != "/static/" else DEFAULT)


def find_migrate(repository: Repository, target: str) -> Found:
    """Return the command that brings the database to a release's version."""
    for path in repository.named("alembic.ini"):
        folder = posixpath.dirname(path)
        if "current_app" in repository.read(posixpath.join(folder, "env.py")):  # Flask-Migrate's own
            where = "" if folder == "migrations" else f" --directory {folder}"
            name = f"'{target}'" if "(" in target else target
            return Found(f"flask --app {name} db upgrade{where}", in_file(path))
        config = "" if path == "alembic.ini" else f" --config {path}"
        return Found(f"alembic{config} upgrade head", in_file(path))
    return Found("", "no alembic.ini was found")


def lacks_driver(repository: Repository, requirements: str) -> bool:
    """Tell whether a list of packages is there and has no psycopg2."""
    text = repository.read(requirements)
    return bool(text) and not re.search(r"(?im)^\s*(psycopg2|-r|-c|\.)", text)


def _for_people(path: str) -> bool:
    """Tell whether a list is for those who work on the app: tests, linters, documentation."""
    return bool(re.search(r"(?i)dev|test|lint|doc|local|ci\b", PurePosixPath(path).stem))


def _folders_above(path: str) -> Iterator[str]:
    folder = posixpath.dirname(path)
    while folder:
        yield folder
        folder = posixpath.dirname(folder)
    yield ""


def _flask_call(repository: Repository, candidate: Candidate | None) -> tuple[Source, ast.Call] | None:
    """Return the Flask(...) of the candidate's file, else the first there is."""
    path = candidate.path if candidate else ""
    for source in sorted(repository.sources, key=lambda source: source.path != path):
        for node in source.nodes if "Flask" in source.text else ():
            if isinstance(node, ast.Call) and called(node) == "Flask":
                return source, node
    return None


def _keyword(call: ast.Call, name: str, default: str) -> str | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
            return value if isinstance(value, str) else None
    return default
