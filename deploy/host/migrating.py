"""Runs an app's migrations: once a release, as the app's user, straight to PostgreSQL, on one host at a time.

Knows systemd-run and the database's address. Passwords go by a file of root's alone. If this is wrong, two hosts
migrate at once, or a migration meets PgBouncer's timeouts and loses its session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, unquote, urlsplit

from .. import app_files
from ..description import Description
from ..description_rules import is_over_network
from ..pgbouncer_process import SESSION_END
from ..unit_files import secrets_path
from ..unit_network import listens_on_network
from ..unit_templates import env_value
from . import durable
from .command import run, said, systemctl
from .errors import HostError
from .places import Places

LONGEST = 6 * 3600.0  # seconds
WAIT = 600  # seconds for another host's migrations
SHOWN = 15  # lines of a migration that failed
LOCKER = "deploy/host/migration_lock.py"


def unit(places: Places) -> str:
    """Return the unit that migrations run in."""
    return f"{places.name}-migrate.service"


def migrate(
    places: Places, description: Description, release: str, command: str, secrets: Mapping[str, str],
    kit: str = "kit",
) -> None:  # fmt: skip
    """Run the migrations of a release.

    Args:
        places: the app.
        description: of the release.
        release: its id; it is complete.
        command: for a shell, in the release's app folder.
        secrets: the app's.
        kit: the kit's folder in the release.

    Raises:
        HostError: they failed; has their last lines.
    """
    folder = places.release(release)
    variables = places.state / "migrate.env"
    durable.replace(variables, _variables(places, description, release, command, secrets), 0o600)
    try:
        # Of its release, not of /etc: that is still the release's that serves.
        files = (folder / f"etc/root/etc/{places.name}/app.env", secrets_path(description), variables)
        done = run(
            "systemd-run", "--quiet", "--wait", "--collect", "--pipe", f"--unit={unit(places)}",
            f"--description={places.name}: migrations of {release}",
            *(f"--property={word}" for word in _properties(places, folder)),
            *(f"--property=EnvironmentFile={file}" for file in files),
            str(folder / "venv/bin/python"), str(folder / kit / LOCKER), timeout=LONGEST, check=False,
        )  # fmt: skip
    finally:
        clean(places)
    if done.returncode:
        raise HostError(f"the migration ended with {done.returncode}: {command[:120]}", said(done)[-SHOWN:])


def clean(places: Places) -> None:
    """End migrations that still run without anybody waiting for them, and remove what they were given."""
    systemctl("stop", unit(places), check=False)
    (places.state / "migrate.env").unlink(missing_ok=True)


def direct_url(description: Description, secrets: Mapping[str, str]) -> str:
    """Return the address of PostgreSQL itself, with the app's role and password.

    Where the network leads to PgBouncer alone, it is that of its entry in session mode.

    Raises:
        HostError: there is no password to be found.
    """
    given = secrets.get("DATABASE_URL", "")
    try:
        password = urlsplit(given).password
    except ValueError:
        password = None
    if not password:
        raise HostError(f"{secrets_path(description)} has no DATABASE_URL with a password; the migration needs it")
    if needs_session_entry(description):
        name = f"{description.database.name}{SESSION_END}"
        direct = replace(description, database=replace(description.database, name=name))
    else:
        direct = replace(description, pgbouncer=replace(description.pgbouncer, enabled=False))
    return app_files.database_url(direct).replace(":PASSWORD@", f":{quote(unquote(password), safe='')}@", 1)


def needs_session_entry(description: Description) -> bool:
    """Tell whether PostgreSQL is behind PgBouncer for this host: beside it, on another machine."""
    return listens_on_network(description) and is_over_network(description)


def _variables(
    places: Places, description: Description, release: str, command: str, secrets: Mapping[str, str]
) -> str:
    folder = places.release(release)
    given = {
        "DATABASE_URL": direct_url(description, secrets),
        "DB_PGBOUNCER": "off",
        "HARDEN_MIGRATE": command,
        "HARDEN_MIGRATE_LOCK": f"{places.name} migrations",
        "HARDEN_MIGRATE_WAIT": str(WAIT),
        "PATH": f"{folder}/venv/bin:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": str(folder / "venv"),
        "HOME": f"/var/lib/{places.name}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return "".join(f"{name}={env_value(value)}\n" for name, value in given.items())


def _properties(places: Places, folder: object) -> tuple[str, ...]:
    return (
        f"User={places.name}", f"Group={places.name}", f"WorkingDirectory={folder}/app",
        f"StateDirectory={places.name}", "StateDirectoryMode=0700", "NoNewPrivileges=yes",
        "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes",
        "CapabilityBoundingSet=", "RestrictSUIDSGID=yes", "UMask=0077", "KillMode=mixed", "TimeoutStopSec=30",
    )  # fmt: skip
