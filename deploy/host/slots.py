"""Two instances that take turns, and the links that say which release each of them is.

Links change at once and are the truth: whoever boots the host reads them too. If this is wrong, a release starts
in the instance that serves.
"""

from __future__ import annotations

import re
from pathlib import Path

from . import durable
from .command import is_active
from .places import SLOTS, Places

ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
RECORD = "release.json"  # written last: a folder without it is no release


def current(places: Places) -> str:
    """Return the id of the release that is to serve, also after a boot; "" before the first."""
    return release_of(places.current)


def release_of(link: Path) -> str:
    """Return the id of the release that a link leads to; "" where there is no link."""
    return link.readlink().name if link.is_symlink() else ""


def point(places: Places, link: Path, release: str) -> None:
    """Let a link lead to a release, at once; for "" the link goes."""
    if release == release_of(link):
        return
    if release:
        durable.link(link, f"{places.releases.name}/{release}")
    else:
        durable.remove(link)


def serving(places: Places) -> str:
    """Return the instance that serves: the one that runs, else the current release's; "" before the first."""
    running = [slot for slot in SLOTS if is_active(places.unit(slot))]
    if len(running) == 1:
        return running[0]
    now = current(places)
    found = [slot for slot in SLOTS if now and release_of(places.slot(slot)) == now]
    return (found or running or [""])[0]


def other(slot: str) -> str:
    """Return the instance whose turn is next; the first one when none has had its turn."""
    return SLOTS[1] if slot == SLOTS[0] else SLOTS[0]


def releases(places: Places) -> list[str]:
    """Return the ids of complete releases, the oldest first."""
    if not places.releases.is_dir():
        return []
    found = [folder.name for folder in places.releases.iterdir() if ID.fullmatch(folder.name)]
    return sorted(release for release in found if (places.release(release) / RECORD).is_file())


def installed(root: Path = Path("/")) -> list[str]:
    """Return the names of the apps that this host has; one that was uninstalled may have left its releases."""
    folder = Places("x", root).state.parent
    if not folder.is_dir():
        return []
    return sorted(each.name for each in folder.iterdir() if is_installed(Places(each.name, root)))


def is_installed(places: Places) -> bool:
    """Tell whether a host has an app: room for its releases, and the socket that they would serve."""
    return places.releases.is_dir() and (places.root / f"etc/systemd/system/{places.name}.socket").is_file()
