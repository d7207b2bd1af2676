"""Which database the app speaks to: what `psycopg2.connect` is given, followed to constants and variables.

Keeps names, roles, hosts and ports. A password is seen only as a yes or no, with its place.
"""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import psycopg2
from psycopg2.extensions import parse_dsn

from .pieces import pieces_of
from .repository import Repository, Source, called
from .variables import Variable, read_of, set_variables

KEYS = {
    "dbname": "name", "database": "name", "db": "name", "user": "role", "username": "role", "host": "host",
    "hostname": "host", "port": "port", "password": "password", "passwd": "password",
}  # fmt: skip
# By what an app's variables are called, the most usual first; after a prefix such as MYAPP_ too.
NAMED = {
    "name": ("POSTGRES_DB", "PGDATABASE", "DB_NAME", "DB_DATABASE", "DATABASE_NAME", "DBNAME", "DB",
             "POSTGRES_NAME", "POSTGRES_DATABASE"),
    "role": ("POSTGRES_USER", "PGUSER", "DB_USER", "DB_USERNAME", "DATABASE_USER", "DBUSER", "DATABASE_USERNAME"),
    "host": ("POSTGRES_HOST", "PGHOST", "DB_HOST", "DATABASE_HOST", "DBHOST", "DB_HOSTNAME"),
    "port": ("POSTGRES_PORT", "PGPORT", "DB_PORT", "DATABASE_PORT", "DBPORT"),
}  # fmt: skip
URL = re.compile(r"postgres(?:ql)?(?:\+\w+)?://\S+")
CONNECTS = ("connect", "SimpleConnectionPool", "ThreadedConnectionPool", "PersistentConnectionPool")
DEEPEST = 6  # steps from a name to its value


@dataclass
class Connection:
    """What is known of the app's connection: name, role, host and port with their places."""

    parts: dict[str, tuple[str, str]] = field(default_factory=dict)
    passwords: list[str] = field(default_factory=list)

    def add(self, part: str, value: str, place: str) -> None:
        """Keep what is known first; of a password, where it stands."""
        if part == "password":
            if value and not re.search(r"[{}<>%$]", value) and place not in self.passwords:
                self.passwords.append(place)
        elif value and not re.search(r"[{}<>%$]", value):  # of a template
            self.parts.setdefault(part, (value, place))

    def add_dsn(self, text: str, place: str) -> None:
        """Take a URL or a DSN apart."""
        for part, value in _dsn_parts(text).items():
            self.add(part, value, place)


def find_connection(repository: Repository, folder: str = "") -> Connection:
    """Return what the code below a folder, the .env files and the compose files say, the code first."""
    variables = set_variables(repository)
    connection = Connection()
    sources = repository.sources_below(folder)
    values = Values(sources, variables)
    for source, call in _connects(sources):
        _from_call(values, source, call, connection)
    _from_variables(connection, variables)
    for source in sources:
        for node in source.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and URL.match(node.value):
                connection.add_dsn(node.value, source.at(node))
    _from_ini(repository, connection)
    return connection


class Values:
    """Follows an expression to a text: constants, names assigned once, variables of the environment."""

    def __init__(self, sources: list[Source], variables: dict[str, Variable]) -> None:
        self._variables = variables
        self._assigned: dict[str, list[tuple[Source, ast.expr]]] = {}
        for source in sources:
            for node in source.nodes:
                if isinstance(node, ast.Assign):
                    for name in filter(None, map(_last_name, node.targets)):
                        self._assigned.setdefault(name, []).append((source, node.value))

    def text(self, source: Source, node: ast.expr, depth: int = 0) -> tuple[str, str] | None:
        """Return the text and its place; None where it cannot be told."""
        if isinstance(node, ast.Constant):
            return (str(node.value), source.at(node)) if isinstance(node.value, (str, int)) else None
        read = read_of(node)
        if read is not None:
            return self._variable(source, node, *read)
        if isinstance(node, ast.BoolOp):  # os.getenv("X") or "y"
            return next(filter(None, (self.text(source, value, depth + 1) for value in node.values)), None)
        if isinstance(node, ast.Call) and called(node) in ("int", "str") and node.args:
            return self.text(source, node.args[0], depth + 1)
        pieces = pieces_of(node)
        if pieces:
            return self._joined(source, node, pieces, depth)
        for home, value in self.assigned(source, node) if depth < DEEPEST else ():
            found = self.text(home, value, depth + 1)
            if found is not None:
                return found
        return None

    def assigned(self, source: Source, node: ast.expr) -> list[tuple[Source, ast.expr]]:
        """Return what is assigned to a name, an attribute or a dictionary's key, this file's first."""
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            tables = [(home, self.entries(home, value)) for home, value in self.assigned(source, node.value)]
            key = str(node.slice.value)
            return [(home, table[key]) for home, table in tables if key in table]
        return sorted(self._assigned.get(_last_name(node), []), key=lambda found: found[0].path != source.path)

    def entries(self, source: Source, node: ast.expr) -> dict[str, ast.expr]:
        """Return a dictionary's entries: {...}, dict(...), or a name of one."""
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            return {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}
        if called(node) == "dict" and isinstance(node, ast.Call):
            return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        return {}

    def _joined(
        self, source: Source, node: ast.expr, pieces: list[ast.expr], depth: int
    ) -> tuple[str, str] | None:
        if depth >= DEEPEST:
            return None
        found = [self.text(source, piece, depth + 1) for piece in pieces]
        # What cannot be told stands empty: of "dbname=X user=?" the name is known.
        return "".join(text[0] if text else "" for text in found), source.at(node)

    def _variable(
        self, source: Source, node: ast.expr, name: str, default: ast.expr | None
    ) -> tuple[str, str] | None:
        if name in self._variables and self._variables[name].value:
            return self._variables[name].value, self._variables[name].place
        if isinstance(default, ast.Constant) and isinstance(default.value, (str, int)):
            return str(default.value), source.at(node)
        return None


