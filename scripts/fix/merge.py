"""Makes changes in the working copy: edits, imports and new files together, or the reason why not.

Nothing is written before every file of the changes has passed its checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .apply import edited, origins
from .checks import Refused, check, check_reads, encoded
from .fixer import Change, Context, Edit, Import, NewFile
from .imports import NameTaken, import_edits
from .source import Source
from .tree import Tree, numbered


@dataclass(frozen=True)
class _Written:
    data: bytes
    lines: list[int]


def make(tree: Tree, context: Context, changes: Sequence[Change]) -> None:
    """Make changes that do not collide, all or none.

    Raises:
        Refused: A file would not pass; nothing is changed.
    """
    made: dict[str, _Written] = {}
    paths = {each.path for change in changes for each in change.edits}
    paths |= {each.path for change in changes for each in change.imports}
    for path in sorted(paths):
        made[path] = _file(tree, context, path, changes)
    for new in (each for change in changes for each in change.files):
        made[new.path] = _extended(tree, new, made.get(new.path))
    for path, written in made.items():
        tree.write(path, written.data, written.lines)


def _file(tree: Tree, context: Context, path: str, changes: Sequence[Change]) -> _Written:
    """Return one file with the edits and the imports of all changes."""
    if not tree.is_ours(path):
        raise Refused(f"{path} is a link, or outside of the repository; mend the file that it points to")
    data = tree.read(path)
    if data is None:
        raise Refused(f"there is no {path}")
    source = _source(context, path)
    check_reads(source, data)
    edits = [edit for change in changes for edit in change.edits if edit.path == path]
    imports = [each for change in changes for each in change.imports if each.path == path]
    replaces = [name for change in changes for name in change.replaces]
    text, lines = _edited(source, edits, tree.lines.get(path) or numbered(data))
    if path.endswith(".py"):
        check(source, text, edits, replaces)
        text, lines = _imported(Source(path, text, source.encoding), imports, lines)
    return _Written(encoded(source, text), lines)


def _source(context: Context, path: str) -> Source:
    try:
        return context.source(path)
    except (SyntaxError, UnicodeDecodeError, OSError):
        raise Refused(f"{path} cannot be read") from None


def _edited(source: Source, edits: Sequence[Edit], lines: Sequence[int]) -> tuple[str, list[int]]:
    try:
        return edited(source, edits), origins(source, edits, lines)
    except ValueError as error:
        raise Refused(str(error)) from None


def _imported(source: Source, imports: Sequence[Import], lines: list[int]) -> tuple[str, list[int]]:
    """Return a file's text with its imports, checked once more."""
    try:
        edits = import_edits(source, imports)
    except NameTaken as error:
        raise Refused(str(error)) from None
    if not edits:
        return source.text, lines
    text, lines = _edited(source, edits, lines)
    check(source, text, edits, ())
    return text, lines


def _extended(tree: Tree, new: NewFile, already: _Written | None) -> _Written:
    """Return a file with the lines of a change that it does not have yet."""
    if not tree.is_ours(new.path):
        raise Refused(f"{new.path} is a link, or outside of the repository")
    data = already.data if already else tree.read(new.path) or b""
    lines = already.lines if already else tree.lines.get(new.path) or numbered(data)
    known = {_key(line) for line in data.decode("utf-8", "replace").splitlines()}
    missing = [line for line in dict.fromkeys(new.lines) if _key(line) not in known]
    if not missing:
        return _Written(data, lines)
    end = b"\r\n" if b"\r\n" in data else b"\n"
    if data and not data.endswith((b"\n", b"\r")):
        data += end
    data += b"".join(line.encode() + end for line in missing)
    return _Written(data, lines + [lines[-1]] * (len(numbered(data)) - len(lines)))


def _key(line: str) -> str:
    """Return what makes a line the same as another: of `NAME=value` the name."""
    line = line.strip()
    name, equals, _ = line.partition("=")
    return name.strip() if equals and not line.startswith("#") else line
