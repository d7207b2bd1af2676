"""CSV, NDJSON and a JSON array: the SQL that makes PostgreSQL write them, and the little that is left to Python.

A format knows two roads to the same bytes: the options of COPY, and how to make lines of a cursor's rows. What
it is given comes in pieces of whole rows. Must not import Flask or the pool.
If this is wrong, a file has the right rows in a form that its reader takes for other values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import StreamError

BOM = b"\xef\xbb\xbf"
# Types whose text cannot begin a formula, or is a number that a spreadsheet may well read as one: booleans,
# numbers, oid, dates and times, uuid, bytea. Everything else is guarded, as it may be a user's text.
HARMLESS = frozenset({16, 17, 20, 21, 23, 26, 700, 701, 790, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 2950})
_NO_DELIMITERS = "\"'\r\n\\.0123456789abcdefghijklmnopqrstuvwxyz "


@dataclass(frozen=True)
class CsvDialect:
    """How a CSV is written; what is not here is as COPY writes it: NULL is empty, an empty text is `""`.

    Attributes:
        delimiter: one ASCII character.
        newline: what ends a row, "\\n" or "\\r\\n"; line ends inside of values stay as they are.
        bom: begin with a byte order mark, by which Excel knows UTF-8.
        escape_formulas: put a ' before texts that begin with = + - @, a tab or a carriage return, so that a
            spreadsheet shows them instead of running them.

    Raises:
        StreamError: a delimiter or newline that no CSV can have.
    """

    delimiter: str = ","
    newline: str = "\n"
    bom: bool = False
    escape_formulas: bool = False

    def __post_init__(self) -> None:
        is_one = isinstance(self.delimiter, str) and len(self.delimiter) == 1 and self.delimiter.isascii()
        if not is_one or self.delimiter in _NO_DELIMITERS or self.delimiter == "\0":
            raise StreamError(f"a CSV's delimiter is one sign such as , ; | or a tab, not {self.delimiter!r}")
        if self.newline not in ("\n", "\r\n"):
            raise StreamError(f"a CSV's newline is \\n or \\r\\n, not {self.newline!r}")


CSV = CsvDialect()
CSV_RFC4180 = CsvDialect(newline="\r\n")
CSV_SPREADSHEET = CsvDialect(newline="\r\n", bom=True, escape_formulas=True)


class Csv:
    """Rows as CSV, with a line of column names.

    Attributes:
        torn: what ends a stream that was cut: the quote never closes, so a strict reader refuses the file and
            a lenient one shows the words.
    """

    torn = b'"INCOMPLETE: the export was cut off here'
    has_header = True

    def __init__(self, dialect: CsvDialect) -> None:
        self._dialect = dialect
        self._delimiter = dialect.delimiter.encode()
        self._needs_quotes = re.compile(b'["\r\n' + re.escape(self._delimiter) + b"]").search
        self._has_begun = False

    @property
    def copy_options(self) -> str:
        return f"FORMAT csv, HEADER, DELIMITER E'\\x{ord(self._dialect.delimiter):02x}', ENCODING 'UTF8'"

    @property
    def wants_columns(self) -> bool:
        """Whether `select` needs to know the columns."""
        return self._dialect.escape_formulas

    def select(self, query: bytes, columns: Sequence[Any]) -> bytes:
        """Return the SELECT whose rows are written."""
        if not self._dialect.escape_formulas:
            return query
        names = [f"c{number}" for number in range(len(columns))]
        guarded = [_guarded(*pair) for pair in zip(names, columns)]  # noqa: B905 -- of one length
        shown = ", ".join(f"{value} AS {_quoted_name(one.name)}" for value, one in zip(guarded, columns))  # noqa: B905
        return b"SELECT %s FROM (\n%s\n) r (%s)" % (shown.encode(), query, ", ".join(names).encode())

    def header(self, columns: Sequence[Any], encoding: str) -> bytes:
        """Return the line of names, as COPY writes it."""
        return self.lines([[one.name.encode(encoding) for one in columns]])

    def lines(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """Return rows of bytes and None, as COPY writes them."""
        field = self._lone_field if len(rows[0]) == 1 else self._field
        return b"".join([self._delimiter.join(map(field, row)) + b"\n" for row in rows])

    def _lone_field(self, value: bytes | None) -> bytes:
        return b'"\\."' if value == b"\\." else self._field(value)  # alone on a line it once ended COPY's data

    def _field(self, value: bytes | None) -> bytes:
        if value is None:
            return b""
        if value and self._needs_quotes(value) is None:
            return value
        return b'"%s"' % value.replace(b'"', b'""')

    def render(self, piece: bytes) -> bytes:
        """Return a piece of COPY's CSV in this dialect."""
        text = piece if self._dialect.newline == "\n" else self._with_newlines(piece)
        if self._has_begun or not self._dialect.bom:
            return text
        self._has_begun = True
        return BOM + text

    def _with_newlines(self, piece: bytes) -> bytes:
        newline = self._dialect.newline.encode()
        if b'"' not in piece:
            return piece.replace(b"\n", newline)
        parts = piece.split(b'"')  # every second one stands within quotes; a quote inside is two
        parts[::2] = [part.replace(b"\n", newline) for part in parts[::2]]
        return b'"'.join(parts)

    def finish(self) -> bytes:
        """Return what ends a complete stream."""
        return b""


