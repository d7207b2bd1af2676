"""What a value of a called function is, said by the caller: an expression of the loop, or an object of a class.

Terms are `ast` expressions that hold where the loop's header stands, so they can be written there. What cannot be
said there is `Unknown`, with the reason that a person reads. If a term is wrong, `prefetched` asks for rows that
nobody wants, and the statements are sent as before.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ...audit.model.code import Class, Function


class Unknown(Exception):
    """A value that the loop's header cannot say; the message says why, as the end of a sentence."""


@dataclass(eq=False)
class Object:
    """An object of a project's class, or the class itself.

    Attributes:
        made: The call of its constructor; None where that is not known.
        said: How the loop's header says it; None when it cannot.
    """

    cls: Class
    made: Frame | None = None
    said: ast.expr | None = None


Term = ast.expr | Object


@dataclass(eq=False)
class Passed:
    """What a `*args` or a `**kwargs` holds."""

    positional: list[Term | Unknown] = field(default_factory=list)
    named: dict[str, Term | Unknown] = field(default_factory=dict)


Given = Term | Passed | Unknown


@dataclass(eq=False)
class Frame:
    """One function on the way from the loop to a statement.

    Attributes:
        given: Its parameters, in the loop's terms.
        outer: Who called it; None for the function of the loop.
        bound: The names of a comprehension, in one of its turns.
    """

    function: Function
    given: Mapping[str, Given] = field(default_factory=dict)
    outer: Frame | None = None
    bound: Mapping[str, ast.expr] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """How many calls lie between it and the loop."""
        return 0 if self.outer is None else self.outer.depth + 1

    def has(self, function: Function) -> bool:
        """Whether a function is on the way already."""
        return self.function is function or (self.outer is not None and self.outer.has(function))


def constant(value: object) -> ast.Constant:
    """Return a constant as an expression."""
    return ast.Constant(value=value)  # type: ignore[arg-type]


def is_text(term: object) -> bool:
    """Whether a term is a string constant."""
    return isinstance(term, ast.Constant) and isinstance(term.value, str)


def stored(node: ast.AST) -> Iterator[str]:
    """Yield the names that get a value anywhere in a node, nested functions aside."""
    todo: list[ast.AST] = [node]
    while todo:
        each = todo.pop()
        if isinstance(each, ast.Name) and isinstance(each.ctx, (ast.Store, ast.Del)):
            yield each.id
        elif isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield each.name
            continue
        elif isinstance(each, ast.ExceptHandler) and each.name:
            yield each.name
        elif isinstance(each, ast.alias):
            yield (each.asname or each.name).partition(".")[0]
        if not isinstance(each, ast.Lambda):
            todo.extend(ast.iter_child_nodes(each))
