"""PgBouncer's certificate, where it is beside the database and clients come over a network: brought, or made here.

One that harden.toml names is copied whenever it has changed, so a renewal is one more install. Without one, one is
made that vouches for itself: clients that have it as `database.ca` are sure whom they speak to, others are not.
Shows no key. If this is wrong, PgBouncer does not start, or its key is somebody else's too.
"""

from __future__ import annotations

import grp
import ipaddress
import os
import shutil
import stat
from pathlib import Path

from ..description import Description
from . import durable
from .command import run, systemctl
from .errors import HostError
from .places import Places
from .steps import Steps

NAMES = ("server.key", "server.crt")  # the key first: both are there only when the second is
MODE = 0o640
DAYS = 3650


def bring(places: Places, description: Description, steps: Steps) -> None:
    """Have certificate and key where PgBouncer reads them, for root and itself alone; it reads them again.

    Raises:
        HostError: they cannot be read, or do not belong together; what was there is as it was.
    """
    bouncer = description.pgbouncer
    if bouncer.certificate:
        text = f"copy PgBouncer's certificate from {bouncer.certificate}"
        pair = _read(Path(bouncer.certificate_key)), _read(Path(bouncer.certificate))
        if pair != _there(places):
            steps(text, lambda: _put(places, *pair))
    elif not _is_whole(places):
        host = description.database.host
        text = f"make PgBouncer a certificate for {host}, {folder(places) / NAMES[1]}"
        steps(text, lambda: _put(places, *_made(places, host)))


def require_sources(description: Description) -> None:
    """Refuse files that are not there, or a key that everybody can read; looks alone.

    Raises:
        HostError: says which file, and what mends it.
    """
    bouncer = description.pgbouncer
    for path in filter(None, (bouncer.certificate, bouncer.certificate_key)):
        _read(Path(path))
    if bouncer.certificate_key and stat.S_IMODE(Path(bouncer.certificate_key).stat().st_mode) & 0o007:
        raise HostError(f"everybody can read the key {bouncer.certificate_key}; chmod 0600 it")


def require_authority(description: Description, root: Path = Path("/")) -> None:
    """Refuse a host that has to be sure of its server and has nothing to be sure by; looks alone.

    Raises:
        HostError: says what to bring.
    """
    of = description.database
    if of.sslmode == "verify-full" and of.ca and not (root / of.ca.lstrip("/")).is_file():
        raise HostError(
            f"database.ca is {of.ca}, which is not on this host; bring what vouches for the database's "
            "certificate there (docs/tls.md)"
        )


def folder(places: Places) -> Path:
    """Return where PgBouncer's files lie."""
    return places.etc / "pgbouncer"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError:
        raise HostError(f"{path} is no PEM file; PgBouncer needs that") from None
    except OSError as error:
        raise HostError(
            f"{path} cannot be read: {error.strerror}; bring it, or leave pgbouncer.certificate empty: one is made"
        ) from None


def _there(places: Places) -> tuple[str, str] | None:
    """Return key and certificate as PgBouncer has them; None when it cannot, or others can."""
    group, found = _group(places), []
    for path in (folder(places) / name for name in NAMES):
        try:
            seen = path.stat()
            found.append(path.read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError):
            return None
        if (stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid) != (MODE, os.geteuid(), group):
            return None
    return found[0], found[1]


def _is_whole(places: Places) -> bool:
    return _there(places) is not None and _fit(*(folder(places) / name for name in NAMES))


def _put(places: Places, key: str, certificate: str) -> None:
    scratch = _scratch(places)
    try:
        for name, text in zip(NAMES, (key, certificate), strict=True):
            durable.replace(scratch / name, text, 0o600)
        if not _fit(*(scratch / name for name in NAMES)):
            raise HostError("PgBouncer's certificate and key do not fit; name the two files of one pair")
    finally:
        shutil.rmtree(scratch)
    owner = os.geteuid(), _group(places)
    for name, text in zip(NAMES, (key, certificate), strict=True):
        durable.replace(folder(places) / name, text, MODE, owner)
    systemctl("reload", f"{places.name}-pgbouncer@*.service", check=False)  # those that run; none at first


def _made(places: Places, host: str) -> tuple[str, str]:
    """Return a new key, and a certificate for a host by its name or address that is its own authority."""
    subject = f"/CN={places.name}-pgbouncer"
    scratch = _scratch(places)
    key, certificate = (scratch / name for name in NAMES)
    try:
        run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", str(DAYS), "-subj", subject, "-addext", f"subjectAltName={_name(host)}",
            "-keyout", str(key), "-out", str(certificate),
        )  # fmt: skip
        return key.read_text(encoding="ascii"), certificate.read_text(encoding="ascii")
    finally:
        shutil.rmtree(scratch)


def _name(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host.strip('[]'))}"
    except ValueError:
        return f"DNS:{host}"


def _fit(key: Path, certificate: Path) -> bool:
    """Tell whether a key is a certificate's, which PgBouncer finds out when it is too late."""
    of_key = run("openssl", "pkey", "-pubout", "-in", str(key), check=False)
    said = [of_key, run("openssl", "x509", "-pubkey", "-noout", "-in", str(certificate), check=False)]
    return all(done.returncode == 0 for done in said) and said[0].stdout == said[1].stdout


def _scratch(places: Places) -> Path:
    """Return an empty folder of root's, in memory."""
    made = places.root / "run" / f"harden-{places.name}-tls"
    shutil.rmtree(made, ignore_errors=True)  # of a run that was killed here
    made.mkdir(mode=0o700)
    return made


def _group(places: Places) -> int:
    """Return the id of PgBouncer's group; our own before it is there."""
    try:
        return grp.getgrnam(f"{places.name}-pgbouncer").gr_gid
    except KeyError:
        return os.getegid()
