"""H622: a session that holds a transaction and does nothing."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Evidence, Place, Severity
from ...advice import Advice, LiveRule
from ...sizes import seconds_text
from ...target import Target

MOST = 5  # shown
_READ = """
    SELECT pid, usename AS role, application_name AS app, EXTRACT(EPOCH FROM now() - state_change)::float AS age,
           left(query, 120) AS query
    FROM pg_stat_activity
    WHERE datname = current_database() AND state LIKE 'idle in transaction%%' AND pid <> pg_backend_pid()
    ORDER BY state_change
"""


def _check(target: Target) -> Iterator[Advice]:
    idle = [each for each in target.session.rows(_READ, ()) if each.age >= target.options.long]
    if not idle:
        return
    first = idle[0]
    yield RULE.on(
        "sessions", f"{len(idle)} session(s) idle in a transaction for over"
        f" {seconds_text(target.options.long)}, the"
        f" longest for {seconds_text(first.age)} (pid {first.pid}, {first.role} {first.app})".rstrip(),
        evidence=tuple(Evidence(Place("sessions", 0), f"pid {each.pid}, last: `{each.query}`")
                       for each in idle[:MOST]),
        gain="its locks come free, vacuum goes on, and the pool has its connection back",
        risk="what it has not committed is lost", fix=f"`SELECT pg_terminate_backend({first.pid});`, and set"
        " idle_in_transaction_session_timeout; the kit's pool names the line that holds it.",
    )  # fmt: skip


RULE = LiveRule(
    id="H622",
    name="idle-in-transaction",
    finds="A session that is idle in a transaction for longer than --long (60 s).",
    why="It keeps its locks and keeps vacuum from working, for nothing: code that waits for a mail server, or "
    "forgot to commit.",
    fix="End it, and set idle_in_transaction_session_timeout.",
    leaves_alone=(
        "Idle sessions without a transaction.",
    ),
    severity=Severity.high,
    check=_check,
    example="",
    instead="",
)
