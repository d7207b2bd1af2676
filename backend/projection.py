"""The few columns of a user, a tenant or a role that every request asks for: one query, then none.

    users = user_projection(cache, "SELECT id, tenant_id, role_id, active FROM users WHERE id = %(key)s")
    user = users.get(7)                        # once per request, and across requests for five minutes
    users.changed(7, conn=conn)                # with the UPDATE, in its transaction

The row comes as PostgreSQL's own JSON, so it is the same whether it was cached or not: times are text, numerics
are floats. If this is wrong, somebody keeps rights that were taken from him.
"""

from __future__ import annotations

import json
from typing import Any

from . import scope
from .cache import Cache
from .cache_keys import encoded
from .database_helper import get_db_connection
from .errors import CacheError

USER_TTL, ROLE_TTL, TENANT_TTL = 300.0, 900.0, 3600.0  # seconds
NEGATIVE_TTL = 10.0  # a user who was created meanwhile waits no longer than that


class Projection:
    """One SELECT of one row by its key, cached.

    Args:
        name: unique in the cache: "user".
        query: a SELECT of few columns with `%(key)s` in it; it returns one row or none.
        cache: where rows are kept; a view by tenant where keys repeat in tenants.
        ttl: seconds that a row is kept.
        negative_ttl: seconds that "there is none" is kept; None does not keep it.

    Raises:
        CacheError: the query has no %(key)s.
    """

    def __init__(
        self,
        name: str,
        query: str,
        cache: Cache,
        ttl: float = USER_TTL,
        negative_ttl: float | None = NEGATIVE_TTL,
    ) -> None:
        if "%(key)s" not in query:
            raise CacheError(f"the query of the projection {name} needs %(key)s, by which a row is found")
        self.name, self._cache, self._ttl, self._negative_ttl = name, cache, ttl, negative_ttl
        inner = query.strip().rstrip(";")
        self._query = f"SELECT row_to_json(projected)::text FROM (\n{inner}\n) AS projected LIMIT 2"

    def within(self, **parts: Any) -> Projection:
        """Return the same projection in a view of the cache: `users.within(tenant=7)`."""
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__, _cache=self._cache.within(**parts))
        return view

    def get(self, key: Any, conn: Any = None) -> dict[str, Any] | None:
        """Return the row, None where there is none. It is the caller's own: changing it changes nothing else.

        Args:
            key: text, a number or a UUID.
            conn: asks the database where it must be asked; the request's own connection when None.

        Raises:
            CacheError: the query returns more than one row, or the key is of another type.
        """
        tag = self._tag(key)
        current = scope.current()
        seen = current.kept if current is not None and current.is_of_request else {}
        text = seen.get((self, tag))
        if text is None:
            row = self._cache.get_or_load(
                tag, lambda: self._load(key, conn), self._ttl, [tag], self._negative_ttl
            )  # fmt: skip
            text = json.dumps(row)
            seen.setdefault((self, tag), text)
        found: dict[str, Any] | None = json.loads(text)
        return found

    def changed(self, key: Any, conn: Any = None) -> None:
        """Say that a row changes: it is asked for anew once `conn` has committed; see `Cache.invalidate`."""
        tag = self._tag(key)
        current = scope.current()
        if current is not None and current.is_of_request:
            current.kept[self, tag] = None  # the cache's to answer from here on: this may be rolled back yet
        self._cache.invalidate(tag, conn=conn)

    def _tag(self, key: Any) -> str:
        return f"{self.name}:{encoded(key)}"

    def _load(self, key: Any, conn: Any) -> Any:
        if conn is not None:
            return self._asked(conn, key)
        with get_db_connection() as own:
            return self._asked(own, key)

    def _asked(self, conn: Any, key: Any) -> Any:
        with conn.cursor() as cursor:
            cursor.execute(self._query, {"key": key})
            rows = [next(iter(row.values())) if isinstance(row, dict) else row[0] for row in cursor.fetchall()]
        if len(rows) > 1:
            raise CacheError(f"the projection {self.name} found several rows for one key; its query needs a key")
        return json.loads(rows[0]) if rows else None


def user_projection(cache: Cache, query: str, name: str = "user") -> Projection:
    """Return a projection of users, kept for five minutes."""
    return Projection(name, query, cache, USER_TTL)


def role_projection(cache: Cache, query: str, name: str = "role") -> Projection:
    """Return a projection of roles and what they may, kept for a quarter of an hour."""
    return Projection(name, query, cache, ROLE_TTL)


def tenant_projection(cache: Cache, query: str, name: str = "tenant") -> Projection:
    """Return a projection of tenants, kept for an hour."""
    return Projection(name, query, cache, TENANT_TTL)
