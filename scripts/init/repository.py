"""The files of somebody's repository: which there are, their text, and their syntax trees.

Reads and never imports. Bounded in files and bytes, so that a folder that is no repository ends as well.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

MOST_FILES = 3000
LARGEST_BYTES = 1_000_000
NOT_LOOKED_AT = frozenset({
    "venv", "env", "node_modules", "site-packages", "__pycache__", "build", "dist", "htmlcov",
})  # fmt: skip
# Apps that only show or test something are no candidates for being served.
ASIDE = frozenset({"test", "tests", "testing", "docs", "doc", "example", "examples", "migrations", "alembic"})


@dataclass(frozen=True)
class Source:
    """One Python file that parses."""

    path: str
    text: str
    tree: ast.Module

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Return all nodes; walking a tree costs more than all that is asked of it."""
        return tuple(ast.walk(self.tree))

    def at(self, node: ast.AST) -> str:
        """Return where a node stands: path:line."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


class Repository:
    """A folder with an app in it; paths are relative to it, with /."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unparsable: list[str] = []

    @cached_property
    def files(self) -> list[str]:
        """Return all files, the upper ones first."""
        found = []
        for path in self._walk():
            found.append(path)
            if len(found) >= MOST_FILES:
                break
        return sorted(found, key=lambda path: (path.count("/"), path))

    @cached_property
    def sources(self) -> list[Source]:
        """Return the app's own Python files, without tests, docs and migrations."""
        return [source for path in self.files if not is_aside(path) and (source := self._source(path))]

    def sources_below(self, folder: str) -> list[Source]:
        """Return those of one folder, such as the one of several services that is looked at; "" for all."""
        return [source for source in self.sources if not folder or source.path.startswith(f"{folder}/")]

    def has(self, path: str) -> bool:
        """Tell whether there is a file or a folder of that path."""
        return os.path.exists(self.root / path)  # noqa: PTH110 -- pathlib's raises where a folder may not be read

    def has_folder(self, path: str) -> bool:
        """Tell whether there is a folder of that path."""
        return os.path.isdir(self.root / path)  # noqa: PTH112 -- as above

    def read(self, path: str) -> str:
        """Return a file's text; "" for one that cannot be read, or is too large for what it is."""
        try:
            file = self.root / path
            if file.stat().st_size > LARGEST_BYTES:
                return ""
            return file.read_text(encoding="utf-8-sig", errors="replace")
        except OSError:
            return ""

    def named(self, *patterns: str) -> list[str]:
        """Return the files whose names match, the upper ones first."""
        return [path for path in self.files if any(PurePosixPath(path).match(pattern) for pattern in patterns)]

    def _walk(self) -> Iterator[str]:
        for place, folders, names in os.walk(self.root):
            folders[:] = sorted(name for name in folders if self._is_looked_at(Path(place, name)))
            for name in sorted(names):
                path = Path(place, name)
                if os.path.isfile(path):  # noqa: PTH113 -- no pipe, which would wait for a writer
                    yield path.relative_to(self.root).as_posix()

    def _is_looked_at(self, folder: Path) -> bool:
        if folder.name.startswith(".") or folder.name in NOT_LOOKED_AT:
            return False
        return not os.path.exists(folder / "pyvenv.cfg")  # noqa: PTH110

    def _source(self, path: str) -> Source | None:
        if not path.endswith(".py"):
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of their code's escapes
                text = self.read(path)
                return Source(path, text, ast.parse(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self.unparsable.append(f"{path}:{getattr(error, 'lineno', None) or 1}")
            return None


def is_aside(path: str) -> bool:
    """Tell whether a file is a test, documentation or a migration."""
    parts = PurePosixPath(path).parts
    return bool(ASIDE.intersection(parts[:-1])) or parts[-1].startswith(("test_", "conftest"))


def walk_outside_functions(tree: ast.Module) -> Iterator[ast.stmt]:
    """Return the statements that run when a module is imported, `if` and `try` included."""
    waiting: list[ast.stmt] = list(reversed(tree.body))
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and is_main_guard(node):
            continue
        for part in ("body", "orelse", "finalbody"):
            if isinstance(node, (ast.If, ast.Try, ast.With)):
                waiting.extend(reversed(getattr(node, part, [])))


def is_main_guard(node: ast.If) -> bool:
    """Tell whether an `if` asks whether the file is run as a script."""
    return any(isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test))


def called(node: ast.AST) -> str:
    """Return the last name of what a call calls: Flask for flask.Flask(...); "" for no call."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""
