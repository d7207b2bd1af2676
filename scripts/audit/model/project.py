"""The audited project, as rules see it.

Nothing of it is executed or imported. Built by `reading.read` and `interpreter.interpret`; rules only look.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .code import Call, Function, Module, Route, Store
from .reach import Reach
from .values import Site

STATEMENTS = ("execute", "executemany")


@dataclass(frozen=True, order=True)
class Broken:
    """A file that cannot be read or does not parse; each is reported."""

    path: str
    line: int
    col: int
    reason: str


@dataclass
class Project:
    """A folder of code.

    Attributes:
        modules: What parses, by path.
        broken: What does not.
        files: Every other file that matters (Procfile, *.sql, templates, ...), relative, sorted.
        origin: The repository that `root` is a working copy of, which git knows about; None when it is none.
    """

    root: Path
    modules: list[Module] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    origin: Path | None = None

    def __post_init__(self) -> None:
        self.reach = Reach(self)

    def functions(self) -> Iterator[Function]:
        """Yield every function, modules' own code included, in the order of the source."""
        for module in self.modules:
            yield from module.functions

    def function_at(self, site: Site) -> Function | None:
        """Return the innermost function at a place; None for a module's own code, and outside the project."""
        return next((each for each in reversed(self._by_path.get(site.path, [])) if each.holds(site.line)), None)

    @cached_property
    def _by_path(self) -> dict[str, list[Function]]:
        """The named functions of each file, in the order of the source."""
        return {
            module.path: [each for each in module.functions if not isinstance(each.node, (ast.Module, ast.Lambda))]
            for module in self.modules
        }

    def calls(self, *does: str) -> Iterator[Call]:
        """Yield calls in the order of the source; those that do one of these things, or all."""
        for function in self.functions():
            for call in function.calls:
                if not does or call.does in does:
                    yield call

    def calls_to(self, *targets: str) -> Iterator[Call]:
        """Yield the calls of something outside the project by its dotted path, "flask.Flask().run"."""
        for call in self.calls():
            if call.target in targets:
                yield call

    def stores(self) -> Iterator[Store]:
        """Yield the assignments to attributes and elements, in the order of the source."""
        for function in self.functions():
            yield from function.stores

    def routes(self) -> Iterator[Route]:
        """Yield every URL."""
        for function in self.functions():
            yield from function.routes

    def text(self, path: str) -> str:
        """Return another file's text; what is no UTF-8 is replaced."""
        return (self.root / path).read_text(encoding="utf-8", errors="replace")
