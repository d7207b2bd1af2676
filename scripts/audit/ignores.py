"""`# harden: ignore[RULE, RULE] reason`: comments by which people say that they know.

It counts on the finding's line, on the line above, and on any line of the finding's statement, so that formatters
and multi-line strings do not part the two. In other files than Python any comment sign will do. What is wrong with
a comment (no reason, nothing to ignore) is a finding of its own, or dead ones would pile up.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .finding import Place
from .model.code import Module
from .model.project import Project

COMMENT = re.compile(r"harden:\s*ignore\[(?P<rules>[^\]\n]*)\](?P<reason>.*)")
_ELSEWHERE = re.compile(r"(?:#|--|//|/\*|<!--|;|\{#)\s*(?P<comment>harden:\s*ignore\[.*)")
_END = re.compile(r"\s*(\*/|-->|#\}|#.*)?\s*$")


@dataclass(frozen=True)
class Ignore:
    """One comment.

    Attributes:
        words: The rules as they are written.
        lines: The lines of the file that it speaks for.
    """

    place: Place
    words: tuple[str, ...]
    reason: str
    lines: range


def ignores(project: Project) -> list[Ignore]:
    """Return every comment, in the order of files and lines."""
    found = [each for module in project.modules for each in _in_module(module)]
    for path in project.files:
        try:
            text = project.text(path)
        except OSError:
            continue  # whoever looks at this file reports that
        if "harden:" in text:
            found.extend(_in_text(path, text))
    return sorted(found, key=lambda each: each.place)


def _in_module(module: Module) -> Iterator[Ignore]:
    if not any("harden:" in line for line in module.lines):
        return
    statements = _statements(module.tree)
    for token in _comments(module.lines):
        match = COMMENT.search(token.string)
        if match:
            line, col = token.start
            is_alone = not token.line[:col].strip()
            spoken_for = _spoken_for(line, is_alone, statements, module.lines)
            yield _ignore(match, Place(module.path, line, col + match.start() + 1), spoken_for)


def _comments(lines: Sequence[str]) -> Iterator[tokenize.TokenInfo]:
    reader = io.StringIO("\n".join(lines) + "\n").readline
    try:
        for token in tokenize.generate_tokens(reader):
            if token.type == tokenize.COMMENT:
                yield token
    except (tokenize.TokenError, SyntaxError):
        return  # it parsed, so what is behind this point is no statement


def _statements(tree: ast.Module) -> list[range]:
    """Return the lines of each statement; of one with a body, those of its header."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
            end = max(first, body[0].lineno - 1) if body else node.end_lineno or node.lineno
            found.append(range(first, end + 1))
    return found


def _spoken_for(line: int, is_alone: bool, statements: list[range], lines: Sequence[str]) -> range:
    """Return the lines of the statement that a comment is in or, alone on its line, is above."""
    around = [each for each in statements if line in each]
    if around:
        return min(around, key=len)
    if not is_alone:
        return range(line, line + 1)
    below = line + 1
    while below <= len(lines) and lines[below - 1].strip().startswith("#"):
        below += 1
    return next((range(line, each.stop) for each in statements if below in each), range(line, below + 1))


def _in_text(path: str, text: str) -> Iterator[Ignore]:
    for number, line in enumerate(text.splitlines(), 1):
        match = _ELSEWHERE.search(line)
        inner = COMMENT.search(match["comment"]) if match else None
        if match and inner:
            is_alone = not line[: match.start()].strip()
            spoken_for = range(number, number + (2 if is_alone else 1))
            yield _ignore(inner, Place(path, number, match.start("comment") + 1), spoken_for)


def _ignore(match: re.Match[str], place: Place, lines: range) -> Ignore:
    return Ignore(place, *words_of(match), lines)


def words_of(match: re.Match[str]) -> tuple[tuple[str, ...], str]:
    """Return the rules that a match of COMMENT names, as written, and the reason."""
    words = tuple(word.strip() for word in match["rules"].split(",") if word.strip())
    return words, _END.sub("", match["reason"], count=1).strip(" :-")
