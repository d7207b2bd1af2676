"""Definitions: what a function's defaults and a class's bases say, when the statement that makes it runs."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .code import Class, Function
from .values import ClassValue, External

if TYPE_CHECKING:
    from .flow import Frame


def note_defaults(frame: Frame, function: Function, spec: ast.arguments) -> None:
    """Put the defaults of parameters where they are looked for."""
    plain = [*spec.posonlyargs, *spec.args]
    given = [
        *zip(plain[len(plain) - len(spec.defaults) :], spec.defaults, strict=True),
        *zip(spec.kwonlyargs, spec.kw_defaults, strict=True),
    ]
    for argument, default in given:
        if default is not None:
            values = frame.evaluate(default)
            frame.heap.add(("default", function, argument.arg), values)
            frame.heap.add(("parameter", function, argument.arg), values)


def note_bases(frame: Frame, cls: Class, node: ast.ClassDef) -> None:
    """Note what a class inherits from, and with its parents that it is a child."""
    for base in node.bases:
        for value in frame.evaluate(base):
            if isinstance(value, ClassValue) and value.cls not in cls.bases and cls not in value.cls.lineage:
                cls.bases.append(value.cls)
                for parent in value.cls.lineage:
                    frame.interpreter.children.setdefault(parent, []).append(cls)
                    frame.heap.add(("children", parent), [ClassValue(cls)])
            elif isinstance(value, External) and value.path not in cls.external_bases:
                cls.external_bases.append(value.path)
