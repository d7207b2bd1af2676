"""The fixers, one file per rule that is mended."""

from __future__ import annotations

from ..fixer import Fixer
from . import (
    connect_per_request,
    debug_on,
    dev_server,
    global_shared_connection,
    hardcoded_credentials,
    insecure_cookie,
    leaked_connection,
    missing_rollback,
    n_plus_one,
    pool_at_import,
    random_secret_key,
    sql_injection,
    unbounded_select,
)

FIXERS: tuple[Fixer, ...] = (
    sql_injection.FIXER,
    hardcoded_credentials.FIXER,
    random_secret_key.FIXER,
    insecure_cookie.FIXER,
    dev_server.FIXER,
    debug_on.FIXER,
    connect_per_request.FIXER,
    global_shared_connection.FIXER,
    pool_at_import.FIXER,
    leaked_connection.FIXER,
    missing_rollback.FIXER,
    n_plus_one.FIXER,
    unbounded_select.FIXER,
)


def fixers_of(*rules: str) -> tuple[Fixer, ...]:
    """Return the fixers that answer one of these rules, by slug; all when none is named."""
    return tuple(each for each in FIXERS if not rules or set(each.rules) & set(rules))
