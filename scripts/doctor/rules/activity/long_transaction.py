"""H621: a transaction that has been open for long."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Evidence, Place, Severity
from ...advice import Advice, LiveRule
from ...sizes import seconds_text
from ...target import Target

MOST = 5  # shown
_READ = """
    SELECT pid, usename AS role, application_name AS app, EXTRACT(EPOCH FROM now() - xact_start)::float AS age,
           left(query, 120) AS query
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
      AND state = 'active' AND xact_start IS NOT NULL
    ORDER BY xact_start
"""


def _check(target: Target) -> Iterator[Advice]:
    long = [each for each in target.session.rows(_READ) if each.age >= target.options.long]
    if not long:
        return
    first = long[0]
    yield RULE.on(
        "sessions", f"{len(long)} transaction(s) open for over {seconds_text(target.options.long)}, the"
        " longest for"
        f" {seconds_text(first.age)} (pid {first.pid}, {first.role} {first.app})".rstrip(),
        evidence=tuple(Evidence(Place("sessions", 0), f"pid {each.pid}, {seconds_text(each.age)}: `{each.query}`")
                       for each in long[:MOST]),
        gain="vacuum goes on, and its locks come free", risk="its work is lost; it may be a backup or a report",
        fix=f"Ask what it does; `SELECT pg_cancel_backend({first.pid});` ends its statement.",
    )  # fmt: skip


RULE = LiveRule(
    id="H621",
    name="long-transaction",
    finds="A session that has been at work in one transaction for longer than --long (60 s).",
    why="Vacuum cannot take away what died since it began, in any table; CREATE INDEX CONCURRENTLY waits for "
    "it.",
    fix="Find what it does; statement_timeout keeps it from happening again.",
    leaves_alone=(
        "Sessions that are idle in a transaction, which have a rule of their own.",
        "Autovacuum, replication, and other databases.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
