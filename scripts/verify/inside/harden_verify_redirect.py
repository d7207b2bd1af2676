"""Sends every psycopg2 connection of a process to the copy of the database, whatever the code names.

Runs inside the app's interpreter and changes the location alone: options, application_name and the like stay as
the app gives them, and `psycopg2.connect` stays the function that it was. If this were wrong, a verification could
write to the database that a repository has in its settings.
"""

from __future__ import annotations

import os
from typing import Any

LOCATION = ("host", "hostaddr", "port", "dbname", "user", "password", "passfile", "service", "sslmode", "sslcert",
            "sslkey", "sslrootcert", "gssencmode", "channel_binding", "require_auth",
            "target_session_attrs")  # fmt: skip


def install() -> None:
    """Replace what `psycopg2.connect` calls; does nothing where there is no psycopg2 or no copy."""
    target = os.environ.get("_HARDEN_VERIFY_DSN")
    try:
        import psycopg2
        from psycopg2.extensions import make_dsn, parse_dsn
    except ImportError:
        return
    driver: Any = psycopg2  # its private `_connect` is not in the type stubs
    if not target or getattr(driver._connect, "harden_verify", False):
        return
    original = driver._connect
    place = parse_dsn(target)

    def _connect(dsn: str, *arguments: Any, **options: Any) -> Any:
        try:
            kept = {name: value for name, value in parse_dsn(dsn).items() if name not in LOCATION}
        except psycopg2.ProgrammingError:
            return original(dsn, *arguments, **options)  # let it say itself what is wrong with it
        return original(make_dsn(**{**kept, **place}), *arguments, **options)

    _connect.harden_verify = True  # type: ignore[attr-defined]
    driver._connect = _connect
