"""The named parts of a dashboard, and what a request asks of them.

A client names parts and sends their declared parameters, never SQL and never a path.
Must not import Flask or the pool. If this is wrong, a client reaches what no route offers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .declared import Takes
from .errors import BatchError, ParameterError
from .nested import Node

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Part:
    """One part of a dashboard.

    Attributes:
        source: made by `one` or `many`; or anything with `json(conn, **parameters)`, as `stored` and `formatted`
            make; or a function `(conn, **parameters)` that returns JSON-able values, or JSON as bytes.
        takes: the parameters that a client sends, by name; see declared.py.
        given: called within the request, returns the parameters that the client has no say in, such as who asks.
        allowed: called with all parameters before any SQL; False, or an `abort(403)` in it, refuses the part.

    Raises:
        BatchError: takes names a parameter that the node's SQL does not have; without `given`, leaves one out.
    """

    source: Any
    takes: Takes = field(default_factory=dict)
    given: Callable[[], Mapping[str, Any]] | None = None
    allowed: Callable[[Mapping[str, Any]], bool | None] | None = None

    def __post_init__(self) -> None:
        if not (callable(self.source) or hasattr(self.source, "json")):
            raise BatchError(f"a part is a nested query or a function, not {type(self.source).__name__}")
        node = self.node
        if node is None:
            return
        wanted, known = set(node.parameters), set(self.takes)
        if known - wanted or (self.given is None and wanted - known):
            raise BatchError(f"takes={sorted(known)}, but the SQL of {node!r} names {sorted(wanted)}")

    @property
    def node(self) -> Node | None:
        """The nested query that can be joined with others into one statement, if it is one."""
        return self.source if isinstance(self.source, Node) else None


@dataclass(frozen=True)
class Asked:
    """One part that a request asks for.

    Attributes:
        label: what the answer calls it.
        name: the part's name.
        sent: what the client sent for it, by name.
    """

    label: str
    name: str
    sent: Mapping[str, Any]


def parts_of(sources: Mapping[str, Any]) -> dict[str, Part]:
    """Return the parts of a dashboard; what is none yet is a part without parameters of a client's.

    Raises:
        BatchError: no parts, a name that cannot be asked for, or a part that cannot be one.
    """
    if not sources:
        raise BatchError("a dashboard without parts; pass {'name': many(...)}")
    for name in sources:
        if not _LABEL.fullmatch(name):
            raise BatchError(f"{name!r} names no part; use ASCII letters, digits, _ and -, at most 63")
    return {name: made if isinstance(made, Part) else Part(made) for name, made in sources.items()}


def asked_in_query(arguments: Iterable[tuple[str, str]], most: int) -> list[Asked]:
    """Read `parts=customers,week:revenue&week.days=7`.

    Raises:
        ParameterError: it asks for nothing, for too much, or for something twice in two ways.
    """
    given = dict(_pairs(arguments))
    spelled = given.pop("parts", "")
    labels = dict(_label_and_name(each) for each in spelled.split(",", most + 1) if each)
    sent: dict[str, dict[str, str]] = {label: {} for label in labels}
    for key, value in given.items():
        label, dot, name = key.partition(".")
        if not dot or label not in sent:
            raise ParameterError("an argument is neither parts=... nor part.parameter=... of a part asked for")
        sent[label][name] = value
    return _checked([Asked(label, name, sent[label]) for label, name in labels.items()], most)


def asked_in_body(body: bytes, most: int) -> list[Asked]:
    """Read `{"customers": {}, "week:revenue": {"days": 7}}`.

    Raises:
        ParameterError: it is no such object, asks for nothing, for too much, or for something twice.
    """
    try:
        document = json.loads(body, object_pairs_hook=_pairs)
    except ParameterError:
        raise
    except (ValueError, RecursionError):
        raise ParameterError('the body must be JSON: {"part": {"parameter": value}}') from None
    if not isinstance(document, Pairs) or not all(isinstance(sent, Pairs) for _, sent in document):
        raise ParameterError('the body must be an object of objects: {"part": {"parameter": value}}')
    asked = [Asked(*_label_and_name(key), sent=dict(sent)) for key, sent in document]
    if len({each.label for each in asked}) < len(asked):
        raise ParameterError("two parts have one label; write label:part")
    return _checked(asked, most)


class Pairs(list[tuple[str, Any]]):
    """The members of an object, none of them twice; a list in JSON is a plain list."""


def _pairs(pairs: Iterable[tuple[str, Any]]) -> Pairs:
    found = Pairs(pairs)
    if len({name for name, _ in found}) < len(found):
        raise ParameterError("a name stands twice; each part and each parameter can be sent once")
    return found


def _label_and_name(spelled: str) -> tuple[str, str]:
    label, colon, name = spelled.partition(":")
    name = name if colon else label
    if not _LABEL.fullmatch(label) or not _LABEL.fullmatch(name):
        raise ParameterError("a part is asked for as name or label:name, in letters, digits, _ and -")
    return label, name


def _checked(asked: Sequence[Asked], most: int) -> list[Asked]:
    if not 1 <= len(asked) <= most:
        raise ParameterError(f"a request asks for 1 to {most} parts; name them as parts=one,two or in the body")
    return list(asked)
