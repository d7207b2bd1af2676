"""Whether the file of secrets, PgBouncer's userlist.txt and PostgreSQL have the very same verifier.

With another salt on one side PgBouncer lets the app in and PostgreSQL refuses PgBouncer. No message repeats what
a role is let in by.
"""

from __future__ import annotations

import csv
import hmac
import io
import os
import shutil
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from .. import pgbouncer_verifiers, scram
from ..host import command
from ..host.errors import HostError
from ..pgbouncer_verifiers import Held
from ..quoting import single_quoted
from .outcome import Finding, Said, Skip, said
from .subject import Subject

VERIFIER = "DATABASE_VERIFIER"
MEND = "harden install puts the one of the file of secrets on both sides"


class _NoAnswer(Exception):
    """The server that --dsn names does not tell."""


def password(subject: Subject) -> Said:
    """Find a DATABASE_URL whose password the verifier does not let in."""
    if subject.no_secrets:
        raise Skip(subject.no_secrets)
    known, url = subject.secrets.get(VERIFIER, ""), subject.secrets.get("DATABASE_URL", "")
    if not known or not url:
        raise Skip(f"the file of secrets has no {VERIFIER if url else 'DATABASE_URL'}")
    try:
        parts = urlsplit(url)
    except ValueError:
        return said([Finding("DATABASE_URL is no URL", "write it as the file's comment shows it")])
    found = []
    if unquote(parts.username or "") != subject.description.database.role:
        found.append(Finding("DATABASE_URL is for another role than database.role", "change one of them"))
    if not parts.password or not scram.verify(unquote(parts.password), known):
        text = f"the password in DATABASE_URL is not the one that {VERIFIER} was made of"
        found.append(Finding(text, f"remove the line {VERIFIER} and run harden install, which makes it anew"))
    return said(found, "DATABASE_URL and its verifier")


def both_sides(subject: Subject) -> Said:
    """Find a verifier that PgBouncer and PostgreSQL do not share."""
    text = _userlist(subject)
    try:
        held, asked = _held(subject, tuple(pgbouncer_verifiers.read_userlist(text)))
    except _NoAnswer as error:
        return said([Finding(f"PostgreSQL was not asked: {error}", "see --dsn, PGPASSWORD and pg_hba.conf")])
    lines = [*_own(subject, text), *pgbouncer_verifiers.compared(text, held)]
    return said((Finding(line, MEND) for line in lines), f"userlist.txt and {asked}")


def _userlist(subject: Subject) -> str:
    """Return userlist.txt as it lies on the host, else as it is rendered."""
    path = f"/etc/{subject.name}/pgbouncer/userlist.txt"
    place, rendered = subject.on_host(path), subject.all_files().get(path)
    if not subject.description.pgbouncer.enabled or subject.description.pgbouncer.auth != "file":
        raise Skip('verifiers are in PostgreSQL alone (pgbouncer.auth is not "file")')
    try:
        return place.read_text(encoding="utf-8")
    except FileNotFoundError:
        if rendered is None:
            raise Skip(f"{path} is not here, and cannot be rendered without {VERIFIER}") from None
        return rendered.text
    except OSError as error:
        raise Skip(f"{path} cannot be read: {error.strerror}; use sudo") from None


def _own(subject: Subject, userlist: str) -> Iterator[str]:
    """Yield what differs between the file of secrets and userlist.txt."""
    known, role = subject.secrets.get(VERIFIER, ""), subject.description.database.role
    there = pgbouncer_verifiers.read_userlist(userlist).get(role, "")
    if known and not hmac.compare_digest(known.encode(), there.encode()):
        yield f"role {role!r}: userlist.txt has another verifier than the file of secrets ({VERIFIER})"


def _held(subject: Subject, roles: tuple[str, ...]) -> tuple[Mapping[str, Held], str]:
    """Return what the server has, and how it was asked."""
    if subject.dsn:
        return _asked_by_dsn(subject.dsn, roles), "PostgreSQL (--dsn)"
    if not subject.description.database.host.startswith(("/", "127.", "localhost", "[::1]")):
        raise Skip("PostgreSQL is on another machine: give --dsn of a superuser, or run it there")
    if os.geteuid() != 0 or shutil.which("psql", path=command.ENVIRON["PATH"]) is None:
        raise Skip("to ask PostgreSQL: run as root on its host, or give --dsn of a superuser")
    return _asked_by_psql(subject, roles), "PostgreSQL"


def _asked_by_dsn(dsn: str, roles: tuple[str, ...]) -> dict[str, Held]:
    import psycopg2  # a host lacks it, where psql does the same

    try:
        return pgbouncer_verifiers.held_secrets(dsn, roles)
    except psycopg2.Error as error:
        raise _NoAnswer(" ".join(str(error).split())) from None


def _asked_by_psql(subject: Subject, roles: tuple[str, ...]) -> dict[str, Held]:
    names = ", ".join(map(single_quoted, roles)) or "NULL"
    statement = pgbouncer_verifiers.QUERY.replace("%s", f"ARRAY[{names}]::text[]")
    database = subject.description.database
    where = ("-h", database.host) if database.host.startswith("/") else ()
    try:
        done = command.run(
            "runuser", "-u", "postgres", "--", "psql", "-X", "-q", "--csv", "-t", *where, "-p", str(database.port),
            "-d", "postgres", input=f"{statement};\n", timeout=30,
        )  # fmt: skip
    except HostError as error:
        raise Skip(f"PostgreSQL was not asked: {error}") from None
    rows = csv.reader(io.StringIO(done.stdout))
    return {row[0]: (row[1] or None, row[2] == "t", row[3] == "t") for row in rows if len(row) == 4}
