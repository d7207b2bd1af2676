"""Which app is served: Flask objects, factories, and what the repository's own start commands name.

Guesses by weights, and keeps the others for a person to see. Reads syntax trees alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from backend.importing import import_root

from .found import Found, in_file
from .repository import Repository, Source, called, is_aside, walk_outside_functions

ENTRY_NAMES = {"wsgi": 40, "app": 12, "main": 12, "server": 12, "run": 12, "application": 12, "serve": 10,
               "index": 8, "manage": 6, "__init__": 6}  # fmt: skip
APP_NAMES = {"app": 8, "application": 8}
FACTORY_NAMES = {"create_app": 10, "make_app": 10}
STARTS = ("Procfile", "Dockerfile*", "*.dockerfile", "docker-compose*.y*ml", "compose*.y*ml", "*.sh", "*.service",
          "render.yaml", "app.yaml", "fly.toml", "railway.*", "Makefile")  # fmt: skip
SERVED = re.compile(
    r"\b(?:gunicorn|uwsgi|waitress-serve)\b[^\n]*?['\"\s]([A-Za-z_][\w./]*):([A-Za-z_]\w*)(\(\))?(?=['\"\s,\]]|$)",
    re.MULTILINE,
)
TOOLS = frozenset({"scripts", "tools", "bench", "benchmarks", "demo", "samples"})
NEVER_END = ("serve_forever", "serve", "run_simple", "start_server", "start_polling")
RUN = ("run", "serve", "serve_forever", "run_simple")


@dataclass(frozen=True)
class Candidate:
    """Something that can be served.

    Attributes:
        path: its file.
        name: the variable, or the factory with ().
        line: in that file.
        weight: how likely it is the one; the largest wins.
        told: the start command that names it; "" for none.
    """

    path: str
    name: str
    line: int
    weight: int
    told: str = ""

    @property
    def where(self) -> str:
        """Return the words for where it was found."""
        return in_file(self.told or f"{self.path}:{self.line}")


def imports_folder(repository: Repository, candidate: Candidate | None) -> str:
    """Return the folder that the app's imports start from; "" for the root."""
    if candidate is None:
        return ""
    folder = import_root(repository.root / candidate.path)
    if folder == repository.root or not folder.is_relative_to(repository.root):
        return ""
    return folder.relative_to(repository.root).as_posix()


def find_target(repository: Repository) -> tuple[Found, Candidate | None]:
    """Return what is served, as `app.target` has it, and the candidate behind it."""
    candidates = ranked(repository)
    if not candidates:
        reason = "no Flask(...) was found; name the app, such as app:app or shop:create_app()"
        return Found("app:app", "a guess", change=reason), None
    best, *rest = candidates
    others = tuple((target_of(repository, other), other.where) for other in rest[:5])
    return Found(target_of(repository, best), best.where, others=others), best


def ranked(repository: Repository) -> list[Candidate]:
    """Return the candidates, the best first, each app once."""
    weighed: dict[tuple[str, str], Candidate] = {}
    for candidate in [*_in_code(repository), *_started(repository)]:
        key = (candidate.path, candidate.name)
        if key not in weighed or candidate.weight > weighed[key].weight:
            weighed[key] = candidate
    return sorted(weighed.values(), key=lambda each: (-each.weight, each.path, each.line))


def target_of(repository: Repository, candidate: Candidate) -> str:
    """Return a candidate as `app.target` names it: a module where its imports start at the root, else its file."""
    path = PurePosixPath(candidate.path)
    parts = path.with_suffix("").parts
    if parts[-1] == "__init__" and len(parts) > 1:
        parts = parts[:-1]
    starts_here = import_root(repository.root / candidate.path) == repository.root
    if starts_here and all(part.isidentifier() for part in parts):
        return f"{'.'.join(parts)}:{candidate.name}"
    return f"{candidate.path}:{candidate.name}"


def _in_code(repository: Repository) -> Iterator[Candidate]:
    factories = {node.name for source in repository.sources for node in _factories(source)}
    made = {name for source in repository.sources for name, _ in _made(source, factories)}
    for source in repository.sources:
        for name, node in [*_made(source, factories), *_imported(source, made)]:
            yield Candidate(source.path, name, node.lineno, _weight(source, name, node))
        for factory in _factories(source):
            if not _needs_arguments(factory):
                weight = FACTORY_NAMES.get(factory.name, 0) + _place_weight(source.path) - 5
                yield Candidate(source.path, f"{factory.name}()", factory.lineno, weight)


