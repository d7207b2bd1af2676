"""H605: a database that reads much from the disk."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Confidence, Severity
from ...advice import Advice, LiveRule
from ...sizes import bytes_text
from ...target import Target

LEAST_READS = 1_000_000  # pages; below, the cache is still being filled
RATIO = 0.95
_READ = """
    SELECT blks_hit AS hits, blks_read AS reads, pg_database_size(datname) AS size
    FROM pg_stat_database WHERE datname = current_database()
"""


def _check(target: Target) -> Iterator[Advice]:
    row = target.session.row(_READ)
    asked = row.hits + row.reads
    if row.reads >= LEAST_READS and row.hits < RATIO * asked:
        shared = bytes_text(target.server.amount("shared_buffers"))
        yield RULE.on(
            "server", f"{row.hits / asked:.1%} of {asked:,} pages came from shared_buffers ({shared}); the"
            " database has"
            f" {bytes_text(row.size)}", confidence=Confidence.medium, gain="reads from memory in place of the"
            " disk",
            risk="more shared_buffers need a restart, and leave less to the system's own cache",
        )  # fmt: skip


RULE = LiveRule(
    id="H605",
    name="cache-hit-ratio",
    finds="A database that found less than 95 % of its pages in shared_buffers, over a million reads or more.",
    why="Pages that are not there come from the system's cache at best and from the disk at worst. It is most "
    "often a missing index that reads whole tables.",
    fix="Add the missing indexes first; then shared_buffers of a quarter of the memory.",
    leaves_alone=(
        "Young counters: fewer than a million reads.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
