"""What kind of server answers: version, settings, whether it is a replica, who we are, how long it has counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import CommandError
from .session import NotSeen, Session

OLDEST, NEWEST = 12, 18  # major versions whose catalogs the questions are written for; tests ask 15, and asked 17

_READ = """
    SELECT version() AS version, current_setting('server_version_num')::int AS number,
           pg_is_in_recovery() AS is_replica, current_database() AS database, current_user AS role,
           r.rolsuper AS is_superuser, pg_has_role(current_user, 'pg_monitor', 'MEMBER') AS is_monitor,
           EXTRACT(EPOCH FROM now() - COALESCE(d.stats_reset, pg_postmaster_start_time()))::float AS counted,
           EXTRACT(EPOCH FROM now() - pg_postmaster_start_time())::float AS up,
           current_setting('block_size')::int AS block
    FROM pg_stat_database d, pg_roles r
    WHERE d.datname = current_database() AND r.rolname = current_user
"""
# What a new session would have: our own transaction sets its timeouts.
_SETTINGS = "SELECT name, reset_val, unit, source, boot_val, context FROM pg_settings"
_EXTENSIONS = """
    SELECT e.extname, e.extversion, n.nspname AS schema
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
"""
_PARTS = {"B": 1, "kB": 1024, "8kB": 8192, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4,
          "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """A setting of the server as a new session of our role has it.

    Attributes:
        setting: as pg_settings has it, in `unit`s.
        source: where it is set: "default", "configuration file", "database", "user", ...
        context: who may change it: "user", "sighup", "postmaster", ...
    """

    name: str
    setting: str
    unit: str
    source: str
    boot: str
    context: str

    @property
    def amount(self) -> float:
        """Its number: bytes for memory, seconds for times, else as it stands; on and off are 1 and 0."""
        words = {"on": 1.0, "off": 0.0}
        if self.setting in words:
            return words[self.setting]
        found = re.fullmatch(r"(\d+)?(\w+)", self.unit) if self.unit else None
        part = _PARTS.get(self.unit) or (_PARTS.get(found[2], 1) * int(found[1] or 1) if found else 1)
        try:
            number = float(self.setting)
        except ValueError:
            return float("nan")
        return number if number < 0 else number * part


@dataclass(frozen=True)
class Server:
    """The server.

    Attributes:
        version: The major version, 15.
        version_text: As people say it, "15.18".
        number: server_version_num, 150018.
        counted: Seconds since its counters for this database began (a reset, or its start).
        up: Seconds since it started.
        block: Bytes of a page.
        settings: By name.
        extensions: Installed ones: version and schema by name.
        notes: What is to be said of it.
    """

    version: int
    version_text: str
    number: int
    is_replica: bool
    database: str
    role: str
    is_superuser: bool
    is_monitor: bool
    counted: float
    up: float
    block: int
    settings: Mapping[str, Setting] = field(repr=False, default_factory=dict)
    extensions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def amount(self, name: str) -> float:
        """Return a setting's number, in bytes, seconds or as it stands; NaN for one that this server has not."""
        found = self.settings.get(name)
        return found.amount if found else float("nan")


def server_of(session: Session) -> Server:
    """Ask.

    Raises:
        CommandError: it is no PostgreSQL, or one that is too old.
        Lost: it went away.
    """
    try:
        read = session.row(_READ)
        settings = session.rows(_SETTINGS)
        extensions = session.rows(_EXTENSIONS)
    except NotSeen as error:
        raise CommandError(f"the server does not answer as PostgreSQL does: {error}") from None
    if not read.version.startswith("PostgreSQL"):
        raise CommandError(f"this is no PostgreSQL: {read.version.split(',')[0]}")
    major, text = read.number // 10000, re.split(r"[ ,]", read.version)[1]
    if major < OLDEST:
        raise CommandError(
            f"PostgreSQL {text} is older than {OLDEST}, and no longer looked after; upgrade it first"
        )
    notes = []
    if major > NEWEST:
        notes.append(f"PostgreSQL {text} is newer than {NEWEST}, which this was tested with")
    if read.is_replica:
        notes.append("this is a replica: use of indexes is counted on each server; ask the primary too")
    return Server(
        major, text, read.number, read.is_replica, read.database, read.role, read.is_superuser, read.is_monitor,
        read.counted, read.up, read.block,
        {each.name: _setting(each) for each in settings},
        {each.extname: (each.extversion, each.schema) for each in extensions}, tuple(notes),
    )  # fmt: skip


def _setting(row: Any) -> Setting:
    return Setting(row.name, row.reset_val or "", row.unit or "", row.source, row.boot_val or "", row.context)
