"""H623: sessions that wait for a lock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ....audit.finding import Evidence, Place, Severity
from ...advice import Advice, LiveRule
from ...sizes import seconds_text
from ...target import Target

MOST = 5  # shown
SHORTEST = 1.0  # seconds, or --long when that is less
_READ = """
    SELECT w.pid, w.usename AS role, EXTRACT(EPOCH FROM now() - w.query_start)::float AS age,
           left(w.query, 120) AS query, b.pid AS by, b.state, left(b.query, 120) AS blocking
    FROM pg_stat_activity w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS p (pid)
    JOIN pg_stat_activity b ON b.pid = p.pid
    WHERE w.wait_event_type = 'Lock' AND w.datname = current_database()
    ORDER BY w.query_start, w.pid, b.pid
"""


def _check(target: Target) -> Iterator[Advice]:
    waiting = [each for each in target.session.rows(_READ) if each.age >= min(SHORTEST, target.options.long)]
    by_blocker: dict[int, list[Any]] = {}
    for each in waiting:
        by_blocker.setdefault(each.by, []).append(each)
    heads = {pid: found for pid, found in by_blocker.items() if pid not in {each.pid for each in waiting}}
    for pid, found in sorted(heads.items()):
        first = next(each for each in waiting if each.by == pid)
        yield RULE.on(
            "sessions", f"{len(waiting)} session(s) wait for a lock, the longest for"
            f" {seconds_text(waiting[0].age)};"
            f" pid {pid} ({first.state}) stands before {len(found)} of them", key=str(pid),
            evidence=(Evidence(Place("sessions", 0), f"pid {pid}, last: `{first.blocking}`"),
                      *(Evidence(Place("sessions", 0), f"pid {each.pid} waits {seconds_text(each.age)}:"
                      f" `{each.query}`")
                        for each in waiting[:MOST])),
            gain="the queue goes on", risk="what the blocking transaction did is lost",
            fix=f"`SELECT pg_terminate_backend({pid});` when it is not to be waited for; lock_timeout for DDL.",
        )  # fmt: skip


RULE = LiveRule(
    id="H623",
    name="lock-wait",
    finds="A session that has waited for a lock for a second or more, and who stands before it.",
    why="Whoever waits holds a connection of the pool, and all who need the same rows queue up behind.",
    fix="End or wait for the one at the head of the queue; run DDL with a lock_timeout.",
    leaves_alone=(
        "Waits of less than a second.",
    ),
    severity=Severity.high,
    check=_check,
    example="",
    instead="",
)
