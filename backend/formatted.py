"""A nested query whose document writes its values as the app did before; see formats.py for how.

Which columns need it is PostgreSQL's to say: at the first call each node's columns are described by a query of
no rows. A child refers to its parent's row, so it is described inside the parent's FROM clause.
Must not import Flask or the pool. If this is wrong, a column is written in two ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import selectlist
from .composed import quoted
from .errors import NodeError
from .formats import Formats, expression
from .nested import Node, check_parameters, filled, parsed
from .prepared import Statement
from .sqltext import Token, excerpt, rendered


class Formatted:
    """A node with formats; made by `formatted`.

    Attributes:
        node: the node.
        formats: how its values are written.
    """

    def __init__(self, node: Node, formats: Formats) -> None:
        self.node = node
        self.formats = formats
        self._statement: Statement | None = None

    def json(self, conn: Any, /, **parameters: Any) -> bytes | None:
        """Run the statement and return its JSON text; as `Node.json`."""
        check_parameters(self.node, parameters)
        return self.statement(conn, **parameters).run(conn, parameters)

    def fetch(self, conn: Any, /, **parameters: Any) -> Any:
        """Run the statement and return it parsed."""
        return parsed(self.json(conn, **parameters))

    def statement(self, conn: Any, /, **parameters: Any) -> Statement:
        """Return the statement, made for the types that the columns have; once per process.

        Raises:
            psycopg2.Error: what the server said of the query.
            NodeError: a hole stands where its child's columns cannot be described.
        """
        made = self._statement
        if made is None:  # threads that come at once make the same
            body = _Describer(conn, parameters, self.formats).body((self.node,))
            made = self._statement = Statement(self.node.document_of(body))
        return made

    def __repr__(self) -> str:
        return f"<{self.node!r} as {self.formats}>"


def formatted(node: Node, formats: Formats) -> Formatted:
    """Return the node with its document's values written in these formats, its children's included."""
    return Formatted(node, formats)


class _Describer:
    def __init__(self, conn: Any, parameters: Mapping[str, Any], formats: Formats) -> None:
        self._conn = conn
        self._parameters = parameters
        self._formats = formats

    def body(self, path: tuple[Node, ...]) -> str:
        """Return the SELECT of a path's last node with its columns written in the formats."""
        node = path[-1]
        columns = {
            name: child.as_column(name, self.body((*path, child))) for name, child in node.children.items()
        }
        text = filled(node.tokens, columns)
        written = []
        is_changed = False
        for name, oid, scale in self._columns(path):
            column = f"f.{quoted(name)}"
            special = expression(self._formats, column, oid, scale)
            written.append(column if special is None else f"{special} AS {quoted(name)}")
            is_changed = is_changed or special is not None
        listed = ", ".join(written).replace("%", "%%")
        return f"SELECT {listed} FROM ({text}) f" if is_changed else text

    def _columns(self, path: Sequence[Node]) -> list[tuple[str, int, Any]]:
        with self._conn.cursor() as cursor:
            cursor.execute(f"SELECT * FROM ({_framed(path)}) d LIMIT 0", self._parameters)
            return [(column[0], column[1], column[5]) for column in cursor.description or ()]


def _framed(path: Sequence[Node]) -> str:
    """Return a SELECT of the last node's columns, its holes empty, where its parents' rows are in sight."""
    inner = _text(path[-1].tokens)
    for parent, child in zip(reversed(path[:-1]), reversed(path[1:])):  # noqa: B905 -- of one length
        select = selectlist.split(list(parent.tokens))
        name = next(name for name, each in parent.children.items() if each is child)
        if select is None or [name] not in [[token.text for token in column] for column in select.columns]:
            raise NodeError(
                f"{{{name}}} must stand in the outermost SELECT list of «{excerpt(parent.template)}» for formats"
            )
        sources = _text(select.sources).strip() or "(SELECT) none"
        inner = f"{_text(select.before)} SELECT k.* FROM {sources}, LATERAL ({inner}) k"
    return inner


def _text(tokens: Sequence[Token]) -> str:
    empty = [
        Token("mark", f'NULL::json AS "{token.text}"', 0) if token.kind == "hole" else token for token in tokens
    ]
    return "".join(rendered(empty))
