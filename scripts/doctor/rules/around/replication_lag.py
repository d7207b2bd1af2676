"""H821: a replica that is behind."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...sizes import bytes_text, seconds_text
from ...target import Target

SECONDS, BYTES = 30.0, 64 * 1024**2
_PRIMARY = """
    SELECT application_name AS name, client_addr::text AS address, state,
           pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint AS behind,
           EXTRACT(EPOCH FROM replay_lag)::float AS lag
    FROM pg_stat_replication ORDER BY 1, 2
"""
_REPLICA = """
    SELECT EXTRACT(EPOCH FROM now() - pg_last_xact_replay_timestamp())::float AS lag,
           pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint AS behind,
           pg_is_wal_replay_paused() AS is_paused
"""


def _check(target: Target) -> Iterator[Advice]:
    if target.server.is_replica:
        row = target.session.row(_REPLICA)
        if row.is_paused or ((row.behind or 0) > 0 and (row.lag or 0) >= SECONDS):
            why = "replay is paused" if row.is_paused else "replay does not keep up"
            yield _finding("this replica", row.behind or 0, row.lag or 0, why)
        return
    for row in target.session.rows(_PRIMARY):
        if (row.behind or 0) >= BYTES or (row.lag or 0) >= SECONDS:
            yield _finding(f"{row.name} ({row.address or 'local'})", row.behind or 0, row.lag or 0, row.state)


def _finding(who: str, behind: int, lag: float, why: str) -> Advice:
    return RULE.on(
        "replication", f"{who} is {bytes_text(behind)} or {seconds_text(lag)} behind: {why}", key=who,
        gain="reads that are not old, and no loss at a failover", risk="none in looking",
        fix="SELECT pg_wal_replay_resume() when it is paused; else its disk, its long queries, or the network.",
    )  # fmt: skip


RULE = LiveRule(
    id="H821",
    name="replication-lag",
    finds="A replica that is 30 seconds or 64 MB behind, or whose replay is paused.",
    why="It answers with old rows, and at a failover what it has not got is lost.",
    fix="Resume it, or find what slows it: its disk, long queries on it, the network.",
    leaves_alone=(
        "Replicas that are a moment behind.",
        "A quiet primary, whose replica has nothing to replay.",
    ),
    severity=Severity.high,
    check=_check,
    example="",
    instead="",
)
