"""PostgreSQL on its host: running, with our settings and logins, the app's role and database, and one verifier.

Speaks to it as its superuser by psql on the local socket; a verifier goes by a file of that user's, never as an
argument. Never drops anything. If this is wrong, the app cannot log in, or a server of others is restarted.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from .. import scram
from ..description import Description
from . import durable, pg_hba
from .bouncers import wait_until
from .command import is_active, journal_tail, run, systemctl
from .errors import HostError
from .places import Places
from .postgres_server import Server, server

START = 60.0  # seconds until it answers; after a power cut it recovers first, and systemd waits for that
LIBRARIES = frozenset({"pg_stat_statements", "auto_explain"})
SETTINGS = """
SELECT name, setting, coalesce(sourcefile, '') FROM pg_catalog.pg_settings
WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections', 'listen_addresses',
    'shared_preload_libraries')
"""
OTHERS = """
SELECT datname FROM pg_catalog.pg_database
WHERE datallowconn AND NOT datistemplate AND datname NOT IN ('postgres', :'name') ORDER BY datname
"""
PENDING = """
SELECT f.name FROM pg_catalog.pg_file_settings f JOIN pg_catalog.pg_settings s USING (name)
WHERE f.error IS NOT NULL AND s.context = 'postmaster' ORDER BY f.name
"""
HELD = "SELECT coalesce(rolpassword, '') FROM pg_catalog.pg_authid WHERE rolname = :'role'"
LOOKUP = "auth_query.sql"
HELD_LOOKUP = "SELECT coalesce(rolpassword, '') FROM pg_catalog.pg_authid WHERE rolname = :'lookup'"
# As roles.sql does it: no log has it, and the file has a verifier alone.
SET_LOOKUP = """
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
\\set verifier `cat :'verifier_file'`
ALTER ROLE :"lookup" PASSWORD :'verifier';
"""
WRONG_LINES = "SELECT line_number, error FROM pg_catalog.pg_hba_file_rules WHERE error IS NOT NULL LIMIT 1"
# Whatever roles.sql sets, so that a change of it is seen.
SET_UP = """
SELECT to_jsonb(r) - 'oid' FROM pg_catalog.pg_authid r
WHERE rolname IN (:'role', :'monitor', :'lookup') ORDER BY rolname;
SELECT to_jsonb(s) FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
WHERE r.rolname IN (:'role', :'monitor', :'lookup') ORDER BY r.rolname, s.setdatabase;
SELECT datname, datallowconn, pg_catalog.pg_get_userbyid(datdba), datacl FROM pg_catalog.pg_database
WHERE datname = :'name';
"""


def ask(description: Description, sql: str, *more: str, database: str = "postgres") -> str:
    """Return what the server answers, a line a row, columns apart by |.

    Args:
        description: the service.
        sql: the query; :'role', :'monitor', :'lookup' and :'name' stand for names.
        more: arguments for psql.
        database: where it is asked.

    Raises:
        HostError: it does not answer.
    """
    of = description.database
    named = {
        "role": of.role, "name": of.name, "monitor": f"{of.role}_monitor",
        "lookup": f"{description.app.name}-pgbouncer",
    }  # fmt: skip
    words = [word for name, value in named.items() for word in ("-v", f"{name}={value}")]
    psql = ("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-p", str(of.port), "-d", database)
    return run("runuser", "-u", "postgres", "--", *psql, *words, *more, "-f", "-", input=sql).stdout


def answers(description: Description) -> bool:
    """Tell whether the server runs, which it cannot where it is not installed."""
    return server(description).is_here() and server(description).answers()


def held_verifier(description: Description) -> str:
    """Return the verifier that the server has of the app's role; "" when it has none, or does not run."""
    return ask(description, HELD).strip() if answers(description) else ""


def require_no_surprise(description: Description, may_restart: bool) -> None:
    """Refuse what would disturb a server that others use; looks alone.

    Args:
        description: the service.
        may_restart: whether a person has said that it may be restarted.

    Raises:
        HostError: it needs a restart and serves other databases, or loads libraries that ours would replace.
    """
    if not answers(description):
        return
    rows = (line.split("|") for line in ask(description, SETTINGS).splitlines())
    found = {name: (value, source) for name, value, source in rows}
    _require_libraries(description, *found["shared_preload_libraries"])
    differing = _differing(description, {name: value for name, (value, _) in found.items()})
    beside = ask(description, OTHERS).split()
    if differing and beside and not may_restart:
        raise HostError(
            f"PostgreSQL has to be restarted ({'; '.join(differing)}), and serves {', '.join(beside[:5])} too; "
            "say --restart-postgresql when that may be"
        )


