"""Parameters that a route declares: what a client may send, as what, and the sentence for what it got wrong.

    takes = {"since": day(), "days": optional(whole(1, 366), 30), "status": one_of("open", "paid")}

A value comes as text from a query string, or as JSON from a body; either is read strictly, and whatever was not
declared is refused. No message repeats a value.
Must not import Flask or the pool. If this is wrong, a client sends what a statement was not written for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from .errors import ParameterError

REQUIRED: Any = object()
LARGEST = 2**63 - 1  # of PostgreSQL's bigint
LONGEST = 200  # characters of a text
MOST = 100  # items of a list
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Kind:
    """What a parameter is.

    Attributes:
        read: makes the value of what was sent; raises ValueError or TypeError.
        says: what it must be, as it stands behind "must be" in an error.
        default: the value when nothing is sent; `REQUIRED` when something must be.
    """

    read: Callable[[Any], Any]
    says: str = "another value"
    default: Any = REQUIRED


Takes = Mapping[str, Kind | Callable[[Any], Any]]


def whole(least: int = -LARGEST, most: int = LARGEST) -> Kind:
    """Return the kind of a whole number within these bounds."""

    def read(sent: Any) -> int:
        number = _number(sent)
        if not least <= number <= most:
            raise ValueError
        return number

    return Kind(read, f"a whole number from {least} to {most}")


def text(longest: int = LONGEST) -> Kind:
    """Return the kind of a text of so many characters at most; no NUL, which PostgreSQL cannot keep."""

    def read(sent: Any) -> str:
        if not isinstance(sent, str) or len(sent) > longest or "\0" in sent:
            raise ValueError
        sent.encode()  # refuses halves of characters, which JSON can spell
        return sent

    return Kind(read, f"a text of at most {longest} characters")


def one_of(*choices: str) -> Kind:
    """Return the kind of a text that is one of these."""

    def read(sent: Any) -> str:
        if not isinstance(sent, str) or sent not in choices:
            raise ValueError
        return sent

    return Kind(read, f"one of {', '.join(choices)}")


def day() -> Kind:
    """Return the kind of a date, as 2024-02-29."""

    def read(sent: Any) -> date:
        if not isinstance(sent, str) or not _DAY.fullmatch(sent):
            raise ValueError
        return date.fromisoformat(sent)

    return Kind(read, "a date as 2024-02-29")


def flag() -> Kind:
    """Return the kind of true or false; in a query string 1 and 0 as well."""

    def read(sent: Any) -> bool:
        return sent if isinstance(sent, bool) else _FLAGS[sent]

    return Kind(read, "true or false")


def wholes(most: int = MOST) -> Kind:
    """Return the kind of a list of whole numbers, such as ids: `1,2,3` in a query string, a list in JSON."""

    def read(sent: Any) -> list[int]:
        items = sent.split(",", most) if isinstance(sent, str) else sent
        if not isinstance(items, list) or len(items) > most:
            raise ValueError
        numbers = [_number(item) for item in items]
        if any(abs(number) > LARGEST for number in numbers):
            raise ValueError
        return numbers

    return Kind(read, f"at most {most} whole numbers")


def optional(kind: Kind, default: Any = None) -> Kind:
    """Return the kind with a value for when nothing is sent."""
    return replace(kind, default=default)


def read_parameters(takes: Takes, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all declared parameters.

    Args:
        takes: what is declared: a kind, or a function that raises ValueError for what it cannot take.
        sent: text or JSON per name.

    Raises:
        ParameterError: one is missing, unknown or not of its kind; the first of them by name.
    """
    unknown = sorted(sent.keys() - takes.keys())
    if unknown:
        known = ", ".join(sorted(takes)) or "none"
        raise ParameterError(f"unknown parameter {_shown(unknown[0])}; there is {known}")
    return {name: _read(name, takes[name], sent) for name in sorted(takes)}


def _read(name: str, declared: Kind | Callable[[Any], Any], sent: Mapping[str, Any]) -> Any:
    kind = declared if isinstance(declared, Kind) else Kind(declared)
    if name not in sent:
        if kind.default is REQUIRED:
            raise ParameterError(f"parameter {name} is missing; it must be {kind.says}")
        return kind.default
    try:
        return kind.read(sent[name])
    except (ValueError, TypeError, LookupError):
        pass  # raised below: what the reader said may repeat the value
    raise ParameterError(f"parameter {name} must be {kind.says}")


def _number(sent: Any) -> int:
    if isinstance(sent, bool) or not isinstance(sent, (int, str)):
        raise TypeError
    if isinstance(sent, str) and not _WHOLE.fullmatch(sent):
        raise ValueError
    return int(sent)


def _shown(name: str) -> str:
    """Return a name that a client made up, cut and without signs that a log could trip over."""
    return repr(name[:40]) if name.isprintable() else "with control characters"
