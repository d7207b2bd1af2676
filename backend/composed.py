"""Turns `psycopg2.sql` objects into text without a connection, for statements that are built once.

psycopg2 asks the connection to quote identifiers; PostgreSQL's rule for it needs none: double the quotes. Values
stay parameters. Knows nothing of nodes. If this is wrong, a name becomes code.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg2.sql import SQL, Composable, Composed, Identifier, Placeholder

from .errors import NodeError


def text_of(template: str | Composable) -> str:
    """Return the text of a template.

    Raises:
        NodeError: it is neither text nor `psycopg2.sql`, or holds a value.
    """
    if isinstance(template, str):
        return template
    if isinstance(template, Composable):
        return "".join(_parts(template))
    raise NodeError(f"a template is text or a psycopg2.sql object, not {type(template).__name__}")


def quoted(name: str) -> str:
    """Quote one identifier, as PostgreSQL reads it.

    Raises:
        NodeError: it is empty or holds a NUL.
    """
    if not name or "\0" in name:
        raise NodeError(f"{name!r} cannot be an identifier: it is empty or holds a NUL")
    return '"' + name.replace('"', '""') + '"'


def _parts(template: Composable) -> Iterator[str]:
    if isinstance(template, Composed):
        for part in template.seq:
            yield from _parts(part)
    elif isinstance(template, SQL):
        yield template.string
    elif isinstance(template, Identifier):
        yield ".".join(map(quoted, template.strings)).replace("%", "%%")  # as in any text with parameters
    elif isinstance(template, Placeholder) and template.name is not None:
        yield f"%({template.name})s"
    else:
        raise NodeError(
            f"{template!r} in a nested query: values go by parameters; write %(name)s or sql.Placeholder('name')"
        )