def _differing(description: Description, found: Mapping[str, str]) -> list[str]:
    """Return what can only be changed by a restart, as name, present and wanted value."""
    of = description.database
    wanted = {"max_connections": of.max_connections, "superuser_reserved_connections": of.superuser_reserved}
    if of.version >= 16:
        wanted["reserved_connections"] = of.reserved
    others = {name: value for name, value in wanted.items() if found.get(name) != str(value)}
    told = [f"{name} {found.get(name)} -> {value}" for name, value in others.items()]
    lacking = sorted(LIBRARIES - _libraries(found["shared_preload_libraries"]))
    if lacking:
        told.append(f"shared_preload_libraries lacks {', '.join(lacking)}")
    return told


def _require_libraries(description: Description, value: str, source: str) -> None:
    ours = f"50-{description.app.name}.conf"
    others = sorted(_libraries(value) - LIBRARIES)
    is_later = Path(source).name == "postgresql.auto.conf" or (
        Path(source).parent.name == "conf.d" and Path(source).name > ours
    )
    if others and not is_later:
        raise HostError(
            f"PostgreSQL loads {', '.join(others)}, which {ours} would replace; put the whole list, with "
            f"{' and '.join(sorted(LIBRARIES))}, into shared_preload_libraries of conf.d/90-local.conf"
        )


def _libraries(value: str) -> set[str]:
    return {word.strip().strip('"') for word in value.split(",") if word.strip()}


def lacks_cluster(description: Description, root: Path = Path("/")) -> bool:
    """Tell whether the server's files are not there yet, though its package is."""
    return not server(description, root).is_here()


def make_cluster(description: Description) -> None:
    """Make Debian's cluster `main`, as its package does."""
    run("pg_createcluster", "--port", str(description.database.port), str(description.database.version), "main")


def require_port(description: Description) -> None:
    """Refuse a cluster that listens elsewhere than harden.toml says.

    Raises:
        HostError: says both ports.
    """
    of = description.database
    found = run("pg_conftool", "--short", str(of.version), "main", "show", "port", check=False).stdout.strip()
    if found and found != str(of.port):
        raise HostError(
            f"PostgreSQL's cluster {of.version}/main has port {found}, and database.port is {of.port}; change one "
            "of them"
        )


def is_up(description: Description) -> bool:
    """Tell whether the server runs, and would after a boot."""
    is_enabled = systemctl("is-enabled", "--quiet", "postgresql.service", check=False).returncode == 0
    return is_enabled and is_active(server(description).unit) and server(description).answers()


def start(description: Description) -> None:
    """Start the server, now and at each boot, and wait until it answers.

    Raises:
        HostError: it does not; the journal's last lines are with it.
    """
    here = server(description)
    systemctl("enable", "postgresql.service")
    done = systemctl("start", "postgresql.service", here.unit, check=False, timeout=600)
    if done.returncode or not wait_until(here.answers, START):
        raise HostError(f"{here.unit} does not answer", journal_tail(here.unit))


def pending(description: Description) -> list[str]:
    """Return the settings that wait for a restart of the server."""
    return ask(description, PENDING).split()


def restart(description: Description, may_restart: bool) -> None:
    """Restart the server, where nobody else is disturbed.

    Raises:
        HostError: it has other databases, would not start, or does not.
    """
    beside = ask(description, OTHERS).split()
    if beside and not may_restart:
        raise HostError(
            f"PostgreSQL has to be restarted and serves {', '.join(beside[:5])} too; say --restart-postgresql "
            "when that may be"
        )
    here: Server = server(description)
    here.check()
    here.restart()


def hba_path(description: Description, root: Path = Path("/")) -> Path:
    """Return the server's own pg_hba.conf."""
    return root / f"etc/postgresql/{description.database.version}/main/pg_hba.conf"


def wanted_hba(description: Description, text: str, root: Path = Path("/")) -> str:
    """Return the server's pg_hba.conf with our lines; "" when it has them already.

    Args:
        description: the service.
        text: of the app's own pg_hba.conf.
        root: the host's root folder.
    """
    old = pg_hba.read(hba_path(description, root))
    name = description.app.name
    lines = pg_hba.block(name, description.database.version, f"/etc/{name}/postgresql/pg_hba.conf", text)
    new = pg_hba.with_block(old, name, lines)
    return "" if new == old else new


def write_hba(description: Description, text: str) -> None:
    """Replace the server's pg_hba.conf and have it read; a file that it would refuse is put back.

    Raises:
        HostError: the server finds a wrong line in it.
    """
    path = hba_path(description)
    old = pg_hba.read(path)
    rewrite(path, text)
    wrong = ask(description, WRONG_LINES).strip()
    if wrong:
        rewrite(path, old)
        line, _, why = wrong.partition("|")
        raise HostError(f"{path} would have a wrong line {line} ({why}); it is as it was")
    ask(description, "SELECT pg_catalog.pg_reload_conf()")


