"""Templates of the front: nginx and HAProxy's files, filled in so that each value stays one word of the file.

The description has refused what does not fit; here the same is refused once more, for whatever did not come by
it. Knows no directive. If this is wrong, a domain with a `;` in it is a configuration of its own.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from . import render
from .description import Description
from .errors import InputError

TEMPLATES = Path(__file__).resolve().parent / "templates"
# No blank, quote, brace, semicolon, backslash, # or line end, and no $ or %, with which variables begin: what is
# left means itself in both files.
WORD = re.compile(r"[A-Za-z0-9_./:@+*\[\]-]{1,300}")
# Where a request has its id from, if it has one that fits: the same letters as backend/request_names.py.
REQUEST_ID = "[A-Za-z0-9._:/+=@-]{1,128}"


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Return a template's text.

    Args:
        template: its name in the folder.
        values: what it uses; every text in it goes through the filter `word`.

    Raises:
        InputError: a value cannot stand in the file.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> jinja2.Environment:
    # `finalize` sees each value.
    return render.environment(TEMPLATES, trim_blocks=True, lstrip_blocks=True, finalize=word)


class Plain(str):
    """A text of ours with blanks in it, such as a regular expression: no value of a description is in it."""


def word(value: object) -> object:
    """Return a value that is one word of a configuration, and nothing else.

    Raises:
        InputError: it is not.
    """
    is_ours = isinstance(value, (int, Plain, jinja2.runtime.Undefined))
    if is_ours or (isinstance(value, str) and WORD.fullmatch(value)):
        return value
    raise InputError(f"{str(value)[:60]!r} cannot stand in the front's configuration; what can: {WORD.pattern}")


def networks(key: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return addresses as networks, written in one way.

    Raises:
        InputError: one is no network, or is every address there is.
    """
    found = []
    for value in values:
        try:
            network = ipaddress.ip_network(value)
        except ValueError as error:
            raise InputError(f"{key} has {value[:60]!r}: {error}; write it like 10.0.0.0/24") from None
        if network.prefixlen == 0:
            raise InputError(f"{key} has {value!r}, which is everybody; name the addresses that are meant")
        found.append(str(network))
    return tuple(found)


def balancer_networks(description: Description) -> tuple[str, ...]:
    """Return whom the app's hosts believe; () where no balancer is in front.

    Raises:
        InputError: there is one, and nothing says where.
    """
    front = description.front
    if not front.balancer:
        return ()
    if not front.balancer_from:
        raise InputError("front.balancer_from is empty and front.balancer true; give the balancer's addresses")
    return networks("front.balancer_from", front.balancer_from)
