"""What a mended file has to pass, else the change is refused: it parses, no call is gone, all else is the same.

If this lets too much through, a fixer's mistake gets into somebody's code.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Sequence

from ..audit.model.reading import parsed
from .fixer import Edit
from .source import Source

_INNER = frozenset({"body", "orelse", "finalbody", "handlers", "cases"})


class Refused(Exception):
    """A change that is not made; its text is the reason."""


def check(source: Source, text: str, edits: Sequence[Edit], replaces: Iterable[str]) -> None:
    """Compare a file with what it would become.

    Args:
        replaces: The calls that may go, by name or by the name's end.

    Raises:
        Refused: It must not become that.
    """
    after = _tree(source.path, text)
    lost = _lost(source.tree, after, set(replaces))
    if lost:
        raise Refused(f"these calls would be gone from {source.path}: {', '.join(lost)}")
    kept = _untouched(source, edits)
    missing = kept - Counter(_shape(node) for node in ast.walk(after) if isinstance(node, ast.stmt))
    if missing:
        raise Refused(f"statements of {source.path} beside the edit would mean something else")


def check_reads(source: Source, data: bytes) -> None:
    """See that a file comes back byte for byte.

    Raises:
        Refused: It does not.
    """
    if source.encoded(source.text) != data:
        raise Refused(f"{source.path} cannot be written back byte for byte as {source.encoding}")


def parses(path: str, data: bytes) -> None:
    """See that bytes are Python.

    Raises:
        Refused: They are not.
    """
    try:
        text = Source.read(path, data).text
    except (SyntaxError, UnicodeDecodeError):
        raise Refused(f"{path} would not be read any more") from None
    _tree(path, text)


def encoded(source: Source, text: str) -> bytes:
    """Return the new text as the file's bytes.

    Raises:
        Refused: The file's encoding has no such characters.
    """
    try:
        return source.encoded(text)
    except UnicodeEncodeError:
        raise Refused(
            f"{source.path} is written in {source.encoding}, which lacks a character of the edit"
        ) from None


def _tree(path: str, text: str) -> ast.Module:
    try:
        return parsed(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        raise Refused(f"{path} would not parse any more at line {line}") from None


def _lost(before: ast.AST, after: ast.AST, replaces: set[str]) -> list[str]:
    """Return the names of the calls of which there are fewer, those aside that are replaced."""
    fewer = calls(before) - calls(after)
    return sorted(
        name for name in fewer if not any(name == each or name.endswith(f".{each}") for each in replaces)
    )


def calls(tree: ast.AST) -> Counter[str]:
    """Count the calls of a tree by what is called: `cur.execute`, `conn.cursor().execute`, a text's `[]`."""
    return Counter(_name(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))


def _name(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, (ast.Attribute, ast.Call)):
        if isinstance(node, ast.Call):
            parts.append("()")
            node = node.func
        else:
            parts.append(f".{node.attr}")
            node = node.value
    start = node.id if isinstance(node, ast.Name) else "[]"
    return start + "".join(reversed(parts))


def _untouched(source: Source, edits: Sequence[Edit]) -> Counter[str]:
    """Count the statements that no edit touches, by their shape; of one with a body, what stands before it."""
    nodes = (node for node in ast.walk(source.tree) if isinstance(node, ast.stmt))
    return Counter(_shape(node) for node in nodes if not _is_touched(source, node, edits))


def _is_touched(source: Source, node: ast.stmt, edits: Sequence[Edit]) -> bool:
    start, end = source.span(node)
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    start = min([start, *(source.span(each)[0] for each in decorators)])
    body = getattr(node, "body", None)
    if isinstance(body, list) and body:
        end = source.span(body[0])[0] - 1
    return any(each.start <= end and start <= each.end for each in edits)


def _shape(node: ast.stmt) -> str:
    """Return what a statement is, without the statements in it."""
    fields = {name: [] if name in _INNER else value for name, value in ast.iter_fields(node)}
    return ast.dump(type(node)(**fields))
