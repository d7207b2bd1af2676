"""Adds imports where a file has its imports: once, before the name is used, in the file's own style.

A name that the file uses for something else is not imported; the change that needs it is refused. If this is
wrong, the mended file fails at import.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator

from .fixer import Edit, Import
from .source import Source


class NameTaken(Exception):
    """A file uses the name of an import for something else."""


def import_edits(source: Source, wanted: Iterable[Import]) -> list[Edit]:
    """Return the edits that bring the imports that a file does not have yet.

    Raises:
        NameTaken: A name means something else there.
    """
    missing = [each for each in sorted(set(wanted)) if not _is_there(source, each)]
    for each in missing:
        _check_free(source, each)
    groups: dict[tuple[str, bool], list[Import]] = {}
    for each in missing:
        groups.setdefault((each.module, bool(each.name)), []).append(each)
    places: dict[int, str] = {}
    for group in groups.values():
        at, text = _addition(source, group)
        places[at] = places.get(at, "") + text
    return [Edit(source.path, at, at, text) for at, text in sorted(places.items())]


def bound(wanted: Import) -> str:
    """Return the name that an import binds."""
    return wanted.name or wanted.module.partition(".")[0]


def _text(wanted: Import) -> str:
    return f"from {wanted.module} import {wanted.name}" if wanted.name else f"import {wanted.module}"


def _is_there(source: Source, wanted: Import) -> bool:
    limit = _first_use(source, wanted, _at_import(source.tree))  # functions look their names up later
    return any(_brings(each, wanted) for each in _imports(source) if each.lineno < limit)


def _imports(source: Source) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that always run when the file is imported."""
    for node in source.tree.body:
        inner = node.body if isinstance(node, ast.Try) else [node]
        yield from (each for each in inner if isinstance(each, (ast.Import, ast.ImportFrom)))


def _brings(node: ast.AST, wanted: Import) -> bool:
    """Whether an import binds what is wanted, under the name that is wanted."""
    if isinstance(node, ast.Import):
        return not wanted.name and any(
            (each.asname is None and (each.name == wanted.module or each.name.startswith(wanted.module + ".")))
            or each.asname == wanted.module == each.name for each in node.names
        )  # fmt: skip
    if isinstance(node, ast.ImportFrom) and not node.level and node.module == wanted.module:
        return any(each.name == wanted.name and each.asname in (None, each.name) for each in node.names)
    return False


def _check_free(source: Source, wanted: Import) -> None:
    name = bound(wanted)
    for node in ast.walk(source.tree):
        if name in _bound_by(node) and not _brings(node, wanted) and not _is_same_package(node, wanted):
            line = getattr(node, "lineno", 1)
            raise NameTaken(
                f"{_text(wanted)!r} is needed, and line {line} uses the name {name!r} for something else"
            )


def _is_same_package(node: ast.AST, wanted: Import) -> bool:
    """Whether `import a.b` stands where `import a.c` is wanted: both bind a."""
    if not isinstance(node, ast.Import) or wanted.name:
        return False
    name = bound(wanted)
    mine = [each for each in node.names if name in (each.asname, each.name.partition(".")[0])]
    return all(each.asname is None for each in mine)


def _bound_by(node: ast.AST) -> set[str]:
    """Return the names that a node binds, in whatever scope."""
    if isinstance(node, ast.Name):
        return {node.id} if not isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, ast.ExceptHandler):
        return {node.name} if node.name else set()
    if isinstance(node, ast.Import):
        return {each.asname or each.name.partition(".")[0] for each in node.names}
    if isinstance(node, ast.ImportFrom):
        return {each.asname or each.name for each in node.names}
    return set()


def _first_use(source: Source, wanted: Import, nodes: Iterable[ast.AST]) -> int:
    """Return the line of the first use of the name; behind the last line when there is none."""
    name = bound(wanted)
    used = (node.lineno for node in nodes if isinstance(node, ast.Name) and node.id == name)
    return min(used, default=len(source.starts) + 1)


def _at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes that are run when the file is imported: all but the bodies of functions."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            todo += [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif not isinstance(node, ast.Lambda):
            todo += ast.iter_child_nodes(node)


def _addition(source: Source, group: list[Import]) -> tuple[int, str]:
    """Return where and how imports from one module are added."""
    limit = min(_first_use(source, each, ast.walk(source.tree)) for each in group)
    for node in _imports(source):
        if node.lineno < limit and isinstance(node, ast.ImportFrom) and _is_extensible(node, group[0]):
            return source.span(node.names[-1])[1], "".join(f", {each.name}" for each in group)
    text = _text(group[0]) + "".join(f", {each.name}" for each in group[1:])
    usable = [each for each in source.tree.body if _is_usable(each, limit)]
    is_standard = group[0].module.partition(".")[0] in sys.stdlib_module_names
    if usable and is_standard and _starts_line(source, usable[0]):
        return source.line_start(usable[0].lineno), f"{text}\n"
    return _behind(source, usable[-1], text) if usable else _at_top(source, text)


def _is_extensible(node: ast.ImportFrom, wanted: Import) -> bool:
    if not wanted.name or node.level or node.module != wanted.module:
        return False
    return node.end_col_offset is not None and node.names[-1].name != "*" and node.end_col_offset < 80


def _is_usable(node: ast.stmt, limit: int) -> bool:
    """Whether an import, or a `try` around one, stands before a line, so that another may stand beside it."""
    inner = node.body if isinstance(node, ast.Try) else [node]
    are_imports = all(isinstance(each, (ast.Import, ast.ImportFrom)) for each in inner)
    return are_imports and not _is_future(node) and (node.end_lineno or node.lineno) < limit


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _starts_line(source: Source, node: ast.stmt) -> bool:
    """Whether a statement stands first in its line, and no line is carried on into it."""
    start = source.line_start(node.lineno)
    before = [each for each in source.tree.body if (each.end_lineno or 0) >= node.lineno and each is not node]
    return source.span(node)[0] == start and not any(each.lineno < node.lineno for each in before)


def _behind(source: Source, node: ast.stmt, text: str) -> tuple[int, str]:
    """Return where and how a line is put behind the statements that end in the line where a statement ends."""
    end = node.end_lineno or node.lineno
    ends = [(each.lineno, each.end_lineno or each.lineno) for each in source.tree.body]
    while others := [last for first, last in ends if first <= end < last]:
        end = max(others)
    return _line_at(source, source.line_start(end + 1), text)


def _at_top(source: Source, text: str) -> tuple[int, str]:
    """Return where and how a line is put behind the docstring, or before the first statement."""
    heads = []
    for place, node in enumerate(source.tree.body):
        is_docstring = not place and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (is_docstring or _is_future(node)):
            break
        heads.append(node)
    if heads:
        return _behind(source, heads[-1], text)
    body = source.tree.body
    first = min((_top(each) for each in body[:1]), default=len(source.starts) + 1)
    return _line_at(source, source.line_start(first), text)


def _top(node: ast.stmt) -> int:
    """Return the first line of a statement, its decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _line_at(source: Source, at: int, text: str) -> tuple[int, str]:
    is_open = at > 0 and source.text[at - 1] not in "\r\n"  # the file's last line has no end
    return at, f"\n{text}" if is_open else f"{text}\n"