def _made(source: Source, factories: set[str]) -> Iterator[tuple[str, ast.stmt]]:
    """Return the module's own apps: `app = Flask(...)`, `app = create_app()`."""
    for node in walk_outside_functions(source.tree):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)):
            continue
        value = called(node.value) if node.value else ""
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if value == "Flask" or value in factories:
            yield from ((target.id, node) for target in targets if isinstance(target, ast.Name))


def _imported(source: Source, made: set[str]) -> Iterator[tuple[str, ast.stmt]]:
    """Return the apps of other modules that a script imports to run: `from shop import app`."""
    for node in walk_outside_functions(source.tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                is_app = alias.name in made and alias.name in APP_NAMES
                if is_app and (_runs(source, name) or PurePosixPath(source.path).stem == "wsgi"):
                    yield name, node


def _factories(source: Source) -> Iterator[ast.FunctionDef]:
    for node in source.tree.body if "Flask" in source.text else ():
        if isinstance(node, ast.FunctionDef) and _returns_app(node):
            yield node


def _returns_app(function: ast.FunctionDef) -> bool:
    """Tell whether a function makes an app and returns it; a script's main() runs it instead."""
    names = {
        target.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and called(node.value) == "Flask"
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(function):
        value = node.value if isinstance(node, ast.Return) else None
        if isinstance(value, ast.Name) and value.id in names:
            return True
        if value is not None and called(value) == "Flask":
            return True
    return False


def _needs_arguments(function: ast.FunctionDef) -> bool:
    arguments = function.args
    without = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return without > 0 or any(default is None for default in arguments.kw_defaults)


def _runs(source: Source, name: str) -> bool:
    """Tell whether a file serves the app when it is run as a script."""
    for node in source.nodes:
        if isinstance(node, ast.Call) and called(node) in RUN:
            mentioned = [part for each in (node.func, *node.args) for part in ast.walk(each)]
            if any(isinstance(part, ast.Name) and part.id == name for part in mentioned):
                return True
    return False


def _weight(source: Source, name: str, node: ast.stmt) -> int:
    routes = 5 if _has_routes(source, name) else 0
    runs = 30 if _runs(source, name) else 0
    made_by_factory = 10 if isinstance(node, ast.Assign) and called(node.value) != "Flask" else 0
    never_ends = -100 if _never_ends(source) else 0
    return APP_NAMES.get(name, 0) + _place_weight(source.path) + routes + runs + made_by_factory + never_ends


def _never_ends(source: Source) -> bool:
    """Tell whether importing a file would serve: app.run() is held back by the runtime, others are not."""
    for node in walk_outside_functions(source.tree):
        if isinstance(node, ast.Expr) and called(node.value) in NEVER_END:
            return True
    return False


def _place_weight(path: str) -> int:
    place = PurePosixPath(path)
    aside = 40 if TOOLS.intersection(place.parts[:-1]) else 0
    return ENTRY_NAMES.get(place.stem, 0) - 3 * path.count("/") - aside


def _has_routes(source: Source, name: str) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("route", "register_blueprint", "get", "post")
        and isinstance(node.value, ast.Name) and node.value.id == name
        for node in source.nodes
    )  # fmt: skip


def _started(repository: Repository) -> Iterator[Candidate]:
    """Return what a Procfile, a Dockerfile or a script starts."""
    for path in repository.named(*STARTS):
        if is_aside(path):
            continue
        text = repository.read(path)
        for match in SERVED.finditer(text):
            line = text.count("\n", 0, match.start(1)) + 1
            module = _module_file(repository, path, match[1])
            if module:
                name = match[2] + (match[3] or "")
                yield Candidate(module, name, 1, 100 - path.count("/"), f"{path}:{line}")


def _module_file(repository: Repository, start: str, module: str) -> str:
    """Return the file of a module that a start command names: from the root, or from the command's folder."""
    place = module.removesuffix(".py").replace(".", "/")
    folder = PurePosixPath(start).parent
    tried = [base / end for base in (PurePosixPath(), folder) for end in (f"{place}.py", f"{place}/__init__.py")]
    unique = [path for path in repository.files if path.endswith(f"/{place}.py")]
    found = [str(path) for path in tried if repository.has(str(path))]
    return (found or (unique if len(unique) == 1 else [""]))[0]
