"""Methods of what is no class of the project: connections, cursors, pools, strings, lists, rows; and builtins.

The words for `Call.does` are given here and in outside.py: connect, pool, getconn, putconn, closeall, cursor,
execute, executemany, copy, fetch, commit, rollback, close, close_cursor, sleep, http.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from . import containers, facts, routes, text
from .values import (
    NOTHING,
    Bound,
    Builtin,
    ClassValue,
    Composed,
    Connection,
    Constant,
    Container,
    Cursor,
    Data,
    External,
    FunctionValue,
    Pool,
    Site,
    Text,
    Value,
    Values,
    constants,
    texts,
)

if TYPE_CHECKING:
    from .calling import Arguments, Calling, Outcome
    from .flow import Frame

SAME_TEXT = ("strip", "lstrip", "rstrip", "lower", "upper", "title", "capitalize", "encode", "decode",
             "casefold", "expandtabs",
             "removeprefix", "removesuffix", "swapcase")  # fmt: skip
TRUTHS = (
    "startswith",
    "endswith",
    "isdigit",
    "isalpha",
    "isalnum",
    "isnumeric",
    "isdecimal",
    "__contains__",
    "isupper",
)
ADDS = {"append": 0, "add": 0, "appendleft": 0, "insert": 1, "setdefault": 1}
LONGEST = 40  # elements of a list that is joined as it is written
SQL_NAMES = ("query", "sql", "operation", "statement", "vars_sql")


class Methods:
    """Evaluates method calls in one frame."""

    def __init__(self, frame: Frame, calling: Calling) -> None:
        self.frame = frame
        self.calling = calling

    def call(self, value: Bound, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
        """Call a method of something."""
        receiver = value.receiver
        if isinstance(receiver, Connection):
            self.connection(receiver, value.name, node, given, outcome)
        elif isinstance(receiver, Cursor):
            self.cursor(receiver, value.name, node, given, outcome)
        elif isinstance(receiver, Pool):
            self.pool(receiver, value.name, node, outcome)
        elif isinstance(receiver, Text):
            self._text(receiver, value.name, node, given, outcome)
        elif isinstance(receiver, Container):
            self._container(receiver, value.name, node, given, outcome)
        elif isinstance(receiver, Data):
            self._data(receiver, value.name, node, given, outcome)
        elif isinstance(receiver, Composed):
            holes = tuple(hole for values in given.everything() for each in texts(values) for hole in each.holes)
            inner = tuple(hole for hole in holes if value.name not in ("as_string", "decode"))
            nested = tuple(
                hole for values in given.everything() for each in self._composed(values) for hole in each.raw
            )
            raw = receiver.raw + inner + tuple(hole for hole in nested if hole not in receiver.raw)
            outcome.result.add(Composed(raw, self._composition(receiver, value.name, node, given)))
        elif isinstance(receiver, ClassValue) and value.name == "as_view":
            outcome.result.add(receiver)
        elif isinstance(receiver, FunctionValue) and value.name in ("delay", "apply_async", "submit", "queue"):
            self.calling.invoke(receiver, node, given, outcome)

    def _composition(self, receiver: Composed, name: str, node: ast.Call, given: Arguments) -> Text | None:
        """Return the statement that a method of psycopg2.sql makes; None when it is unknown, or may be several."""
        if receiver.text is None or name in ("as_string", "decode"):
            return receiver.text
        if name != "format":
            return None
        site = self.frame.site(node)
        placed = [text.open_parts(values) for values in given.plain]
        named = {key: text.open_parts(values) for key, values in given.named.items()}
        made = texts(text.formatted(receiver.text, placed, named, NOTHING, site))
        return made[0] if len(made) == 1 else None

    def _composed(self, values: Values) -> list[Composed]:
        """Return what of psycopg2.sql values are or hold."""
        inside = containers.elements(
            self.frame, frozenset(each for each in values if isinstance(each, Container)), None
        )
        return sorted((each for each in values | inside if isinstance(each, Composed)), key=repr)

    # The database

    def connection(self, value: Connection, name: str, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
        """Call a connection's method."""
        site = self.frame.site(node)
        if name == "cursor":
            outcome.does = "cursor"
            outcome.result.add(Cursor(site, value))
        elif name in ("commit", "rollback", "close"):
            outcome.does = name
        elif name in ("execute", "exec_driver_sql", "executemany", "executescript", "scalar", "scalars"):
            self._execute(
                Cursor(site, value), "executemany" if name == "executemany" else "execute", given, outcome
            )
            if name.startswith("scalar"):
                outcome.result.add(Data("row", "value" if name == "scalar" else "row", site))
        elif name in ("remove", "putconn"):
            outcome.does = "close"
        elif name in ("begin", "begin_nested", "transaction", "__enter__", "connection", "connect", "session"):
            outcome.result.add(value)
        elif name in ("query", "get"):
            outcome.result.add(External("sqlalchemy.orm.Query()"))

    def cursor(self, value: Cursor, name: str, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
        """Call a cursor's method."""
        site = self.frame.site(node)
        if name in ("execute", "executemany", "callproc", "executescript", "stream"):
            self._execute(value, "executemany" if name == "executemany" else "execute", given, outcome)
        elif name in facts.FETCHES or name in (
            "mappings",
            "scalars",
            "all",
            "first",
            "one",
            "one_or_none",
            "scalar",
            "scalar_one",
        ):
            outcome.does = "fetch"
            outcome.result.add(Data("row", facts.FETCHES.get(name, _shape(name)), site))
        elif name == "close":
            outcome.does = "close_cursor"
        elif name in ("copy_from", "copy_to", "copy_expert", "copy"):
            outcome.does = "copy"
            outcome.sql = given.get(0, "sql") if name == "copy_expert" else NOTHING
        elif name == "mogrify":
            holes = tuple(hole for each in texts(given.get(0, "query")) for hole in each.holes)
            outcome.result.add(Composed(holes))
        elif name in ("__enter__", "cursor"):
            outcome.result.add(value)

    def _execute(self, value: Cursor, does: str, given: Arguments, outcome: Outcome) -> None:
        outcome.does = does
        outcome.sql = given.get(0, *SQL_NAMES)
        outcome.result.add(value)

    def pool(self, value: Pool, name: str, node: ast.Call, outcome: Outcome) -> None:
        """Call a pool's method."""
        site = self.frame.site(node)
        driver = facts.POOLS.get(value.type, "psycopg2")
        if name in ("getconn", "connection", "get_connection", "acquire", "connect", "get_conn"):
            outcome.does = "getconn"
            outcome.result.add(Connection(site, value.type, driver))
        elif name in ("putconn", "release", "put_connection"):
            outcome.does = "putconn"
        elif name in ("closeall", "close", "close_all"):
            outcome.does = "closeall"

    def by_name(self, node: ast.Call, receiver: Values, given: Arguments, outcome: Outcome) -> None:
        """Say what a method does on something of which nothing is known; where its name leaves little doubt."""
        assert isinstance(node.func, ast.Attribute)
        name, owner = node.func.attr, _last_name(node.func.value)
        if any(isinstance(value, (Text, Container, Composed, Builtin, Constant)) for value in receiver):
            return
        if any(isinstance(value, Data) and value.source != "parameter" for value in receiver):
            return
        is_database = bool(facts.CURSOR_NAMES.search(owner))
        cursor = Cursor(self.frame.site(node))
        if name in facts.STATEMENT_NAMES and node.args and (is_database or _is_sql(given.get(0))):
            self._execute(cursor, name, given, outcome)
        elif name in facts.FETCHES:
            self.cursor(cursor, name, node, given, outcome)
        elif name == "cursor":
            self.connection(Connection(cursor.site, driver=""), name, node, given, outcome)
        elif name in ("commit", "rollback") and is_database:
            outcome.does = name
        elif name == "close" and is_database:
            outcome.does = "close_cursor" if "cur" in owner.lower() else "close"
        elif name in ("getconn", "putconn"):
            self.pool(Pool(cursor.site, ""), name, node, outcome)

    # Strings, lists, rows

    def _text(self, value: Text, name: str, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
        site = self.frame.site(node)
        if name == "format":
            spread = NOTHING.union(*[given.plain[index] for index in given.starred], given.spread)
            named = {**containers.by_name(self.frame, given.spread), **given.named}
            outcome.add(text.formatted(value, given.plain, named, spread, site))
        elif name == "format_map":
            outcome.add(text.formatted(value, [], {}, containers.elements(self.frame, given.get(0), node), site))
        elif name == "join":
            outcome.add(self._join(value, given.get(0), node))
        elif name in SAME_TEXT:
            outcome.result.add(value)
        elif name in ("replace", "center", "ljust", "zfill"):
            outcome.add(self._replaced(value, given) if name == "replace" else frozenset([value]))
        elif name in ("split", "splitlines", "rsplit", "partition"):
            outcome.add(self._split(value, given, node))
        elif name in ("substitute", "safe_substitute"):  # of string.Template, which is taken for its text
            filled = NOTHING.union(*given.everything())
            outcome.result.add(Text((*value.pieces, text.hole(filled, site)), value.site))
        elif name in TRUTHS:
            outcome.add(frozenset([Constant(True), Constant(False)]))

    def _replaced(self, value: Text, given: Arguments) -> Values:
        old, new = (
            sorted(each for each in constants(given.get(index)) if isinstance(each, str)) for index in (0, 1)
        )
        if value.constant is not None and len(old) == 1 and len(new) == 1:
            return frozenset([text.text(value.constant.replace(old[0], new[0]), value.site)])
        others = [each for values in given.plain[1:] for each in texts(values)]
        unknown = any(not isinstance(each, Text) for values in given.plain[1:2] for each in values) or (
            len(given.plain) > 1 and not given.plain[1]
        )
        holes = tuple(hole for each in others for hole in each.holes)
        if unknown:
            holes += (text.hole(given.plain[1], value.site or _nowhere()),)
        return frozenset([Text(value.pieces + holes, value.site)])

    def _split(self, value: Text, given: Arguments, node: ast.Call) -> Values:
        if value.constant is None:
            return containers.made(self.frame, node, "list", frozenset([value]))
        separators = [each for each in constants(given.get(0)) if isinstance(each, str) and each]
        parts = value.constant.split(separators[0] if separators else None)[:50]
        return containers.made(self.frame, node, "list", frozenset(text.text(part, value.site) for part in parts))

    def _join(self, separator: Text, values: Values, node: ast.Call) -> Values:
        """Return `separator.join(values)`: the elements twice, so that the text can still be parsed."""
        site = self.frame.site(node)
        fixed = self._in_order(values)
        if fixed:
            turns = [[separator] if odd else text.as_text(each, site) for each in fixed for odd in (True, False)][
                1:
            ]
            return text.joined(turns, site)
        inside = containers.elements(self.frame, values, node)
        if not inside and any(isinstance(value, Container) for value in values):
            inside = frozenset([Constant(None)]) if not self._is_built(values) else inside
        parts = text.as_text(inside, site)
        if any(isinstance(value, Text) and value.holes for value in inside) or len(parts) == 1:
            return (
                text.joined([parts, [separator], parts], site) if len(parts) == 1 else text.joined([parts], site)
            )
        return text.joined(
            [[each] if index % 2 == 0 else [separator] for index, each in _alternating(parts, separator)], site
        )

    def _in_order(self, values: Values) -> list[Values]:
        """Return the elements of a list that was written out and that is never added to; [] for any other."""
        (only,) = values if len(values) == 1 else (None,)
        if not isinstance(only, Container) or self.frame.heap.knows(("in", only, "unkeyed")):
            return []
        found: list[Values] = []
        while len(found) < LONGEST and self.frame.heap.knows(("in", only, len(found))):
            found.append(containers.read(self.frame, only, len(found)))
        return found if len(found) < LONGEST else []

    def _is_built(self, values: Values) -> bool:
        return any(
            isinstance(value, Container) and self.frame.heap.knows(("in", value, containers.ANY))
            for value in values
        )

    def _container(self, value: Container, name: str, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
        if name in ADDS:
            index = ADDS[name]
            where = containers.key(given.get(0)) if name == "setdefault" else containers.ANY
            containers.put_keys(self.frame, value, given.get(0) if name == "setdefault" else NOTHING)
            containers.put(self.frame, value, given.get(index) or NOTHING, where)
        elif name in ("extend", "update", "extendleft", "union"):
            for each in given.plain:
                self._extend(value, each, node)
            for key, values in given.named.items():
                containers.put(self.frame, value, values, key)
        if name in ("get", "pop", "setdefault", "popleft"):
            where = containers.key(given.get(0)) if given.plain and value.type == "dict" else containers.ANY
            outcome.add(containers.read(self.frame, value, where) | given.get(1))
        elif name == "items":
            pair = containers.made(self.frame, node, "tuple", NOTHING)
            for both in pair:
                self.frame.heap.add(("in", both, 1), containers.read(self.frame, value, containers.ANY))
                self.frame.heap.add(("in", both, 0), containers.keys(self.frame, value))
            outcome.add(self._derived(node, "items", pair, value))
        elif name == "values":
            outcome.add(self._derived(node, "values", containers.read(self.frame, value, containers.ANY), value))
        elif name == "copy":
            outcome.add(containers.copied(self.frame, node, value))
        elif name in ("union", "intersection", "difference", "most_common", "get_json"):
            outcome.result.add(value)
        elif name == "keys":
            outcome.add(self._derived(node, "keys", containers.keys(self.frame, value), value))
        elif name == "__getitem__":
            outcome.add(containers.read(self.frame, value, containers.ANY))

    def _extend(self, value: Container, more: Values, node: ast.Call) -> None:
        """Put the elements of others into a list, or the items of a dict into a dict."""
        if value.type != "dict":
            containers.put(self.frame, value, containers.elements(self.frame, more, node))
            return
        containers.put_keys(self.frame, value, containers.elements(self.frame, more, node))
        for each in more:
            inside = containers.read(self.frame, each, containers.ANY) if isinstance(each, Container) else (
                containers.elements(self.frame, frozenset([each]), node)
            )  # fmt: skip
            containers.put(self.frame, value, inside)

    def _derived(self, node: ast.AST, type: str, inside: Values, source: Container) -> Values:
        found = containers.made(self.frame, node, type, inside)
        for each in found:
            behind = containers.turned(self.frame, frozenset([source]))
            self.frame.heap.add(("in", each, containers.BEHIND), behind)
        return found

    def _data(self, value: Data, name: str, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
        site = value.site
        if name in TRUTHS:
            outcome.add(frozenset([Constant(True), Constant(False)]))
        elif name in ("get", "pop", "setdefault", "fetchone"):
            if routes.is_number(given.named.get("type", NOTHING)):
                outcome.result.add(Data(value.source, "number", site))
            else:
                outcome.result.add(Data(value.source, containers.NEXT[value.shape], site))
            outcome.add(given.get(1, "default"))
        elif name in ("getlist", "split", "splitlines", "json", "get_json", "rsplit", "findall"):
            outcome.result.add(Data(value.source, "row", site))
        elif name in (
            "items",
            "values",
            "keys",
            "copy",
            "to_dict",
            "_asdict",
            "fetchall",
            "iterrows",
            "itertuples",
            "all",
        ):
            outcome.result.add(value)
        elif name in ("append", "add", "extend", "execute", "cursor", "commit"):
            return
        else:
            outcome.result.add(Data(value.source, "value" if value.shape != "number" else "number", site))


def _shape(name: str) -> str:
    return {"first": "row", "one": "row", "one_or_none": "row", "scalar": "value", "scalar_one": "value"}.get(
        name, "rows"
    )


def _last_name(node: ast.expr) -> str:
    while isinstance(node, (ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_sql(values: Values) -> bool:
    return any(facts.SQL_START.match(each.with_holes("x")) for each in texts(values))


def _alternating(parts: list[Text], separator: Text) -> list[tuple[int, Text]]:
    found: list[tuple[int, Text]] = []
    for part in parts:
        if found:
            found.append((1, separator))
        found.append((0, part))
    return found


def _nowhere() -> Site:
    return Site("", 0, 0)


__all__ = ["Methods", "Value"]
