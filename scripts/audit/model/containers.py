"""Lists, dicts, tuples and rows: what is in them, by key or by turn.

A container's elements lie in the heap under its site: by constant key where the code gives one, and all together
under ANY. KEYS has a dict's keys. BEHIND has what the container was made from, row by row.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .values import (
    NOTHING,
    ClassValue,
    Composed,
    Connection,
    Constant,
    Container,
    Cursor,
    Data,
    External,
    Instance,
    Site,
    Text,
    Value,
    Values,
    constants,
)

if TYPE_CHECKING:
    from .flow import Frame

ANY = "*"
KEYS = "keys"
BEHIND = "behind"
DEPTH = 4
NO_SOURCES = ("constant", "unknown", "unseen", "environment", "generated")
NEXT = {"rows": "row", "row": "value", "value": "value", "number": "number"}


def key(values: Values) -> object:
    """Return the constant that values are as a key, or ANY."""
    found = {each for each in constants(values) if isinstance(each, (str, int))}
    return found.pop() if len(found) == 1 and len(values) == 1 else ANY


def put(frame: Frame, container: Container, values: Values, where: object = ANY) -> None:
    """Put values into a container; inside a loop over data, note what the loop is over."""
    frame.heap.add(("in", container, ANY), values)
    if where != ANY:
        frame.heap.add(("in", container, where), values)
    else:
        frame.heap.add(("in", container, "unkeyed"), values)
    if isinstance(where, str) and where != ANY:
        put_keys(frame, container, frozenset([Text((where,))]))
    if container.type != "dict":
        _behind(frame, container)


def put_keys(frame: Frame, container: Container, values: Values) -> None:
    """Note what a dict's keys can be; a loop that only sets constant keys makes it no longer."""
    if container.type == "dict":
        frame.heap.add(("in", container, KEYS), values)
        if not values or not all(isinstance(each, (Constant, Text)) for each in values):
            _behind(frame, container)


def _behind(frame: Frame, container: Container) -> None:
    for loop in frame.loops:
        frame.heap.add(("in", container, BEHIND), loop.behind)


def keys(frame: Frame, container: Container) -> Values:
    """Return what a loop over a container gets: a dict's keys, anything else's elements."""
    found = frame.heap.read(("in", container, KEYS), frame.function) if container.type == "dict" else NOTHING
    return found or read(frame, container, ANY)


def made(frame: Frame, node: ast.AST, type: str, values: Values) -> Values:
    """Return a new container that holds values under no key."""
    container = Container(frame.site(node), type)
    frame.heap.add(("in", container, ANY), values)
    frame.heap.add(("in", container, "unkeyed"), values)
    return frozenset([container])


def copied(frame: Frame, node: ast.AST, container: Container) -> Values:
    """Return a copy: what is put into a dict's copy is not in the dict; other containers stand for theirs."""
    if container.type != "dict":
        return frozenset([container])
    copy = Container(frame.site(node), "dict")
    known = frame.heap.read(("in", container, KEYS), frame.function)
    for where in (*sorted({each for each in constants(known) if isinstance(each, (str, int))}, key=str), ANY,
                  "unkeyed", KEYS, BEHIND):  # fmt: skip
        frame.heap.add(("in", copy, where), frame.heap.read(("in", container, where), frame.function))
    return frozenset([copy])


def listed(frame: Frame, node: ast.AST, values: Values) -> Values:
    """Return a list of what values have as elements."""
    if not values:
        return NOTHING
    kept = frozenset(value for value in values if isinstance(value, (Data, Container, Text)))
    return kept or made(frame, node, "list", elements(frame, values, node))


def read(frame: Frame, container: Container, where: object) -> Values:
    """Return what a container has under a key; under ANY, all of it."""
    if where == ANY:
        return frame.heap.read(("in", container, ANY), frame.function)
    found = frame.heap.read(("in", container, where), frame.function)
    return found | frame.heap.read(("in", container, "unkeyed"), frame.function)


def by_name(frame: Frame, values: Values) -> dict[str, Values]:
    """Return what dicts have under each of their constant keys, as `**` gives them."""
    found: dict[str, Values] = {}
    for container in (value for value in values if isinstance(value, Container) and value.type == "dict"):
        known = frame.heap.read(("in", container, KEYS), frame.function)
        for name in sorted(each for each in constants(known) if isinstance(each, str)):
            found[name] = found.get(name, NOTHING) | read(frame, container, name)
    return found


