"""What the front's packages bring and ours replaces: moved away, and put back when the last app goes.

Debian's default site would be a second default server, Debian's units run nginx and HAProxy as root. Knows where
they lie, and no directive. If this is wrong, the front does not start.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from ..description import Description
from . import durable, packages
from .command import is_active, run
from .errors import HostError

ROOT = Path("/")
MOVED = "var/lib/harden/debian"  # below it what was moved away lies by its path
DEFAULT_SITE = "/etc/nginx/sites-enabled/default"
HAPROXY = "/etc/haproxy/haproxy.cfg"
OURS = "# Written by harden"
ACME = "/var/www/acme"
# What runs as its own user from the start with our drop-in, and has to be started anew for that.
DROP_INS = {
    "nginx": "/etc/systemd/system/nginx.service.d/harden.conf",
    "haproxy": "/etc/systemd/system/haproxy.service.d/harden.conf",
}
READERS = {"app": "www-data", "balancer": "haproxy"}


def services(description: Description, kinds: Iterable[str]) -> tuple[str, ...]:
    """Return the fronts of a host."""
    kinds = tuple(kinds)
    nginx = ("nginx",) if "app" in kinds and description.front.kind == "nginx" else ()
    return (*nginx, *(("haproxy",) if "balancer" in kinds else ()))


def in_the_way(kinds: Iterable[str], root: Path = ROOT) -> tuple[str, ...]:
    """Return Debian's own files that have to be moved away.

    Raises:
        HostError: somebody has made one of them theirs.
    """
    kinds, found = tuple(kinds), []
    if "app" in kinds and _is_default_site(root / DEFAULT_SITE.lstrip("/")):
        found.append(DEFAULT_SITE)
    haproxy = root / HAPROXY.lstrip("/")
    if "balancer" in kinds and haproxy.exists() and not is_ours(haproxy):
        if not packages.is_as_packaged("haproxy", haproxy):
            raise HostError(f"{HAPROXY} is somebody's own; the balancer needs that file: move it away")
        found.append(HAPROXY)
    return tuple(found)


def is_ours(path: Path) -> bool:
    """Tell whether a file is one that the kit has written."""
    return OURS in path.read_text(encoding="utf-8", errors="replace")


def move_away(path: str, root: Path = ROOT) -> None:
    """Move a file of Debian's to where `put_back` finds it; a link is moved as a link."""
    place, kept = root / path.lstrip("/"), root / MOVED / path.lstrip("/")
    kept.parent.mkdir(parents=True, exist_ok=True)
    (root / MOVED).chmod(0o700)
    if not os.path.lexists(kept):
        new = kept.with_name(f"{kept.name}.new")
        new.unlink(missing_ok=True)
        shutil.copy2(place, new, follow_symlinks=False)
        new.replace(kept)
        durable.sync_folder(kept.parent)
    durable.remove(place)


def moved(root: Path = ROOT) -> tuple[str, ...]:
    """Return what was moved away and is not back."""
    top = root / MOVED
    found = (path for path in sorted(top.rglob("*")) if path.is_symlink() or path.is_file())
    return tuple(f"/{path.relative_to(top)}" for path in found if not path.name.endswith(".new"))


def put_back(path: str, root: Path = ROOT) -> None:
    """Put a file of Debian's back to where it was, unless something else is there by now."""
    place, kept = root / path.lstrip("/"), root / MOVED / path.lstrip("/")
    if not os.path.lexists(place) and place.parent.is_dir():
        shutil.copy2(kept, place, follow_symlinks=False)
        durable.sync_folder(place.parent)
    durable.remove(kept)


def to_stop(fronts: Iterable[str], root: Path = ROOT) -> tuple[str, ...]:
    """Return the fronts that run as Debian starts them: they must be stopped before they get another unit."""
    return tuple(name for name in fronts if not (root / DROP_INS[name].lstrip("/")).exists() and is_active(name))


def needs_acme(fronts: Iterable[str], root: Path = ROOT) -> bool:
    """Tell whether the folder in which certificates are proved is missing."""
    return "nginx" in tuple(fronts) and not (root / ACME.lstrip("/")).is_dir()


def make_acme(root: Path = ROOT) -> None:
    """Make that folder: root's, for everybody to read."""
    folder = root / ACME.lstrip("/")
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for each in (folder.parent, folder):
        each.chmod(0o755)


def require_certificate(description: Description, kinds: Iterable[str], root: Path = ROOT) -> None:
    """Refuse a certificate that is not there, or that everybody can read the key of.

    Raises:
        HostError: says which file, and what mends it.
    """
    for user, path, is_key in _certificates(description, kinds):
        place = root / path.lstrip("/")
        try:
            found = place.stat()
        except OSError as error:
            raise HostError(
                f"the certificate's {path} cannot be read: {error.strerror}; bring it, or leave front.certificate "
                "empty until it is there"
            ) from None
        if is_key and stat.S_IMODE(found.st_mode) & 0o007:
            raise HostError(f"everybody can read the key {path}; {_mended(user, path)}")


def require_readable(description: Description, kinds: Iterable[str]) -> None:
    """Refuse a certificate that the front's user cannot read; the front is of that user from its first line.

    A user that comes with a package which is not there yet is not asked for.

    Raises:
        HostError: says which file, and what mends it.
    """
    for user, path, _ in _certificates(description, kinds):
        if run("id", user, check=False).returncode:
            continue
        if run("runuser", "-u", user, "--", "test", "-r", path, check=False).returncode:
            raise HostError(f"{user} cannot read {path}, or a folder above it; {_mended(user, path)}")


def _certificates(description: Description, kinds: Iterable[str]) -> list[tuple[str, str, bool]]:
    """Return who reads which file, and whether a key is in it."""
    front, kinds = description.front, tuple(kinds)
    if not front.certificate:
        return []
    users = [READERS[name] for name in ("balancer",) if name in kinds]
    if "app" in kinds and front.kind == "nginx" and not front.balancer:
        users.append(READERS["app"])
    paths = dict.fromkeys((front.certificate, front.certificate_key or front.certificate))
    key = front.certificate_key or front.certificate
    return [(user, path, path == key) for user in users for path in paths]


def _is_default_site(place: Path) -> bool:
    """Tell whether the file is Debian's link, and not a site that somebody calls so."""
    return place.is_symlink() and str(place.readlink()).endswith("sites-available/default")


def _mended(user: str, path: str) -> str:
    return f"chown root:{user} {path} and chmod 0640 {path}"
