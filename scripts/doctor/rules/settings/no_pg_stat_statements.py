"""H708: a server that does not count its statements."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...target import Target


def _check(target: Target) -> Iterator[Advice]:
    server = target.server
    if "pg_stat_statements" in server.extensions:
        return
    libraries = server.settings.get("shared_preload_libraries")
    is_loaded = libraries is not None and "pg_stat_statements" in libraries.setting
    up = "CREATE EXTENSION pg_stat_statements"
    first = "" if is_loaded else "Put it into shared_preload_libraries and restart the server; then "
    yield RULE.on(
        "server", "pg_stat_statements is not installed in this database", fix=f"{first}`{up};`",
        change=Change("other", (up,), ("DROP EXTENSION pg_stat_statements",)), key="",
        gain="which statement takes the time, and which index it lacks", risk="a few per cent of a short"
        " statement's time",
    )  # fmt: skip


RULE = LiveRule(
    id="H708",
    name="no-pg-stat-statements",
    finds="A database without pg_stat_statements.",
    why="Which statements take the time is a guess without it, and half of this tool's rules have nothing to "
    "look at.",
    fix="Load it, and create the extension.",
    leaves_alone=(
        "Databases that have it.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
