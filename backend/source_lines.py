"""What a line of source is part of: its statement, the comments on it, its function, a loop around it.

Read from the file when somebody asks about a line that repeats, and kept; that takes some milliseconds once a
file. A file that is gone, or is no Python, has nothing to say: every answer is "not known".
Knows nothing of queries. If this is wrong, a comment is overlooked, or a helper is blamed for its caller's loop.
"""

from __future__ import annotations

import ast
import io
import linecache
import tokenize
from collections.abc import Iterator
from functools import lru_cache

FILES = 200  # whose facts are kept
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Source:
    """One file.

    Attributes:
        comments: the comments by line; the ones that stand alone on their line begin the text with a blank.
        spans: first and last line of each statement; of a compound one, the lines of its head.
        loops: first and last line of what runs again and again, with the function's first line that it is in.
        functions: first and last line of each function.
    """

    def __init__(self, text: str) -> None:
        self.comments: dict[int, str] = {}
        self.spans: list[tuple[int, int]] = []
        self.loops: list[tuple[int, int]] = []
        self.functions: list[tuple[int, int]] = []
        try:
            tree = ast.parse(text)
            self._read_comments(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
            return
        for node in ast.walk(tree):
            self._read(node)

    def _read_comments(self, text: str) -> None:
        if "harden:" not in text:
            return
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                is_alone = not token.line[: token.start[1]].strip()
                self.comments[token.start[0]] = " " * is_alone + token.string

    def _read(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            self.spans.append(_span(node))
        if isinstance(node, _FUNCTIONS):
            self.functions.append((node.lineno, node.end_lineno or node.lineno))
        if isinstance(node, _LOOPS):
            # what is looped over is asked for once; a condition each time
            first = node.lineno if isinstance(node, ast.While) else node.body[0].lineno
            self.loops.append((first, node.body[-1].end_lineno or node.lineno))
        elif isinstance(node, _COMPREHENSIONS):
            self.loops += _called_again(node)

    def statement(self, line: int) -> tuple[int, int]:
        """Return the first and the last line of the statement that a line is in."""
        around = [span for span in self.spans if span[0] <= line <= span[1]]
        return min(around, key=lambda span: span[1] - span[0], default=(line, line))

    def is_in_loop(self, line: int) -> bool:
        """Tell whether a line runs again and again within one call of its function."""
        functions = [span for span in self.functions if span[0] <= line <= span[1]]
        first, _ = max(functions, default=(0, 0))
        return any(start <= line <= end and start >= first for start, end in self.loops)

    def comments_on(self, line: int) -> Iterator[str]:
        """Yield the comments on the lines of a statement, and those that stand alone right above it."""
        if not self.comments:
            return
        first, last = self.statement(line)
        yield from (self.comments[at] for at in range(first, last + 1) if at in self.comments)
        at = first - 1
        while self.comments.get(at, "").startswith(" "):
            yield self.comments[at]
            at -= 1


def _called_again(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> list[tuple[int, int]]:
    """Return the lines of what a comprehension calls for each row; often it makes tuples, and calls nothing."""
    once = set(ast.walk(node.generators[0].iter))
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call) and each not in once]
    return [(call.lineno, call.end_lineno or call.lineno) for call in calls]


def _span(node: ast.stmt) -> tuple[int, int]:
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(each.lineno for each in decorators)])
    if not body:
        return first, node.end_lineno or node.lineno
    inside = body[0].lineno if hasattr(body[0], "lineno") else body[0].pattern.lineno
    return first, max(node.lineno, inside - 1)


@lru_cache(maxsize=FILES)
def source_of(name: str) -> Source:
    """Return what is known of a file, by its name as it stands in a site."""
    return Source("".join(linecache.getlines(name)) if name else "")
