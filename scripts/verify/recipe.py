"""The recipe: what cannot be found out about an app, in TOML: environment, data, session, requests, ignores.

Knows no servers. A key that nobody reads is an error: a misspelled `ignore` would otherwise hide nothing.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ..errors import CommandError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Part = TypeVar("Part")


@dataclass(frozen=True)
class Entry:
    """One request that is made, of `[[routes]]` or `[[login]]`."""

    path: str
    method: str = "GET"
    form: dict[str, Any] = field(default_factory=dict)
    json: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ignore:
    """What is left out of the comparison, and why.

    Attributes:
        reason: for whoever reads the report; required.
        route: a shell pattern over the path; all paths by default.
        pattern: a regular expression over the body.
        json: a path into a JSON body: a.b.*.c
        header: a header's name.
        column: a column of the database as table.column.
    """

    reason: str
    route: str = "*"
    pattern: str = ""
    json: str = ""
    header: str = ""
    column: str = ""


@dataclass(frozen=True)
class SideRecipe:
    """What one side alone needs."""

    app: str = ""
    env: dict[str, str] = field(default_factory=dict)
    before_import: str = ""
    after_import: str = ""


@dataclass(frozen=True)
class Recipe:
    """A whole recipe; docs/verify.md explains each key."""

    app: str = ""
    env: dict[str, str] = field(default_factory=dict)
    schema: list[str] | None = None
    dump: str = ""
    setup: str = ""
    seed: list[str] = field(default_factory=list)
    seed_sql: str = ""
    copy: list[str] = field(default_factory=list)
    session: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    time_limit: float = 10.0
    discover: bool = True
    before_import: str = ""
    after_import: str = ""
    keys: dict[str, Any] = field(default_factory=dict)
    before: SideRecipe = field(default_factory=SideRecipe)
    after: SideRecipe = field(default_factory=SideRecipe)
    login: list[Entry] = field(default_factory=list)
    routes: list[Entry] = field(default_factory=list)
    ignore: list[Ignore] = field(default_factory=list)


def read(file: Path) -> Recipe:
    """Read a recipe.

    Raises:
        CommandError: it cannot be read, is no TOML, or has keys or types that mean nothing.
    """
    try:
        return parse(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise CommandError(f"cannot read {file} ({error.strerror}); check --recipe") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} is no TOML: {error}") from None
    except ValueError as error:
        raise CommandError(f"{file}: {error}") from None


def parse(document: dict[str, Any]) -> Recipe:
    """Return the recipe of a parsed document.

    Raises:
        ValueError: a key or a type means nothing; with its name.
    """
    given = dict(document)
    for name, kind in (("login", Entry), ("routes", Entry), ("ignore", Ignore)):
        if name in given:
            given[name] = [_part(kind, each, f"[[{name}]]") for each in _checked(given[name], list, name)]
    for name in ("before", "after"):
        if name in given:
            given[name] = _part(SideRecipe, given[name], f"[{name}]")
    recipe = _part(Recipe, given, "the recipe")
    for each in recipe.ignore:
        try:
            re.compile(each.pattern)
        except re.error as error:
            raise ValueError(f"the pattern {each.pattern!r} of [[ignore]] cannot be used: {error}") from None
    return recipe


def _part(kind: type[Part], given: Any, where: str) -> Part:
    if not isinstance(given, dict):
        raise ValueError(f"{where} is no table")
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"{where} has no key {unknown[0]!r}; it has {', '.join(known)}")
    for name, value in given.items():
        _checked(value, _type_of(str(known[name].type)), name)
    try:
        return kind(**given)
    except TypeError as error:
        raise ValueError(f"{where}: {error}".replace("__init__() ", "")) from None


def _type_of(hint: str) -> type | tuple[type, ...]:
    by_hint: dict[str, type | tuple[type, ...]] = {"str": str, "bool": bool, "float": (int, float)}
    return by_hint.get(hint) or (dict if hint.startswith("dict") else list if hint.startswith("list") else object)


def _checked(value: Any, kind: type | tuple[type, ...], name: str) -> Any:
    if not isinstance(value, kind):
        wanted = kind.__name__ if isinstance(kind, type) else "number"
        raise ValueError(f"{name} is {type(value).__name__}, not {wanted}")
    return value
