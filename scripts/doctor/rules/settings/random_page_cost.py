"""H705: a planner that takes an SSD for a rotating disk."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Confidence, Evidence, Place, Severity
from ...advice import Advice, Change, LiveRule
from ...disks import is_rotating
from ...target import Target

DEFAULT = 4.0  # right for a disk that turns
_READ = """
    SELECT current_setting('data_directory', true) AS folder,
           inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8' AS is_local
"""


def _check(target: Target) -> Iterator[Advice]:
    if target.server.amount("random_page_cost") < DEFAULT:
        return
    row = target.session.row(_READ)
    rotates = is_rotating(row.folder) if row.folder and row.is_local else None
    if rotates:
        return
    up = "ALTER SYSTEM SET random_page_cost = 1.1"
    known = "its disk does not rotate" if rotates is False else "few servers have a rotating disk today"
    yield RULE.on(
        "server", f"random_page_cost is {target.server.amount('random_page_cost'):g}, the cost of a disk that"
        " turns",
        confidence=Confidence.high if rotates is False else Confidence.medium, fix=f"`{up};` and reload.",
        evidence=(Evidence(Place("server", 0), known),), gain="indexes that are used where they are quicker",
        change=Change("setting", (up,), ("ALTER SYSTEM RESET random_page_cost",), "", "random_page_cost"),
        risk="on a disk that turns, plans get worse", key="",
    )  # fmt: skip


RULE = LiveRule(
    id="H705",
    name="random-page-cost",
    finds="random_page_cost at 4 or above, on a disk that does not rotate, or that is not known.",
    why="The planner reads whole tables where an index would be quicker, for it takes a page out of order for "
    "four.",
    fix="Set it to 1.1 on SSDs and network storage.",
    leaves_alone=(
        "Servers on a disk that rotates, as far as this machine can see.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
