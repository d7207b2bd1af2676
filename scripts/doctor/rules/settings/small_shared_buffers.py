"""H706: shared_buffers as they come, for a database that is larger."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...sizes import bytes_text
from ...target import Target

DEFAULT = 128 * 1024**2
_READ = "SELECT pg_database_size(current_database()) AS size"


def _check(target: Target) -> Iterator[Advice]:
    buffers = target.server.amount("shared_buffers")
    size = target.session.row(_READ).size
    if buffers <= DEFAULT and size > 4 * DEFAULT:
        up = "ALTER SYSTEM SET shared_buffers = '1GB'"
        yield RULE.on(
            "server", f"shared_buffers is {bytes_text(buffers)}, and the database has {bytes_text(size)}",
            change=Change("setting", (up,), ("ALTER SYSTEM RESET shared_buffers",), "", "shared_buffers"),
            fix=f"A quarter of the memory, for example `{up};`, and a restart.", gain="pages that stay in memory",
            risk="needs a restart", key="",
        )  # fmt: skip


RULE = LiveRule(
    id="H706",
    name="small-shared-buffers",
    finds="shared_buffers at the default of 128 MB or below, for a database of more than four times that.",
    why="Pages that everybody asks for are fetched from the system's cache again and again.",
    fix="A quarter of the machine's memory.",
    leaves_alone=(
        "Databases below 512 MB.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
