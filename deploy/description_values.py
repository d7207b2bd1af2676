"""One value of `harden.toml` against its key: type, range, pattern, and no secret in it.

Knows a dataclass field's check and nothing of other keys. If a check here lets something through, a value
becomes a directive of a rendered file.
"""

from __future__ import annotations

import unicodedata
from dataclasses import MISSING, Field
from typing import Any

from . import description
from .description import LONGEST_VALUE, Check, Range
from .secret_words import secret_look

MOST_ENTRIES = 200  # of a list
TYPES = {str: "text", bool: "a truth value", int: "a whole number", float: "a number with a point", list: "a list",
         dict: "a table"}  # fmt: skip
WANTED = {"str": "text in quotes", "int": "a whole number without quotes", "bool": "true or false, without quotes"}
PATTERNS = {
    description.NAME: "21 small letters, digits and - at most, a letter first",
    description.TARGET: "module:name, path/to/file.py:name or module:factory()",
    description.HOST: "a host's name or address, IPv6 in brackets",
    description.DOMAIN: "a domain such as shop.example.com or *.example.com",
    description.SERVER: "a socket folder such as /run/postgresql, or a server's name or address",
    description.OPTIONAL_PATH: "an absolute path of letters, digits and _ . / @ + -",
    description.RELATIVE: "a path inside the repository, of letters, digits and _ . / -",
    description.OPTIONAL_RELATIVE: "a path inside the repository, of letters, digits and _ . / -",
    description.URL_PATH: "a path such as /static/, of letters, digits and _ . / -",
    description.ROLE: "63 letters, digits and _ . - at most, a letter or _ first",
    description.NETWORK: "an address or a network such as 10.0.0.0/24",
    description.VERSION: "a version such as 1.18.0",
    description.COMMAND: "one line, 500 characters at most",
}
# Control characters, line ends, characters that turn the text around on a screen, halves of characters.
NOT_TEXT = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class ValueProblem(ValueError):
    """What is wrong with a value, without its place; never repeats a secret."""


def checked(value: Any, field: Field[Any]) -> Any:
    """Return the value as the dataclass has it.

    Raises:
        ValueProblem: it is not what the key takes.
    """
    check: Check = field.metadata["check"]
    if str(field.type).startswith("tuple"):
        return _entries(value, check, field.default == MISSING or bool(field.default))
    if field.type == "bool":
        return _typed(value, bool, "bool")
    if field.type == "int":
        return _number(_typed(value, int, "int"), check)
    return _text(_typed(value, str, "str"), check)


def plain_text(value: Any) -> str:
    """Return a text of any words that can stand on one line of any file.

    Raises:
        ValueProblem: it is no text, has line ends or the like, is too long, or is a secret.
    """
    text: str = _typed(value, str, "str")
    look = secret_look(text)
    if look:
        raise ValueProblem(f"looks like {look}; secrets stand in the secrets file on the host (app.secrets)")
    odd = next((char for char in text if unicodedata.category(char) in NOT_TEXT), None)
    if odd is not None:
        what = "a line end" if odd in "\r\n\u2028\u2029" else f"the control character U+{ord(odd):04X}"
        raise ValueProblem(f"holds {what}; it must be one line of plain text")
    if len(text) > LONGEST_VALUE:
        raise ValueProblem(f"has {len(text)} characters; {LONGEST_VALUE} are the most")
    return text


def shown(value: Any) -> str:
    """Return a value for a message, shortened, and hidden where it looks like a secret."""
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    if secret_look(text) or isinstance(value, dict):
        return "not shown"
    return text if len(text) <= 60 else f"{text[:57]}..."


def must_be(check: Check) -> str:
    """Return what a key takes, in words."""
    if isinstance(check, Range):
        return f"{check.low} to {check.high}"
    if isinstance(check, tuple):
        return words(check)
    return PATTERNS.get(check, f"what matches {check.pattern}")


def words(choices: tuple[str, ...]) -> str:
    """Return choices as a person says them: a, b or c."""
    return " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))


def _typed(value: Any, wanted: type[Any], name: str) -> Any:
    if type(value) is wanted:  # not isinstance: true is no number
        return value
    kind = TYPES.get(type(value), "a date or time")
    raise ValueProblem(f"is {kind} ({shown(value)}); it must be {WANTED[name]}")


def _number(value: int, check: Check) -> int:
    if isinstance(check, Range) and not check.low <= value <= check.high:
        raise ValueProblem(f"is {shown(value)}; it must be {must_be(check)}")
    return value


def _text(value: str, check: Check) -> str:
    text = plain_text(value)
    if isinstance(check, tuple):
        if text not in check:
            raise ValueProblem(f"is {shown(text)}; it must be {must_be(check)}")
    elif not isinstance(check, Range) and not check.fullmatch(text):
        lower = " (in small letters)" if check.fullmatch(text.lower()) else ""
        raise ValueProblem(f"is {shown(text)}; it must be {must_be(check)}{lower}")
    return text


def _entries(value: Any, check: Check, needs_one: bool) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueProblem(f"is {shown(value)}; it must be a list, such as [{shown(value)}]")
    if needs_one and not value:
        raise ValueProblem("is an empty list; it needs one entry at least")
    if len(value) > MOST_ENTRIES:
        raise ValueProblem(f"has {len(value)} entries; {MOST_ENTRIES} are the most")
    entries = []
    for number, entry in enumerate(value, 1):
        try:
            entries.append(_text(_typed(entry, str, "str"), check))
        except ValueProblem as problem:
            raise ValueProblem(f"has an entry {number} that {problem}") from None
    return tuple(entries)
