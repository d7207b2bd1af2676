"""Reads a folder: every Python file parsed, every other file that matters by name.

Nothing is executed, no link to a folder is followed, and whatever cannot be read or parsed is kept with its
reason. Tests are left out: what they do, no request does.
"""

from __future__ import annotations

import ast
import os
import tokenize
import warnings
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path

from .code import Module
from .declare import declare
from .kit_copy import MANIFEST, is_manifest
from .newer_syntax import newer_needed, requoted
from .project import Broken, Project

LARGEST = 2_000_000  # bytes; people write no such file, and its tree takes fifty times as much memory
OTHER_LARGEST = 20_000_000  # a database dump that lies about
SKIPPED = frozenset({
    ".git", ".hg", ".svn", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__",
    "node_modules", "bower_components", "site-packages", "dist-packages", ".eggs", ".idea", ".vscode", "venv",
    ".venv",
    "virtualenv", "test", "tests", "testing",
})  # fmt: skip
TEST_FILES = ("test_*.py", "*_test.py", "conftest.py", "tests.py", "test.py")
OTHERS = (
    "*.sql", "*.html", "*.htm", "*.j2", "*.jinja2", "*.toml", "*.cfg", "*.ini", "*.txt", "*.yml", "*.yaml",
    "*.json",
    "*.conf", "*.service", "*.sh", "*.env", "*.in", ".env*", ".flaskenv", "Procfile*", "Dockerfile*",
    "*.dockerfile",
    "Pipfile*", "Makefile", "*.xml", "*.properties", "*.wsgi", "Caddyfile*", "Containerfile*", "*.psql", "*.ddl",
)  # fmt: skip


def read(path: Path, exclude: Iterable[str] = (), say: Callable[[int, int], None] | None = None) -> Project:
    """Read a folder, or one file.

    Args:
        exclude: Patterns of relative paths to leave out.
        say: Told how many of how many files are read.

    Raises:
        OSError: The folder itself cannot be read.
    """
    project = Project(path if path.is_dir() else path.parent)
    found = [path] if path.is_file() else list(_files(path, tuple(exclude), project))
    sources = [each for each in found if each.suffix == ".py"]
    for count, each in enumerate(sources, 1):
        _add(project, each)
        if say:
            say(count, len(sources))
    project.files = sorted(_name(project, each) for each in found if each.suffix != ".py")
    return project


def listed(folder: Path, exclude: Iterable[str] = ()) -> list[str]:
    """Return the relative paths of all that would be read of a folder, in order."""
    return [path.relative_to(folder).as_posix() for path in _files(folder, tuple(exclude), Project(folder))]


def _files(folder: Path, exclude: tuple[str, ...], project: Project) -> Iterator[Path]:
    """Yield what is to be read, in an order that the file system has no part in."""

    def unreadable(error: OSError) -> None:
        where = _name(project, Path(error.filename)) if error.filename else "."
        project.broken.append(Broken(where, 1, 1, error.strerror or "cannot be read"))

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        here = Path(parent)
        folders[:] = sorted(name for name in folders if _is_entered(here / name, folder, exclude))
        if MANIFEST in names and here != folder and is_manifest(here / MANIFEST):
            folders[:], names = [], [MANIFEST]  # the kit's own runtime: no code of the app
        for name in sorted(names):
            path = here / name
            relative = path.relative_to(folder).as_posix()
            if _is_wanted(name) and not any(fnmatch(relative, pattern) for pattern in exclude) and path.is_file():
                yield path


def _is_entered(path: Path, root: Path, exclude: tuple[str, ...]) -> bool:
    relative = path.relative_to(root).as_posix()
    if path.name.lower() in SKIPPED or path.is_symlink() or (path / "pyvenv.cfg").exists():
        return False
    return not any(fnmatch(relative, pattern) or fnmatch(f"{relative}/", pattern) for pattern in exclude)


def _is_wanted(name: str) -> bool:
    if name.endswith(".py"):
        return not any(fnmatch(name, pattern) for pattern in TEST_FILES)
    return any(fnmatch(name, pattern) for pattern in OTHERS)


def _name(project: Project, path: Path) -> str:
    return path.relative_to(project.root).as_posix()


def _add(project: Project, path: Path) -> None:
    """Parse one file; what goes wrong is kept."""
    name = _name(project, path)
    try:
        size = path.stat().st_size
        if size > LARGEST:
            reason = f"{size / 1e6:.1f} MB; more than {LARGEST / 1e6:g} MB are not read: no person wrote this file"
            project.broken.append(Broken(name, 1, 1, reason))
            return
        data = path.read_bytes()
        text = _decoded(data)
        module = Module(name, _dotted(name), parsed(text), text.splitlines(), path.name == "__init__.py")
        declare(module)
        project.modules.append(module)
    except SyntaxError as error:
        line, col = _position(error)
        project.broken.append(Broken(name, line, col, f"does not parse: {error.msg}{_version(data, error)}"))
    except (ValueError, LookupError) as error:
        project.broken.append(Broken(name, 1, 1, f"is no Python source: {str(error).splitlines()[0][:120]}"))
    except (RecursionError, MemoryError):
        project.broken.append(Broken(name, 1, 1, "is nested too deeply to be parsed"))
    except OSError as error:
        project.broken.append(Broken(name, 1, 1, f"cannot be read: {error.strerror}"))


def _position(error: SyntaxError) -> tuple[int, int]:
    return max(error.lineno or 1, 1), max(error.offset or 1, 1)


def _version(data: bytes, error: SyntaxError) -> str:
    """Say so when it looks like another Python's."""
    if "Missing parentheses in call to 'print'" in (error.msg or "") or b"except Exception, " in data:
        return " (this is Python 2; the audit reads Python 3)"
    return newer_needed(data.decode(errors="replace"))


def _decoded(data: bytes) -> str:
    """Decode as Python does: by the mark or the comment in its first lines, else UTF-8."""
    encoding, _ = tokenize.detect_encoding(BytesIO(data).readline)
    return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def parsed(text: str) -> ast.Module:
    """Parse source, also what only a newer Python reads, as far as its lines and columns stay.

    Raises:
        SyntaxError: It is no Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # strange escapes are not what is looked for
        try:
            return ast.parse(text)
        except SyntaxError:
            if (other := requoted(text)) == text:
                raise
        return _again(text, other)


def _again(text: str, other: str) -> ast.Module:
    """Parse source with its quotes changed; what is wrong is told of the source as it is."""
    try:
        return ast.parse(other)
    except SyntaxError:
        return ast.parse(text)


def _dotted(path: str) -> str:
    """Return the name that the root would import a file by."""
    parts = path.removesuffix(".py").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
