"""The `%` of strings: which of a tuple's or a dict's values go into which field."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from . import containers, text
from .values import NOTHING, Container, Text, Value, Values

if TYPE_CHECKING:
    from .flow import Frame


def percent(frame: Frame, templates: list[Text], right: Values, node: ast.AST) -> Values:
    """Return `templates % right`, for each variant of the template."""
    site = frame.site(node)
    tuples = [value for value in right if isinstance(value, Container) and value.type in ("tuple", "dict")]
    arguments: list[Values] = []
    named: dict[str, Values] = {}
    spread = right - frozenset(tuples)
    if not tuples:
        arguments = [right]
    for each in tuples:
        count = 0
        while each.type == "tuple" and frame.heap.knows(("in", each, count)):
            found = containers.read(frame, each, count)
            arguments[count : count + 1] = [found | (arguments[count] if count < len(arguments) else NOTHING)]
            count += 1
        everything = containers.read(frame, each, containers.ANY)
        spread |= everything
        if each.type == "dict":
            named.update(_named(frame, each, templates))
    found_all: set[Value] = set()
    for template in templates[: text.VARIANTS]:
        found_all.update(text.percent(template, arguments, named, spread, site))
    return frozenset(found_all)


def _named(frame: Frame, container: Container, templates: list[Text]) -> dict[str, Values]:
    """Return what a dict has for the names in templates."""
    names = {
        match["name"] for each in templates for match in text.FIELD.finditer(each.with_holes("")) if match["name"]
    }
    return {name: containers.read(frame, container, name) for name in sorted(names)}
