"""A Python file as it is edited: its exact text, and where the nodes of its tree stand in it.

Line ends, tabs, byte-order mark and encoding are those of the file and come back as they were. Positions are
offsets into `text`, in characters; the tree counts columns in UTF-8 bytes. Nothing here changes a file. If this is
wrong, an edit lands beside what it was meant for.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from functools import cached_property

from ..audit.model.reading import parsed

ENDS = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Source:
    """A file's text.

    Attributes:
        path: Relative to the repository, with slashes.
        text: Decoded, with its own line ends, without byte-order mark.
        encoding: As Python reads it: "utf-8", "utf-8-sig", "iso-8859-1", ...
    """

    path: str
    text: str
    encoding: str = "utf-8"

    @classmethod
    def read(cls, path: str, data: bytes) -> Source:
        """Decode a file as Python does.

        Raises:
            SyntaxError: It declares an encoding that does not exist.
            UnicodeDecodeError: It is not in its encoding.
        """
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return cls(path, data.decode(encoding), encoding)

    def encoded(self, text: str) -> bytes:
        """Return another text of this file as bytes."""
        return text.encode(self.encoding)

    @cached_property
    def newline(self) -> str:
        """The line end that is used most."""
        found = ENDS.findall(self.text)
        return max(sorted(set(found)), key=found.count, default="\n")

    @cached_property
    def starts(self) -> list[int]:
        """The offset at which each line starts, as the tree counts lines: at CR, LF and CRLF alone."""
        return [0, *(match.end() for match in ENDS.finditer(self.text))]

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree; it is this object's own, so its nodes are not those of the audit.

        Raises:
            SyntaxError: The file does not parse.
        """
        return parsed(self.text)

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a place as the tree gives it: a line from 1, a column in UTF-8 bytes from 0."""
        start = self.starts[line - 1]
        end = self.starts[line] if line < len(self.starts) else len(self.text)
        text = self.text[start:end]
        return start + (column if text.isascii() else len(text.encode()[:column].decode(errors="replace")))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return where a node starts and ends."""
        line, column = node.lineno, node.col_offset  # type: ignore[attr-defined]
        end_line, end_column = node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]
        return self.offset(line, column), self.offset(end_line, end_column)

    def segment(self, node: ast.AST) -> str:
        """Return a node's text."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_start(self, line: int) -> int:
        """Return the offset at which a line starts; the text's end for the line after the last."""
        return self.starts[line - 1] if line <= len(self.starts) else len(self.text)

    def line(self, line: int) -> str:
        """Return a line without its end."""
        return self.text[self.line_start(line) : self.line_start(line + 1)].rstrip("\r\n")

    def indent(self, node: ast.AST) -> str:
        """Return the white space in front of the line that a node starts in."""
        text = self.line(node.lineno)  # type: ignore[attr-defined]
        return text[: len(text) - len(text.lstrip())]

    @cached_property
    def step(self) -> str:
        """Return what one level of indentation is in this file: a tab, or so many spaces."""
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.If, ast.For, ast.With)):
                body = node.body
                outer, inner = self.indent(node), self.indent(body[0])
                if len(inner) > len(outer) and inner.startswith(outer):
                    return inner[len(outer) :]
        return "    "
