"""All that stands before the first request: both sides' files, the template database, the app's routes.

Everything made here is gone when the block ends, whatever ends it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import CommandError
from ..init.repository import Repository
from ..init.target import find_target
from ..progress import Progress
from ..stack import Stack
from ..up import interpreter
from . import code, environment, template
from .ask import Request
from .compare import Difference
from .contents import Contents, compared, contents_of, varying_between
from .databases import Databases
from .keys import Keys
from .recipe import Recipe, SideRecipe
from .report import Report
from .requests import login_of, requests_of
from .run import Run
from .side import Build, Side, probe, process_environ


@dataclass
class Ready:
    """What a verification needs.

    Attributes:
        before, after: how each side is served.
        names: how the two versions are called.
        notes: for the report.
        at_import: what an import of each side makes of the database.
    """

    stack: Stack
    databases: Databases
    template: str
    before: Build
    after: Build
    names: tuple[str, str]
    recipe: Recipe
    methods: list[str]
    rules: list[dict[str, Any]]
    cookies: list[list[str] | None]
    notes: list[str]
    at_import: list[Difference]

    def requests(self) -> list[Request]:
        """Return what is asked, and note the parameters that were guessed.

        Raises:
            CommandError: there is nothing to ask.
        """
        with closing(self.databases.connect(self.template)) as conn:
            keys = Keys(conn, self.recipe.keys)
            found = requests_of(self.rules, self.recipe, self.methods, keys)
        self.notes += [f"guessed {each}; give [keys] in the recipe" for each in sorted(keys.guessed)]
        if not found:
            raise CommandError("the app has no route for these methods; give [[routes]] in a recipe, or --methods")
        return found

    def report(self, repeats: int, bar: Callable[[float, float, str], None]) -> Report:
        """Ask everything and compare.

        Raises:
            CommandError: a side does not boot.
        """
        requests = self.requests()
        sides = [Side(self.stack, self.databases, self.template, build) for build in (self.before, self.after)]
        results = Run((sides[0], sides[1]), self.cookies, repeats, self.recipe.ignore, bar).results(requests)
        if not self.databases.counts_statements:
            self.notes.append("this server has no pg_stat_statements: statements are not counted")
        served = (_served(self.before), _served(self.after))
        return Report(*self.names, served, results, self.notes, self.at_import)


@contextmanager
def prepared(options: argparse.Namespace, recipe: Recipe, folder: Path, progress: Progress) -> Iterator[Ready]:
    """Prepare a verification.

    Args:
        options: the command's.
        recipe: what cannot be found out.
        folder: for the sides' files.
        progress: told what is done.

    Raises:
        CommandError: it cannot be run; with the reason.
    """
    names = _copies(options, recipe, folder)
    python = interpreter.choose(options.python, None, options.path, progress)
    builds = _builds(options, recipe, folder, python)
    with Stack(progress) as stack, Databases(stack, options.dsn) as databases:
        progress("making the template database")
        name, notes = template.build(
            databases, _wanted(options, recipe, folder / "before"),
            lambda database: _setup_environ(stack, databases, builds[0], database),
            lambda database: probe(stack, databases, database, builds[0]),
        )  # fmt: skip
        importing = Importing(stack, databases, name)
        probes = [importing.found(build) for build in (builds[0], builds[0], builds[1])]
        cookies = [_cookie(each, recipe) for each in probes[1:]]
        notes += _routes_noted(probes[1:])
        ready = Ready(stack, databases, name, builds[0], _served_by_itself(builds[1], builds[0]), names, recipe,
                      options.methods, probes[0]["rules"], cookies, notes, importing.differences())  # fmt: skip
        yield ready


class Importing:
    """Imports sides over copies of the template, and keeps what the database holds then."""

    def __init__(self, stack: Stack, databases: Databases, template: str) -> None:
        self._stack, self._databases, self._template = stack, databases, template
        self._contents: list[Contents] = []

    def found(self, build: Build) -> dict[str, Any]:
        """Return what is known of an imported side: the older one is asked twice, then the newer."""
        copy = self._databases.create("probe", self._template)
        answer = probe(self._stack, self._databases, copy, build)
        with closing(self._databases.connect(copy)) as conn:
            self._contents.append(contents_of(conn))
        self._databases.drop(copy)
        return answer

    def differences(self) -> list[Difference]:
        """Return what differs after the imports, without what varies on the older side."""
        first, second, newer = self._contents
        return [Difference(*each) for each in compared(second, newer, varying_between(first, second))]


def _copies(options: argparse.Namespace, recipe: Recipe, folder: Path) -> tuple[str, str]:
    before = code.copy_before(options.path, options.against, folder / "before")
    after = code.copy_after(options.path, folder / "after")
    code.copy_extra(options.path, recipe.copy, [folder / "before", folder / "after"])
    return before, after


def _builds(options: argparse.Namespace, recipe: Recipe, folder: Path, python: str) -> tuple[Build, Build]:
    variables = sorted({each for name in ("before", "after") for each in environment.variables_of(folder / name)})
    found = []
    for name, part, workers in (("before", recipe.before, options.before_workers),
                                ("after", recipe.after, options.workers)):  # fmt: skip
        app = _as_file(options.app or part.app or recipe.app or _target(folder / name), folder / name)
        found.append(Build(
            name, folder / name, app, python, interpreter.kit_path(python), workers,
            _environ(variables, recipe, part),
            "\n".join(filter(None, (recipe.before_import, part.before_import))),
            "\n".join(filter(None, (recipe.after_import, part.after_import))),
            session=recipe.session, login=login_of(recipe), time_limit=recipe.time_limit,
        ))  # fmt: skip
    return found[0], found[1]


def _environ(variables: list[str], recipe: Recipe, part: SideRecipe) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda parts: environment.environment_of(variables, parts, recipe, part)


def _target(folder: Path) -> str:
    target, candidate = find_target(Repository(folder))
    if candidate is None:
        raise CommandError("no Flask app was found; name it: --app module:app or --app 'package:create_app()'")
    return str(target.value)


def _as_file(target: str, folder: Path) -> str:
    """Return `main:app` as `main.py:app`: of files alone, calls that follow `app.run()` are left out."""
    module, colon, name = target.partition(":")
    return f"{module}.py{colon}{name}" if module.isidentifier() and (folder / f"{module}.py").is_file() else target


def _served_by_itself(after: Build, before: Build) -> Build:
    """Return the newer side, served by its own wsgi.py and gunicorn.conf.py where the older one has none."""
    environ = after.environ
    wsgi, config = after.folder / "wsgi.py", after.folder / "gunicorn.conf.py"
    if wsgi.is_file() and not (before.folder / "wsgi.py").exists():
        name = "application" if "application" in wsgi.read_text(encoding="utf-8", errors="replace") else "app"
        app = after.app
        after = replace(after, app=f"wsgi.py:{name}", environ=lambda parts: {"HARDEN_APP": app, **environ(parts)})
    return replace(after, config=config) if config.is_file() else after


def _wanted(options: argparse.Namespace, recipe: Recipe, before: Path) -> template.Wanted:
    def place(name: str) -> Path:
        return _place(name, before, options.path, options.recipe)

    schema = options.schema if options.schema or recipe.schema is None else list(map(place, recipe.schema))
    seeds = options.seed or list(map(place, recipe.seed))
    dump = options.dump or (place(recipe.dump) if recipe.dump else None)
    for file in (*(schema or ()), *seeds, *([dump] if dump else ())):
        if not file.is_file():
            raise CommandError(f"{file} does not exist; check --schema, --seed, --dump or the recipe")
    setup = options.setup or recipe.setup
    return template.Wanted(before, schema, dump, setup, seeds, recipe.seed_sql, options.rows)


def _place(name: str, before: Path, path: Path, recipe: Path | None) -> Path:
    """Return a recipe's file: in the older version, the repository, or beside the recipe."""
    places = [before / name, path / name, *([recipe.parent / name] if recipe else [])]
    return next((each for each in places if each.is_file()), path / name)


def _setup_environ(stack: Stack, databases: Databases, build: Build, database: str) -> dict[str, str]:
    environ = process_environ(stack, build, databases.parts(database), databases.dsn(database))
    folder = str(Path(build.python).parent)  # so that `python` and `flask` are those of the app
    return {**environ, "PATH": f"{folder}:{environ.get('PATH', '')}", "FLASK_APP": build.app}


def _cookie(found: dict[str, Any], recipe: Recipe) -> list[str] | None:
    if recipe.session and not found["cookie"]:
        raise CommandError(
            "the session of the recipe cannot be signed: the app has no secret key, or keeps its sessions "
            "elsewhere; use [[login]] instead"
        )
    cookie: list[str] | None = found["cookie"]
    return cookie


def _routes_noted(probes: list[dict[str, Any]]) -> list[str]:
    before, after = ({each["rule"] for each in found["rules"]} for found in probes)
    notes = []
    if after - before:
        notes.append(f"only after has {', '.join(sorted(after - before))}: not asked")
    if before - after:
        notes.append(f"only before has {', '.join(sorted(before - after))}")
    return notes


def _served(build: Build) -> str:
    count = f"{build.workers} worker{'s' if build.workers > 1 else ''}"
    return f"{build.app}, {count}"
