"""A page per parent: the first children of each, and the cursor with which a client reads on.

A cursor is signed in Python, and the parent's document is PostgreSQL's text, which nobody parses. So PostgreSQL
writes what is to be signed in place of each cursor, behind a random mark that is drawn for that execution alone,
and the marks are found in the bytes and exchanged. Text in the data cannot pretend to be a mark.
Must not import Flask. If this is wrong, a client gets a cursor for somebody else's list.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from .cursors import Position, sign
from .errors import NodeError
from .nested import Node, one
from .page_statement import NONCE, ListSql, check_parameters
from .sqltext import code, scan

_MARK = re.compile(rb'"page:([0-9a-f]{32}):((?:[^"\\]|\\.)*)"')
_PARAMETER = re.compile(r"%%|%\((\w+)\)s")


class PagedNode:
    """A node with pages per parent in it; made by `paged`.

    Attributes:
        node: the node.
        sql: its statement, as `Node.sql`.
    """

    def __init__(self, node: Node) -> None:
        if NONCE not in node.parameters:
            raise NodeError(f"{node!r} has no page in it; use it as it is, or put a list's per_parent() into it")
        self.node = node
        self.sql = node.sql

    def json(self, conn: Any, /, **parameters: Any) -> bytes | None:
        """Run the statement; as `Node.json`, with the cursors signed.

        Raises:
            NodeError: a parameter is missing or unknown.
            SettingsError: there is no key to sign with.
            psycopg2.Error: what the server said.
        """
        check_parameters(self.node.parameters - {NONCE}, parameters, self.node)
        nonce = new_nonce()
        body = self.node.json(conn, **{**parameters, NONCE: nonce})
        return None if body is None else with_cursors(body, nonce, parameters)

    def fetch(self, conn: Any, /, **parameters: Any) -> Any:
        """Run the statement and return it parsed, as `Node.fetch`."""
        body = self.json(conn, **parameters)
        return None if body is None else json.loads(body)

    def explain(self, conn: Any, /, **parameters: Any) -> str:
        """Return the plan, as `Node.explain`. Runs the statement."""
        return self.node.explain(conn, **{**parameters, NONCE: ""})


def paged(node: Node) -> PagedNode:
    """Make a node with pages per parent usable: its cursors are signed by the app's key.

    Args:
        node: made by `one` or `many`, with a list's `per_parent(...)` somewhere among its children.

    Raises:
        NodeError: there is no such child.
    """
    return PagedNode(node)


def new_nonce() -> str:
    """Return a mark that no data can contain."""
    return secrets.token_hex(16)


def with_cursors(body: bytes, nonce: str, parameters: Mapping[str, Any]) -> bytes:
    """Exchange the marks in a document for signed cursors.

    Args:
        body: the document.
        nonce: what was sent for this execution.
        parameters: what else was sent.
    """
    mine = nonce.encode()

    def cursor(found: re.Match[bytes]) -> bytes:
        if found[1] != mine:
            return found[0]
        digest, shared, given, values = json.loads(json.loads(b'"' + found[2] + b'"'))
        bound = {**{name: parameters[name] for name in shared}, **given}
        return b'"%s"' % sign(digest, bound, Position("after", tuple(values))).encode()

    return _MARK.sub(cursor, body)


def parent_node(parts: ListSql, digest: str, bound: frozenset[str], given: Mapping[str, str], size: int) -> Node:
    """Return the child node that is a list's first page for its parent's row.

    Args:
        parts: the list.
        digest: the list's, from its `Signer`.
        bound: the parameters that a cursor is bound to.
        given: SQL over the parent's row for some of the list's parameters.
        size: rows of the page.

    Raises:
        NodeError: a parameter that the list has not, or SQL that would not mean the parent's row.
    """
    for name in sorted(given.keys() - parts.parameters):
        known = ", ".join(sorted(parts.parameters)) or "none"
        raise NodeError(f"the list has no parameter {name!r}; it has {known}")
    for name, expression in given.items():
        _check_refers_outside(name, expression, parts)
    page = parts.page(parts.columns, [], f"LIMIT {size} + 1")
    told = "".join(f", '{name}', ({given[name]})::text" for name in sorted(bound & given.keys()))[2:]
    shared = json.dumps(sorted(bound - given.keys()))
    text = f"json_build_array('{digest}', '{shared}'::json, json_build_object({told}), {parts.values()})"
    following = (
        f"(SELECT 'page:' || %({NONCE})s::text || ':' || {text} FROM \"~page\" "
        f'WHERE (SELECT count(*) FROM "~page") > {size} LIMIT 1 OFFSET {size - 1})'
    )
    sql = f"{page} SELECT {parts.items(str(size))} AS items, {following} AS next"
    return one(_PARAMETER.sub(lambda found: f"({given[found[1]]})" if found[1] in given else found[0], sql))


def _check_refers_outside(name: str, expression: str, parts: ListSql) -> None:
    """Refuse an alias of the parent's that the list uses itself: inside of it, it would mean the list's own."""
    tokens = code(scan(expression))
    aliases = {
        first.text.lower()
        for first, then in pairwise(tokens)
        if first.kind in ("word", "name") and then.is_mark(".")
    }
    if not aliases:
        raise NodeError(f"{name}={expression!r} must name the parent's alias, as in {name}='c.id'")
    inner = parts.source.body + (f" {parts.item.body}" if parts.item is not None else "")
    for alias in sorted(aliases & {token.text.lower() for token in scan(inner)}):
        raise NodeError(f"{name}={expression!r}: the list uses {alias!r} itself; give the parent another alias")