def at_index(frame: Frame, values: Values, index: int) -> Values:
    """Return the element at an index, as in `a, b = values`."""
    found: set[Value] = set()
    for value in values:
        if isinstance(value, Container):
            exact = read(frame, value, index)
            found.update(exact or (NOTHING if frame.heap.knows(("in", value, 0)) else read(frame, value, ANY)))
        else:
            found.update(elements(frame, frozenset([value]), None))
    return frozenset(found)


def item(frame: Frame, value: Value, where: object, node: ast.AST, is_slice: bool = False) -> Values:
    """Return `value[where]`."""
    if isinstance(value, Container):
        return frozenset([value]) if is_slice else read(frame, value, where)
    if isinstance(value, Data):
        shape = value.shape if is_slice else NEXT[value.shape]
        return frozenset([Data(value.source, shape, value.site)])
    if isinstance(value, External):
        shown = where if isinstance(where, str) and where != ANY else ""
        found = frame.heap.read(("outside", value.path, f"[{shown}]"), frame.function)
        found |= frame.heap.read(("outside", value.path, "[]"), frame.function) if shown else NOTHING
        return found or frame.evaluate.outside(f"{value.path}[]", node, shown)
    if isinstance(value, Text):
        return frozenset([value]) if is_slice else NOTHING
    if isinstance(value, Instance):
        method = value.cls.method("__getitem__")
        return frame.heap.read(("return", method), frame.function) if method else NOTHING
    return NOTHING


def elements(frame: Frame, values: Values, node: ast.AST | None) -> Values:
    """Return what a loop over values gets, turn by turn."""
    found: set[Value] = set()
    for value in values:
        if isinstance(value, Container):
            found.update(keys(frame, value))
        elif isinstance(value, Data):
            found.add(Data(value.source, NEXT[value.shape], value.site))
        elif isinstance(value, Cursor):
            found.add(Data("row", "row", frame.site(node) if node is not None else value.site))
        elif isinstance(value, External):
            found.update(frame.evaluate.outside(f"{value.path}[]", node, ""))
        elif isinstance(value, Instance):
            found.update(_turns(frame, value, node))
    return frozenset(found)


def _turns(frame: Frame, value: Instance, node: ast.AST | None) -> Values:
    """Return what an object of the project's gives turn by turn; one that is its own iterator, by `__next__`."""
    found: set[Value] = set()
    for name in ("__next__", "__getitem__"):
        method = value.cls.method(name)
        found.update(frame.heap.read(("return", method), frame.function) if method else NOTHING)
    method = value.cls.method("__iter__")
    returned = frame.heap.read(("return", method), frame.function) if method else NOTHING
    others = frozenset(each for each in returned if not isinstance(each, Instance))
    return frozenset(found) | elements(frame, others, node)


def provenance(frame: Frame, values: Values, depth: int = DEPTH) -> tuple[Data, ...]:
    """Return the data that values hold or were made from, in a stable order."""
    found: set[Data] = set()
    seen: set[Value] = set()
    todo = [(value, depth) for value in values]
    while todo:
        value, left = todo.pop()
        if value in seen or left < 0:
            continue
        seen.add(value)
        if isinstance(value, Data):
            found.add(value)
        elif isinstance(value, Container):
            inside = frame.heap.read(("in", value, BEHIND), frame.function)
            inside |= frame.heap.read(("in", value, ANY), frame.function)
            todo.extend((each, left - 1) for each in inside)
        elif isinstance(value, Cursor):
            found.add(Data("row", "rows", value.site))
        elif isinstance(value, Text):
            sources = {(source, each.site) for each in value.holes for source in each.sources}
            found.update(Data(source, "value", site) for source, site in sources if source not in NO_SOURCES)
    return tuple(sorted(found, key=lambda each: (each.site, each.source, each.shape)))


def turned(frame: Frame, values: Values) -> tuple[Data, ...]:
    """Return the data that a loop over values is over: of a dict that is what decides its keys, not its values."""
    dicts = [value for value in values if isinstance(value, Container) and value.type == "dict"]
    inside = values - frozenset(dicts)
    for each in dicts:
        inside |= keys(frame, each) | frame.heap.read(("in", each, BEHIND), frame.function)
    return provenance(frame, inside)


def is_plain(value: Value) -> bool:
    """Whether a value is nothing that code could call or look into."""
    return isinstance(value, (Text, Constant, Composed, Data))


__all__ = ["ANY", "BEHIND", "ClassValue", "Connection", "Site", "at_index", "by_name", "elements", "item",
           "key", "keys", "listed", "made",
           "provenance", "put", "put_keys", "read", "turned"]  # fmt: skip
