"""Finds secrets in the files beside the code: `.env`, compose files, settings, keys.

A `.env` that is in git is one finding, whatever its values are worth. In other files only values count that are
nobody's default: `POSTGRES_PASSWORD: postgres` of a compose file opens nothing that matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..evidence.purpose import is_document, is_for_development, is_sample
from ..finding import Place
from . import dsn_text, secret_shapes, secret_words

_ENV_FILE = re.compile(r"(^|/)(\.env[\w.-]*|[\w.-]*\.env|\.flaskenv)$")
_SETTINGS = re.compile(
    r"\.(ini|cfg|toml|properties|conf|service|ya?ml|sh)$|(^|/)(Dockerfile[^/]*|Procfile|Makefile)$"
    r"|(config|settings|secret|credential|database|db|env|app)[\w.-]*\.json$",
    re.IGNORECASE,
)
_DATA = re.compile(r"\.(json|txt|sh|xml)$", re.IGNORECASE)
_LOCKS = re.compile(r"(lock|package)[\w.-]*\.(json|ya?ml|toml)$|(^|/)(swagger|openapi|locales?|i18n|lang)", re.I)
_PAIR = re.compile(r"""(?P<key>[A-Za-z_][\w.-]*)["']?\s*(?:=|:(?!//))\s*["']?(?P<value>[^\s"',;#]+)""")
LARGEST = 200_000  # characters; a longer file is data


class FileSecret(NamedTuple):
    """A secret in a file; `what` is for people and never the value."""

    place: Place
    what: str
    is_remote: bool = False
    more: tuple[Place, ...] = ()


def secrets(path: str, content: str) -> Iterator[FileSecret]:
    """Yield the secrets of a file that is no Python."""
    if is_sample(path) or is_document(path) or _LOCKS.search(path) or len(content) > LARGEST:
        return
    if _ENV_FILE.search(path):
        yield from _env(path, content)
    elif _SETTINGS.search(path) or _DATA.search(path):
        yield from _lines(path, content)


def _env(path: str, content: str) -> Iterator[FileSecret]:
    """Yield one finding for all the secrets of a `.env` file."""
    if is_for_development(path):
        return
    found, names, remote = [], [], False
    for number, line in enumerate(content.splitlines(), 1):
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        value = value.strip().strip("\"'")
        login = dsn_text.login(value)
        if not equals or name.startswith("#") or not (login or _is_secret(name.strip(), value)):
            continue
        found.append(Place(path, number))
        names.append(name.strip())
        remote = remote or bool(login and login.is_remote)
    if found:
        whole = Place(path, found[0].line, 1, found[-1].line)
        yield FileSecret(whole, f"{', '.join(names)} in a {path.rpartition('/')[2]} that is in git", remote)


def _is_secret(name: str, value: str) -> bool:
    is_set = secret_words.is_password(value) and not re.match(r"change[-_ ]?(me|this|it)", value, re.IGNORECASE)
    return is_set and bool(secret_words.kind(name))


def _lines(path: str, content: str) -> Iterator[FileSecret]:
    """Yield each line that holds a secret which is nobody's default."""
    by_name = bool(_SETTINGS.search(path)) and not is_for_development(path)
    for number, line in enumerate(content.splitlines(), 1):
        if len(line) > 20_000 or line.lstrip().startswith(("#", ";", "//")):
            continue
        place = Place(path, number)
        login = dsn_text.in_url(line)
        shape = secret_shapes.shape(line)
        if shape:
            yield FileSecret(place, shape)
        elif login and _is_chosen(login) and (login.is_remote or not _is_of_no_worth(path)):
            where = login.host or "a database"
            yield FileSecret(place, f"the password of {login.scheme} at {where}", login.is_remote)
        elif by_name:
            yield from _named(place, line)


def _is_of_no_worth(path: str) -> bool:
    """Whether a log-in to one's own machine opens nothing here: notes show how, and developers have their own."""
    return path.lower().endswith(".txt") or is_for_development(path)


def _is_chosen(login: dsn_text.Login) -> bool:
    """Whether a login is more than a development database's default."""
    if secret_words.is_example(login.password) or "example" in login.host:
        return False
    return login.is_remote or secret_words.is_real(login.password)


def _named(place: Place, line: str) -> Iterator[FileSecret]:
    for match in _PAIR.finditer(line):
        is_made = re.search(r"[`()\\\\$<>{}]", match["value"])  # by a command, when the file is used
        if not is_made and secret_words.kind(match["key"]) and secret_words.is_real(match["value"]):
            yield FileSecret(place, f"the value of {match['key']}")
            return
