"""A plain HTTP client for tests: one kept connection, no redirects, bytes as they come."""

from __future__ import annotations

import http.client
import json as jsonlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


class HttpClient:
    """Talks to one server.

    Args:
        url: like http://127.0.0.1:8000.
        dsn: the database behind it, for tests that look there.
    """

    def __init__(self, url: str, dsn: str = "") -> None:
        self._where = urlsplit(url)
        self._connection: http.client.HTTPConnection | None = None
        self.dsn = dsn

    def request(
        self, method: str, path: str, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request and return status, headers and body."""
        body = None if json is None else jsonlib.dumps(json).encode()
        sent = {**({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})}
        for is_last_try in (False, True):
            connection = self._connection or http.client.HTTPConnection(
                self._where.hostname or "", self._where.port, timeout=60
            )
            try:
                connection.request(method, path, body, sent)
                response = connection.getresponse()
                answer = response.status, dict(response.getheaders()), response.read()
            except (http.client.RemoteDisconnected, ConnectionError):
                connection.close()
                was_kept, self._connection = self._connection is not None, None
                if is_last_try or not was_kept:
                    raise
                continue  # the server had closed the connection that was kept
            self._connection = None if response.will_close else connection
            if response.will_close:
                connection.close()
            return answer
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the kept connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
