"""What an expression can be, as far as the audit cares: the values that the interpreter moves about.

Each expression has a set of them, for each name, attribute, parameter and return value as well. An empty set says
that nothing is known. Values are compared and hashed all the time, so they are small and frozen.

A rule asks for them by class: `any(isinstance(value, Connection) for value in call.receiver)`, or with the
functions at the end of this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .code import Class, Function, Module


class Site(NamedTuple):
    """Where a value was made."""

    path: str
    line: int
    col: int


@dataclass(frozen=True, slots=True)
class Hole:
    """A part of a text that is no constant.

    Attributes:
        site: The expression that fills it.
        sources: Where its values come from: the `Data.source`s, "constant", "environment", "generated" (times,
            random numbers), "unknown", and "unseen" beside that when nothing at all is known; sorted.
        is_number: Whether it went through `int()` or the like, so that it cannot hold SQL.
    """

    site: Site
    sources: tuple[str, ...]
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A string that the code makes: constants and holes in order; `site` is where it begins to be made."""

    pieces: tuple[str | Hole, ...]
    site: Site | None = None

    @property
    def holes(self) -> tuple[Hole, ...]:
        """The parts that are no constants."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Hole))

    @property
    def constant(self) -> str | None:
        """The string, when there is no hole."""
        return None if self.holes else "".join(piece for piece in self.pieces if isinstance(piece, str))

    def with_holes(self, mark: str) -> str:
        """Return the text with `mark` for each hole."""
        return "".join(piece if isinstance(piece, str) else mark for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant that is no string: a number, a bool, None, bytes."""

    value: object


@dataclass(frozen=True, slots=True)
class External:
    """Something that is not of this project, by its dotted path.

    `psycopg2.connect` is the function, `flask.Flask()` what a call returns, `flask.Flask().config` an attribute of
    that, `os.environ[]` an element of it.
    """

    path: str
    site: Site | None = None


@dataclass(frozen=True, slots=True)
class Builtin:
    """A builtin function or a method of a builtin type, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class FunctionValue:
    """A function of the project.

    Attributes:
        receiver: What it is bound to, if it is a method.
        is_wrapped: Whether this is how a decorator sees it, so that a call comes from its own wrapper.
    """

    function: Function
    receiver: Instance | ClassValue | None = None
    is_wrapped: bool = False


@dataclass(frozen=True, slots=True)
class ClassValue:
    """A class of the project."""

    cls: Class


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a class of the project."""

    cls: Class


@dataclass(frozen=True, slots=True)
class ModuleValue:
    """A module of the project."""

    module: Module


@dataclass(frozen=True, slots=True)
class Container:
    """A list, tuple, set, dict or generator that the code makes at a site; what is in it is kept apart."""

    site: Site
    type: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A method of something that is no project class: `cursor.execute` before it is called."""

    receiver: Value
    name: str


@dataclass(frozen=True, slots=True)
class Connection:
    """A database connection.

    Attributes:
        pool: "" for a plain connect; the pool's class when it comes out of one.
        driver: "psycopg2", "psycopg", "sqlite3", "sqlalchemy", ...; "" when only its use tells what it is.
    """

    site: Site
    pool: str = ""
    driver: str = "psycopg2"


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cursor, and its connection where that is known."""

    site: Site
    connection: Connection | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """A connection pool, by the library's class."""

    site: Site
    type: str


@dataclass(frozen=True, slots=True)
class Composed:
    """An object of psycopg2.sql: whatever goes into it is quoted.

    Attributes:
        raw: What is put into it as SQL all the same.
        text: The statement, where it is known, with a hole for each value that is put in.
    """

    raw: tuple[Hole, ...] = ()
    text: Text | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """What comes from outside the code.

    Attributes:
        source: "request" (the client sends it), "row" (a query returned it), "session" (signed by the app),
            "file", "environment", "remote" (an HTTP answer), "parameter" (of a function that nobody here calls).
        shape: "rows", "row" or "value"; "number" for what went through `int()`, `len()` and the like.
        site: What brought it: the fetch, the access to the request.
    """

    source: str
    shape: str
    site: Site


Value = (
    Text | Constant | External | Builtin | FunctionValue | ClassValue | Instance | ModuleValue | Container | Bound
    | Connection | Cursor | Pool | Composed | Data
)  # fmt: skip
Values = frozenset[Value]
NOTHING: Values = frozenset()


def texts(values: Iterable[Value]) -> list[Text]:
    """Return the strings among values, in a stable order."""
    return sorted((value for value in values if isinstance(value, Text)), key=lambda text: text.with_holes("\0"))


def statements(values: Iterable[Value]) -> list[Text]:
    """Return the strings among values, those of psycopg2.sql included, in a stable order."""
    composed = (value.text for value in values if isinstance(value, Composed) and value.text is not None)
    return texts([*values, *composed])


def constants(values: Iterable[Value]) -> Iterator[object]:
    """Yield the Python constants among values, strings without holes included."""
    for value in values:
        if isinstance(value, Constant):
            yield value.value
        elif isinstance(value, Text) and value.constant is not None:
            yield value.constant


def paths(values: Iterable[Value]) -> set[str]:
    """Return the dotted paths of what is not of the project."""
    return {value.path for value in values if isinstance(value, External)}


def data(values: Iterable[Value], source: str = "") -> list[Data]:
    """Return what comes from outside, of one source or of any, in a stable order."""
    found = [value for value in values if isinstance(value, Data) and source in ("", value.source)]
    return sorted(found, key=lambda each: (each.site, each.source, each.shape))