def _last_name(node: ast.expr) -> str:
    """Return c of a.b.c; "" for what has no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _connects(sources: list[Source]) -> Iterator[tuple[Source, ast.Call]]:
    for source in sources:
        if "psycopg2" in {name for node in source.nodes for name in _imports(node)}:
            for node in source.nodes:
                if isinstance(node, ast.Call) and called(node) in CONNECTS:
                    yield source, node


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield (node.module or "").partition(".")[0]


def _from_call(values: Values, source: Source, call: ast.Call, connection: Connection) -> None:
    for argument in call.args:
        if (found := values.text(source, argument)) is not None:
            connection.add_dsn(*found)
    for keyword in call.keywords:
        if keyword.arg == "dsn" and (found := values.text(source, keyword.value)):
            connection.add_dsn(*found)
        elif keyword.arg in KEYS:
            _add(values, source, KEYS[keyword.arg], keyword.value, connection)
        elif keyword.arg is None:
            tables = [(source, keyword.value), *values.assigned(source, keyword.value)]
            for home, table in tables:
                for key, value in values.entries(home, table).items():
                    if key in KEYS:
                        _add(values, home, KEYS[key], value, connection)


def _add(values: Values, source: Source, part: str, node: ast.expr, connection: Connection) -> None:
    # A password that comes from a variable is right; one in the code is to be told, and goes no further.
    found = values.text(source, node)
    if found is not None and (part != "password" or found[1].rpartition(":")[0].endswith(".py")):
        connection.add(part, *found)


def _from_variables(connection: Connection, variables: dict[str, Variable]) -> None:
    for name in ("DATABASE_URL", "DB_URL", "POSTGRES_URL", "SQLALCHEMY_DATABASE_URI", "DATABASE_URI", "DB_URI"):
        if name in variables:
            connection.add_dsn(variables[name].value, variables[name].place)
    for part, names in NAMED.items():
        for name in names:
            for known, variable in variables.items():
                if known == name or (known.endswith(f"_{name}") and len(name) > 2):
                    connection.add(part, variable.value, variable.place)


def _from_ini(repository: Repository, connection: Connection) -> None:
    for path in repository.named("*.ini", "*.cfg"):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(repository.read(path))
        except configparser.Error:
            continue
        for section in {"postgresql", "postgres", "database"} & {name.lower() for name in parser.sections()}:
            for key, value in parser[next(name for name in parser.sections() if name.lower() == section)].items():
                if key in KEYS:
                    connection.add(KEYS[key], value, path)


def _dsn_parts(text: str) -> dict[str, str]:
    if URL.match(text):
        return _url_parts(text)
    try:
        return {KEYS[key]: str(value) for key, value in parse_dsn(text).items() if key in KEYS}
    except psycopg2.Error:
        return {}


def _url_parts(text: str) -> dict[str, str]:
    try:
        url = urlsplit(text)
        port = str(url.port or "")
    except ValueError:
        return {}
    parts = {"name": url.path.lstrip("/"), "role": url.username or "", "host": url.hostname or "", "port": port,
             "password": url.password or ""}  # fmt: skip
    return {key: unquote(value) for key, value in parts.items() if value}
