"""Says once why a nested query is slow, when it was: which index it lacks.

Without the index of a child's foreign key each parent row reads the whole table, and a document takes seconds.
Whoever has not run `check` finds it here, in the log, with the statement that ends it.
Must not import Flask, the pool or nodes. If this is wrong, a slow document says nothing, or a fast one talks.
"""

from __future__ import annotations

import logging
from typing import Any

from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from .nodecheck import check

log = logging.getLogger(__name__)
SLOW = 0.5  # seconds; a document with its indexes takes milliseconds, with 2,000 children a tenth of a second


def say_why(conn: Any, node: Any, seconds: float) -> bool:
    """Log what the node lacks; returns False when it could not be asked and should be the next time.

    Args:
        conn: the connection that it ran on; not asked while a transaction is open.
        node: the node.
        seconds: how long it took.
    """
    if conn.get_transaction_status() != TRANSACTION_STATUS_IDLE:
        return False
    try:
        problems = check(conn, node)
    except Exception:
        log.debug("%r was slow, and why could not be checked", node, exc_info=True)
        return False  # the document is there, and must not be lost to whatever disturbed the check
    for problem in problems:
        log.warning("%s took %.2f s: %s; %s", problem.node, seconds, problem.message, problem.fix)
    return True