def rewrite(path: Path, text: str) -> None:
    """Replace a file's text; whose it is and its mode stay."""
    found = path.stat()
    durable.replace(path, text, stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid))


def sql_files(description: Description, root: Path = Path("/")) -> tuple[Path, ...]:
    """Return what sets up the database, in order: roles first, and a lookup for PgBouncer where it does one."""
    etc = root / "etc" / description.app.name
    # Beside PgBouncer it is PgBouncer's file; where that is on other hosts, PostgreSQL's host has its own.
    lookups = [path for path in (etc / "pgbouncer" / LOOKUP, etc / "postgresql" / LOOKUP) if path.exists()]
    is_asked = description.pgbouncer.enabled and description.pgbouncer.auth == "query"
    return (etc / "postgresql/roles.sql", *(lookups[:1] if is_asked else ()))


def is_set_up(places: Places, description: Description, verifier: str, lookup_password: str = "") -> bool:
    """Tell whether roles and database are as these files, and these secrets, have made them."""
    return _remembered(places) == _state(places, description, verifier, lookup_password)


def set_up(places: Places, description: Description, verifier: str, lookup_password: str = "") -> None:
    """Make roles, rights and database what roles.sql says, with the verifier as the role's password.

    Args:
        places: the app.
        description: the service.
        verifier: of the app's role.
        lookup_password: of the role with which PgBouncer looks verifiers up over a network; "" for none.

    Raises:
        HostError: the role has a password that somebody else has set, or the server refuses something.
    """
    held = held_verifier(description)
    if held and held != verifier and not _remembered(places):
        raise HostError(
            f"PostgreSQL has the role {description.database.role} with another password; put its DATABASE_URL "
            "into a file for --secrets, or take the password away: ALTER ROLE ... PASSWORD NULL"
        )
    roles, *lookups = sql_files(description)
    _run_with_verifier(places, description, roles.read_text(encoding="utf-8"), verifier)
    for path in lookups:
        ask(description, path.read_text(encoding="utf-8"), database=description.database.name)
    if lookups and lookup_password and not scram_fits(lookup_password, ask(description, HELD_LOOKUP).strip()):
        _run_with_verifier(places, description, SET_LOOKUP, scram.make_verifier(lookup_password))
    text = json.dumps({"roles": _state(places, description, verifier, lookup_password)}) + "\n"
    durable.replace(_record(places), text, 0o600)


def scram_fits(password: str, held: str) -> bool:
    """Tell whether what a server holds of a role is a verifier of this password."""
    return held.startswith("SCRAM-") and scram.verify(password, held)


def _run_with_verifier(places: Places, description: Description, sql: str, verifier: str) -> None:
    """Run what reads a verifier from a file, which is there as long as it takes."""
    folder = places.root / "run" / f"harden-{places.name}"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed here
    owner = pwd.getpwnam("postgres")
    folder.mkdir(mode=0o700)
    try:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        durable.replace(folder / "verifier", verifier, 0o600, (owner.pw_uid, owner.pw_gid))
        ask(description, sql, "-v", f"verifier_file={folder}/verifier")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_same_verifier(description: Description, verifier: str, root: Path = Path("/")) -> None:
    """Refuse a verifier that is not the same bytes everywhere: with another one PgBouncer cannot log in.

    Raises:
        HostError: says where it is another one, and shows none.
    """
    role = description.database.role
    if held_verifier(description) != verifier:
        raise HostError(f"PostgreSQL has another verifier of {role} than secrets.env; run harden install again")
    userlist = root / "etc" / description.app.name / "pgbouncer/userlist.txt"
    is_in_file = description.pgbouncer.auth == "file" and userlist.exists()
    if is_in_file and f'"{role}" "{verifier}"' not in userlist.read_text(encoding="utf-8").splitlines():
        raise HostError(f"{userlist} has another verifier of {role} than secrets.env; release again")


def _record(places: Places) -> Path:
    return places.state / "database.json"


def _remembered(places: Places) -> str:
    try:
        return str(json.loads(_record(places).read_text(encoding="utf-8"))["roles"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _state(places: Places, description: Description, verifier: str, lookup_password: str) -> str:
    """Return what stands for the files, the secrets, and what the server has; it shows none of them."""
    parts = [path.read_text(encoding="utf-8") for path in sql_files(description, places.root) if path.exists()]
    found = hashlib.sha256("\0".join([*parts, verifier, lookup_password, ask(description, SET_UP)]).encode())
    return found.hexdigest()
