"""H110: statements that change the session, which a pooler or a pool hands to somebody else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Confidence, Evidence, Finding, Place, Severity
from ..model.code import Call
from ..model.project import Project
from ..model.values import constants, texts
from ..rule import Rule
from .repository_text import first_mention
from .running import running
from .vendored_kit import is_of_kit

SET = re.compile(
    r"^set\s+(?!local\b|transaction\b|constraints\b)(session\s+)?[\w.]+(\s+zone\b)?\s*(=|to\b|\s['\"\w])", re.I
)
FEATURES = (
    (SET, "SET", "use SET LOCAL in the transaction, or ALTER ROLE ... SET"),
    (re.compile(r"\bset_config\s*\([^()]*,\s*(false|'f')\s*\)", re.I), "set_config(..., false)",
     "pass true, for this transaction"),
    (re.compile(r"^(un)?listen\s+[\w\"]+", re.I), "LISTEN",
     "listen on a connection of its own that goes past the pooler"),
    (re.compile(r"\bpg_(try_)?advisory_lock(_shared)?\s*\(", re.I | re.S), "a session's advisory lock",
     "use pg_advisory_xact_lock()"),
    (re.compile(r"^prepare\s+[\w\"]+\s*(\([^)]*\))?\s+as\b", re.I), "PREPARE", "send the statement itself"),
    (re.compile(r"^create\s+(local\s+|global\s+)?temp(orary)?\s+table\b(?!.*\bon\s+commit\s+drop\b)", re.I | re.S),
     "a temporary table", "add ON COMMIT DROP"),
    (re.compile(r"^declare\b.*\bwith\s+hold\b", re.I | re.S), "a cursor WITH HOLD",
     "fetch within the transaction"),
)  # fmt: skip
TRANSACTION = re.compile(
    r"^[^#;]*(pool_mode\s*[=:]\s*['\"]?transaction|POOL_MODE\s*[=:]\s*['\"]?transaction)|:6543/", re.I
)
POOLER = re.compile(r"^[^#;]*(pgbouncer|:6432/|pgcat|supavisor)", re.I)
SESSION = re.compile(r"^[^#;]*pool_mode\s*[=:]\s*['\"]?session", re.I)


def _check(project: Project) -> Iterator[Finding]:
    when = running(project)
    found = []
    for call in project.calls("execute", "cursor"):
        if not is_of_kit(project, call.function.path) and when.is_served(call.function):
            feature = _feature(call)
            if feature:
                found.append((call, *feature))
    if not found:
        return
    severity, confidence, pooler = _grade(project)
    shown = (Evidence(pooler, "the pooler in front of the database"),) if pooler else ()
    for call, what, fix in found:
        message = f"{what} changes the session, and the next user of this connection inherits it"
        yield RULE.at(
            call.place, message, fix=f"{fix[0].upper()}{fix[1:]}.", severity=severity, confidence=confidence,
            evidence=shown, routes=project.reach.routes(call.function),
        )  # fmt: skip


def _feature(call: Call) -> tuple[str, str] | None:
    """Return what of the session a call changes, and what to do instead."""
    if call.does == "cursor":
        held = True in set(constants(call.keywords.get("withhold", frozenset())))
        return ("a cursor WITH HOLD", "fetch within the transaction") if held else None
    for text in texts(call.sql):
        sql = text.with_holes("x").strip()
        for pattern, what, fix in FEATURES:
            if pattern.search(sql):
                return what, fix
    return None


def _grade(project: Project) -> tuple[Severity, Confidence, Place | None]:
    """Return how bad it is: PgBouncer in transaction mode breaks it, without a pooler only a pool hands it on."""
    transaction = first_mention(project, TRANSACTION)
    if transaction:
        return Severity.high, Confidence.high, transaction
    pooler = None if first_mention(project, SESSION) else first_mention(project, POOLER)
    if pooler:
        return Severity.medium, Confidence.medium, pooler
    return Severity.low, Confidence.low, None


RULE = Rule(
    id="H110",
    name="session-state",
    finds="What lives in a database session: `SET` without `LOCAL`, `LISTEN`, session advisory locks, `PREPARE`,"
    " temporary tables, cursors `WITH HOLD`.",
    why="Behind PgBouncer in transaction mode the next transaction runs in another session: the setting is gone,"
    " the lock"
    " stays with a stranger, the temporary table or prepared statement `does not exist`. Within a pool the next"
    " request"
    " inherits the setting.",
    fix="Keep it within the transaction (`SET LOCAL`, `pg_advisory_xact_lock`, `ON COMMIT DROP`), or set it for"
    " the role.",
    leaves_alone=(
        "`SET LOCAL`, `SET TRANSACTION`, `SET CONSTRAINTS` and transaction advisory locks.",
        "Temporary tables `ON COMMIT DROP`.",
        "Scripts and start-up code.",
        "Repositories without a sign of a pooler get it as low.",
    ),
    severity=Severity.low,
    check=_check,
    example="import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/')\ndef home():\n"
    "    conn = psycopg2.connect('dbname=app')\n    try:\n"
    "        conn.cursor().execute('SET search_path TO shop')\n"
    "        return ''\n    finally:\n        conn.close()\n",
    instead="import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/')\ndef home():\n"
    "    conn = psycopg2.connect('dbname=app')\n    try:\n"
    "        conn.cursor().execute('SET LOCAL search_path TO shop')\n"
    "        return ''\n    finally:\n        conn.close()\n",
)
