"""H704: work_mem that is too small for what is sorted, or too large for the memory."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Confidence, Severity
from ...advice import Advice, Change, LiveRule
from ...names import quoted
from ...sizes import bytes_text
from ...target import Target

LEAST_FILES, LEAST_BYTES = 100, 1024**3
HUGE = 512 * 1024**2
_READ = "SELECT temp_files AS files, temp_bytes AS bytes FROM pg_stat_database WHERE datname = current_database()"


def _check(target: Target) -> Iterator[Advice]:
    row, server = target.session.row(_READ), target.server
    memory = server.amount("work_mem")
    if row.files >= LEAST_FILES and row.bytes >= LEAST_BYTES and memory < 64 * 1024**2:
        database = quoted(server.database)
        up, down = f"ALTER DATABASE {database} SET work_mem = '32MB'", f"ALTER DATABASE {database} RESET work_mem"
        yield RULE.on(
            "server", f"{row.files:,} temporary files of {bytes_text(row.bytes)} were written; work_mem is"
            f" {bytes_text(memory)}", change=Change("setting", (up,), (down,), "", "work_mem"), fix=f"`{up};`",
            confidence=Confidence.medium, gain="sorts and hashes in memory",
            risk="each sort of each session may take that much", names=(database,),
        )  # fmt: skip
    if memory >= HUGE:
        yield RULE.on(
            "server", f"work_mem is {bytes_text(memory)}, for each sort of each of"
            f" {server.amount('max_connections'):.0f}"
            " connections", key="huge", fix="Lower it, and SET LOCAL work_mem for the reports that need it.",
            gain="no out-of-memory killer", risk="large reports write temporary files",
        )  # fmt: skip


RULE = LiveRule(
    id="H704",
    name="work-mem",
    finds="Many temporary files with a small work_mem, or a work_mem of 512 MB or more.",
    why="Too small, and sorts go through the disk; too large, and a busy minute takes all memory, for it is "
    "counted per sort and per session.",
    fix="A few tens of megabytes for all, more by SET LOCAL for reports.",
    leaves_alone=(
        "Fewer than 100 temporary files, or less than 1 GB in all.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
