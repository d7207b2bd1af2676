"""The app's secrets on a host: made once, completed where some are missing, and never changed after that.

A password, what signs sessions, what opens the ops pages, and the SCRAM verifier that PostgreSQL and PgBouncer
must both have. Shows none of them. If this is wrong, the app cannot log in, or everybody can.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .. import app_files, unit_files
from ..description import Description
from ..pgbouncer_process import needs_lookup_password
from ..scram import make_verifier, read_verifier, verify
from ..unit_templates import env_value
from . import durable, env_file
from .env_file import parse
from .errors import HostError

VERIFIER = "DATABASE_VERIFIER"
URL = "DATABASE_URL"
TOKEN = "HARDEN_OPS_TOKEN"
CONSOLE = "HARDEN_PGBOUNCER_DSN"
PASSWORD_BYTES = 32
LOOKUP_PASSWORD = "PGBOUNCER_LOOKUP_PASSWORD"  # of the role NAME-pgbouncer, where it comes over a network
HOLE = "PASSWORD"  # where a password goes in what `app_files` returns


def path_of(description: Description, root: Path = Path("/")) -> Path:
    """Return where the file of secrets lies."""
    return root / unit_files.secrets_path(description).lstrip("/")


def read(path: Path) -> dict[str, str]:
    """Return the secrets of a host; none where there is no file yet.

    Raises:
        HostError: the file cannot be read, or others than root may read it.
    """
    return env_file.read(path) if os.path.lexists(path) else {}


def verifiers(description: Description, values: Mapping[str, str]) -> dict[str, str]:
    """Return the verifier of the app's role by its name, as PgBouncer's renderer takes it; none where none is."""
    return {description.database.role: values[VERIFIER]} if values.get(VERIFIER) else {}


def completed(description: Description, values: Mapping[str, str], held: str = "") -> dict[str, str]:
    """Return all secrets of a service: those that are there, and new ones for those that are missing.

    Args:
        description: the service.
        values: what is there.
        held: the verifier that PostgreSQL has of the app's role already; "" for none, or when it is not known.

    Raises:
        HostError: the server has a password that is not known here, or what is there does not fit together.
    """
    known = {name: value for name, value in values.items() if value}
    password = password_of(known)
    if not password and held and held != known.get(VERIFIER):
        raise HostError(
            f"PostgreSQL has the role {description.database.role} with a password that is not known here; put its "
            f"{URL} into a file for --secrets, or take the password away: ALTER ROLE ... PASSWORD NULL"
        )
    if not known.get(URL):
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        known[URL] = app_files.database_url(description).replace(HOLE, password)
    known.setdefault("SECRET_KEY", secrets.token_urlsafe(48))
    known.setdefault(TOKEN, secrets.token_urlsafe(PASSWORD_BYTES))
    if VERIFIER not in known:
        known[VERIFIER] = _verifier(password, held)
    console = app_files.console_dsn(description)
    if console and password and CONSOLE not in known:
        known[CONSOLE] = console.replace(f"password={HOLE}", f"password={_of_dsn(password)}")
    if needs_lookup_password(description):
        known.setdefault(LOOKUP_PASSWORD, secrets.token_urlsafe(PASSWORD_BYTES))
    _require_one_password(password, known[VERIFIER])
    return known


def write(path: Path, description: Description, values: Mapping[str, str]) -> None:
    """Bring secrets to disk, root's alone; lines and comments that are there stay as they are.

    Raises:
        HostError: the file that is there cannot be completed.
        OSError: it could not be written.
    """
    old = path.read_text(encoding="utf-8") if path.exists() else app_files.secrets_file(description).text
    text = filled_in(old, values)
    if _parsed(text) != {**parse(old), **values}:
        raise HostError(f"{path} cannot be completed; put each variable on a line of its own")
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    durable.replace(path, text, 0o600, (os.geteuid(), os.getegid()))


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """Return a file's text with values: on the lines that wait for them, and else at its end."""
    for name, value in values.items():
        there = parse(text)
        if there.get(name) == value:
            continue
        line = f"{name}={env_value(value)}"
        waiting = re.search(rf"(?m)^#?{name}=[ \t]*$", text)
        new = text[: waiting.start()] + line + text[waiting.end() :] if waiting else ""
        # What looks like such a line may be part of a value.
        is_right = _parsed(new) == {**there, name: value}
        text = new if is_right else f"{text.rstrip()}\n{line}\n".lstrip("\n")
    return text


def _parsed(text: str) -> dict[str, str] | None:
    try:
        return parse(text)
    except HostError:
        return None


def differing(description: Description, values: Mapping[str, str]) -> list[str]:
    """Return a line for each secret that leads elsewhere than the description says; it is left as it is."""
    wanted = app_files.database_url(description)
    shown = re.sub(r"(//[^:/@]*):[^@]*@", rf"\1:{HOLE}@", values.get(URL, ""), count=1)
    if not shown or shown == wanted:
        return []
    return [f"{URL} is not the one of harden.toml, and stays as it is; that would be {wanted}"]


def same_file(path: Path, given: Mapping[str, str], there: Mapping[str, str]) -> None:
    """Refuse secrets that would replace others.

    Raises:
        HostError: a name has another value on this host; says which, and no value.
    """
    other = sorted(name for name, value in given.items() if there.get(name, value) not in ("", value))
    if other:
        raise HostError(
            f"--secrets has another {', '.join(other)} than this host; take the lines out of it, or out "
            f"of {path}"
        )


def password_of(known: Mapping[str, str]) -> str:
    """Return the password in DATABASE_URL; "" where there is none, or it is no URL."""
    url = known.get(URL, "")
    try:
        return unquote(urlsplit(url).password or "") if "://" in url else ""
    except ValueError:
        return ""


def _verifier(password: str, held: str) -> str:
    if not password:
        raise HostError(
            f"{URL} has no password that can be read (postgresql://ROLE:PASSWORD@...); add {VERIFIER}, which is "
            "rolpassword in pg_authid"
        )
    # The server's own goes first, so that nothing changes there.
    return held if held.startswith("SCRAM-") and verify(password, held) else make_verifier(password)


def _require_one_password(password: str, verifier: str) -> None:
    read_verifier(verifier)
    if password and not verify(password, verifier):
        raise HostError(f"{VERIFIER} is not of the password in {URL}; remove one of both lines, then try again")


def _of_dsn(password: str) -> str:
    """Quote a value of a connection string of key=value pairs."""
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    return escaped if re.fullmatch(r"[A-Za-z0-9_.~-]+", password) else f"'{escaped}'"
