"""Whether userlist.txt and PostgreSQL hold the very same verifiers, with which PgBouncer passes clients through.

A verifier made anew from the same password has another salt: PgBouncer takes the client, and PostgreSQL refuses
PgBouncer. Reads both sides and changes none; no message repeats what a role is let in by.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from contextlib import closing

from .errors import InputError
from .scram import read_verifier, verify

LINE = re.compile(r'"((?:[^"]|"")*)"[ \t]+"((?:[^"]|"")*)"[ \t]*')
QUERY = (
    "SELECT rolname, rolpassword, rolcanlogin, rolvaliduntil < now() FROM pg_catalog.pg_authid "
    "WHERE rolname = ANY(%s)"
)
Held = tuple[str | None, bool, bool | None]  # a role's secret, whether it may log in, whether that is over
SCRAM = "SCRAM-SHA-256$"
TAKE_OVER = "write the server's rolpassword into userlist.txt and RELOAD PgBouncer"


def read_userlist(text: str) -> dict[str, str]:
    """Return what stands in a userlist.txt, by role.

    Raises:
        InputError: a line is none that PgBouncer reads, or a role stands there twice; says which line.
    """
    secrets: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith(";"):
            continue
        found = LINE.fullmatch(line)
        if found is None:
            raise InputError(f'userlist.txt line {number} is not like "role" "verifier"; PgBouncer leaves it out')
        role, secret = (part.replace('""', '"') for part in found.groups())
        if role in secrets:
            raise InputError(f"userlist.txt line {number} has the role {role!r} again; keep one of its lines")
        secrets[role] = secret
    return secrets


def held_verifiers(dsn_admin: str, roles: Iterable[str]) -> dict[str, str]:
    """Return the SCRAM verifiers that the server holds, by role; without those that have none.

    Args:
        dsn_admin: of a superuser: others may not read verifiers.
        roles: whose.

    Raises:
        psycopg2.Error: the server does not answer, or the role may not read pg_authid.
    """
    held = {role: secret for role, (secret, *_) in held_secrets(dsn_admin, roles).items()}
    return {role: secret for role, secret in held.items() if secret and secret.startswith(SCRAM)}


def same_verifiers(dsn_admin: str, userlist_text: str) -> list[str]:
    """Return where a userlist.txt and the server differ, a line each; none when every role can pass through.

    Args:
        dsn_admin: of a superuser: others may not read verifiers.
        userlist_text: the file's contents.

    Raises:
        InputError: the file cannot be read as PgBouncer does.
        psycopg2.Error: the server does not answer, or the role may not read pg_authid.
    """
    return compared(userlist_text, held_secrets(dsn_admin, read_userlist(userlist_text)))


def compared(userlist_text: str, theirs: Mapping[str, Held]) -> list[str]:
    """Return where a userlist.txt and what a server holds differ, a line each.

    Args:
        userlist_text: the file's contents.
        theirs: by role, as `held_secrets` returns it.

    Raises:
        InputError: the file cannot be read as PgBouncer does.
    """
    problems = (_problem(role, secret, theirs) for role, secret in sorted(read_userlist(userlist_text).items()))
    return [problem for problem in problems if problem]


def held_secrets(dsn_admin: str, roles: Iterable[str]) -> dict[str, Held]:
    """Return what a server holds of roles: the secret, whether the role may log in, and whether that is over.

    Args:
        dsn_admin: of a superuser: others may not read verifiers.
        roles: whose.

    Raises:
        psycopg2.Error: the server does not answer, or the role may not read pg_authid.
    """
    import psycopg2  # a host has psql instead

    with closing(psycopg2.connect(dsn_admin)) as conn, conn.cursor() as cursor:
        cursor.execute(QUERY, (list(roles),))
        return {role: (secret, can_login, expired) for role, secret, can_login, expired in cursor.fetchall()}


def _problem(role: str, ours: str, theirs: Mapping[str, Held]) -> str:
    """Return what keeps a role from passing through; "" when nothing does."""
    if role not in theirs:
        return f"role {role!r}: in userlist.txt, and not on the server; CREATE ROLE it, or take its line out"
    secret, can_login, expired = theirs[role]
    if not can_login:
        return f"role {role!r}: may not log in on the server; ALTER ROLE ... LOGIN, or take its line out"
    if expired:
        return f"role {role!r}: its password has expired on the server (VALID UNTIL); give it a new one"
    if secret is None:
        return f"role {role!r}: has no password on the server; set the verifier of userlist.txt by ALTER ROLE"
    return _difference(role, ours, secret)


def _difference(role: str, ours: str, theirs: str) -> str:
    if not theirs.startswith(SCRAM):
        return f"role {role!r}: the server holds an md5 hash; set a SCRAM verifier by ALTER ROLE, on both sides"
    if hmac.compare_digest(ours.encode(), theirs.encode()):
        return ""
    if ours.startswith(SCRAM):
        return f"role {role!r}: {_why(ours, theirs)}; {TAKE_OVER}"
    if ours.startswith("md5") or not verify(ours, theirs):
        return f"role {role!r}: userlist.txt has another password or an md5 hash; {TAKE_OVER}"
    return ""  # the plain password, with which PgBouncer can log in by itself


def _why(ours: str, theirs: str) -> str:
    """Return how two verifiers differ, as far as it can be said without showing them."""
    try:
        ours_read, theirs_read = read_verifier(ours), read_verifier(theirs)
    except InputError as error:
        return f"userlist.txt and the server differ ({error})"
    if ours_read.salt != theirs_read.salt:
        return "userlist.txt has a verifier with another salt than the server's"
    return "userlist.txt has a verifier with the server's salt and other keys"
