"""What a side's processes get in their environment: the copy's place under every name that the code reads.

The redirect inside the process is what makes sure; the variables are for code that fails without them, or shows
them.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from psycopg2.extensions import make_dsn

from ..init.database import NAMED
from ..init.repository import Repository
from ..init.variables import read_variables
from .recipe import Recipe, SideRecipe

URL_NAME = re.compile(r"(?:^|_)(?:DATABASE|DB|POSTGRES|POSTGRESQL|PG|SQLALCHEMY)_?(?:DATABASE_)?(?:URL|URI|DSN)$")
# Wider than what `harden init` takes for sure: here a name too many does no harm.
PREFIX = r"(?:^|_)(?:PSQL|PG|POSTGRES|POSTGRESQL|DB|DATABASE|SQL|RDS)_?"
PART_NAMES = {
    "password": re.compile(rf"{PREFIX}(?:PASSWORD|PASSWD|PASS|PWD)$"),
    "host": re.compile(rf"{PREFIX}(?:HOST|HOST_?NAME|SERVER|ADDRESS)$"),
    "port": re.compile(rf"{PREFIX}PORT$"),
    "user": re.compile(rf"{PREFIX}(?:USER|USER_?NAME|LOGIN)$"),
    "dbname": re.compile(rf"{PREFIX}(?:NAME|DB|DB_?NAME|DATABASE|DATABASE_?NAME)$"),
}
SECRET_NAME = re.compile(r"SECRET|SALT")
PARTS = {"name": "dbname", "role": "user", "host": "host", "port": "port"}
# The same in every process, run and side, so that what is derived from it stays the same; it guards nothing.
SECRET = "harden-verify-guards-nothing-0123456789"


def variables_of(folder: Path) -> list[str]:
    """Return the environment variables that an app's code reads without a default."""
    return [read.name for read in read_variables(Repository(folder).sources)]


def environment_of(names: list[str], parts: dict[str, str], recipe: Recipe, side: SideRecipe) -> dict[str, str]:
    """Return the variables of one side.

    Args:
        names: what the code reads.
        parts: where its copy is.
        recipe, side: its `env`, which wins; {url}, {dsn}, {host}, {port}, {dbname}, {user} and {password} are
            filled in.
    """
    dsn = str(make_dsn(**{key: value for key, value in parts.items() if value}))
    places = {**parts, "url": _url(parts), "dsn": dsn}
    found = {"DATABASE_URL": places["url"], "SECRET_KEY": SECRET}
    for name in names:
        value = _value(name, places)
        if value is not None:
            found[name] = value
    for name, template in {**recipe.env, **side.env}.items():
        found[name] = re.sub(r"\{(\w+)\}", lambda match: places.get(match[1], match[0]), template)
    return found


def _value(name: str, places: dict[str, str]) -> str | None:
    if URL_NAME.search(name):
        return places["url"]
    for part, pattern in PART_NAMES.items():
        if pattern.search(name):
            return places[part]
    for part, known in NAMED.items():
        if any(name == each or name.endswith(f"_{each}") for each in known):
            return places[PARTS[part]]
    return SECRET if SECRET_NAME.search(name) else None


def _url(parts: dict[str, str]) -> str:
    login = f"{quote(parts['user'], safe='')}:{quote(parts['password'], safe='')}"
    return f"postgresql://{login}@{parts['host']}:{parts['port']}/{parts['dbname']}"