def _guarded(name: str, column: Any) -> str:
    if column.type_code in HARMLESS:
        return name
    text = f"{name}::text"
    return f"CASE WHEN left({text}, 1) IN ('=', '+', '-', '@', E'\\t', E'\\r') THEN '''' || {text} ELSE {text} END"


def _quoted_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class Ndjson:
    """One JSON document per line. PostgreSQL writes them; Python never parses one."""

    torn = b'{"INCOMPLETE'
    has_header = False
    # JSON text has no control characters but line ends, and these only between its tokens. So \x01 is COPY's
    # quote around a document with line ends, and nothing else.
    copy_options = "FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02', ENCODING 'UTF8'"
    wants_columns = True

    def select(self, query: bytes, columns: Sequence[Any]) -> bytes:
        """Return the SELECT of the documents.

        Raises:
            StreamError: two columns have one name.
        """
        names = [one.name for one in columns]
        for name in names:
            if names.count(name) > 1:
                raise StreamError(f"two columns are called {name!r}, and a JSON object has each name once; use AS")
        return b"SELECT row_to_json(r) FROM (\n" + query + b"\n) r"

    def header(self, columns: Sequence[Any], encoding: str) -> bytes:
        return b""

    def lines(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """Return rows of one document each, one a line."""
        return b"".join([_on_one_line(row[0]) + b"\n" for row in rows])

    def render(self, piece: bytes) -> bytes:
        """Return COPY's lines with each document on one."""
        if b"\x01" not in piece:
            return piece
        parts = piece.split(b"\x01")
        parts[1::2] = [_on_one_line(part) for part in parts[1::2]]
        return b"".join(parts)

    def finish(self) -> bytes:
        return b""


def _on_one_line(document: bytes) -> bytes:
    """A column of type json keeps the line ends that it was stored with."""
    if b"\n" not in document and b"\r" not in document:
        return document
    return document.replace(b"\r", b" ").replace(b"\n", b" ")


class JsonArray(Ndjson):
    """One JSON array of all rows: `[` document `,` newline document `]`. It ends only when all is there."""

    torn = b""  # without its `]` it is no JSON already

    def __init__(self) -> None:
        self._before = b"["

    def render(self, piece: bytes) -> bytes:
        text = self._before + super().render(piece)[:-1].replace(b"\n", b",\n")
        self._before = b",\n"
        return text

    def finish(self) -> bytes:
        return b"[]" if self._before == b"[" else b"]"
