"""Fills in `deploy/templates/`, and puts values into units, tmpfiles, sysusers and environment files as one word.

Knows the quoting of systemd's files and no service. If a check here lets something through, a value of
`harden.toml` becomes a directive, or a program's argument.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2

from . import render
from .errors import InputError
from .quoting import double_quoted, single_quoted

FOLDER = Path(__file__).resolve().parent / "templates"
# No space, quote, backslash, dollar, semicolon or comment sign: one word to every parser of systemd.
WORD = re.compile(r"[A-Za-z0-9_./@+:%-]{1,300}")
# What systemd's parser of environment files takes for itself, in double quotes as in a shell.
ESCAPED = re.compile(r'["\\`$]')


def fill(template: str, **values: Any) -> str:
    """Return a template with its values; the same bytes for the same values.

    Raises:
        InputError: a value cannot stand where it is used.
    """
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = render.environment(FOLDER, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(word=word, words=words, line=line, env_value=env_value, yaml=_yaml, **SQL)
    return environment


def word(value: str) -> str:
    """Return a value as one word of a unit; a percent sign is doubled, since systemd replaces %i and the like.

    Raises:
        InputError: it is no single word.
    """
    if not isinstance(value, str) or not WORD.fullmatch(value):
        raise InputError(f"{str(value)[:60]!r} cannot stand in a unit; what can: {WORD.pattern}")
    return value.replace("%", "%%")


def words(values: Iterable[str]) -> str:
    """Return values as words that follow others on a line.

    Raises:
        InputError: as for `word`.
    """
    return "".join(f" {word(value)}" for value in values)


def line(value: str) -> str:
    """Return a text that stands in a comment, which it must not leave.

    Raises:
        InputError: it has a line end or another control character.
    """
    if not isinstance(value, str) or not value.isprintable():
        raise InputError(f"{str(value)[:60]!r} cannot stand in a comment; it must be one line of plain text")
    return value


def env_value(value: str) -> str:
    """Return a value as systemd's EnvironmentFile= reads it back, byte for byte, and so does a shell.

    Raises:
        InputError: it holds what systemd drops without a word: control characters, halves of characters,
            and code points that are no characters.
    """
    if not isinstance(value, str):
        raise InputError(f"a variable's value is {type(value).__name__}, not text")
    odd = next((char for char in value if _is_dropped(char)), None)
    if odd is not None:
        raise InputError(f"a variable's value holds U+{ord(odd):04X}, with which systemd drops the variable")
    return '"' + ESCAPED.sub(lambda found: "\\" + found[0], value) + '"'


def _identifier_in_text(value: str) -> str:
    """Quote a name of SQL that stands within a text of SQL."""
    return double_quoted(value).replace("'", "''")


def _yaml(value: str) -> str:
    """Quote a value of YAML, which has JSON's texts."""
    return json.dumps(value)


SQL = {"ident": double_quoted, "text": single_quoted, "ident_in_text": _identifier_in_text}


def _is_dropped(char: str) -> bool:
    code = ord(char)
    if code < 32 or code == 127:
        return char not in "\t\n"
    return 0xD800 <= code <= 0xDFFF or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
