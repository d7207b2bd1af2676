"""The configuration of an app host: of a release that is made, of one that is there, and what is applied now.

A release keeps its configuration, but not secrets in it: those are the host's, so a rollback takes today's. Knows
the renderers through `host_files`. If this is wrong, a rollback brings back a password that PostgreSQL refuses.
"""

from __future__ import annotations

from .. import host_files, load_description
from ..description import Description
from ..files import File
from ..plan import plan
from . import secrets, slots, tree
from .places import Places

KIND = "app"
ETC = "etc"  # of a release


def rendered(places: Places, description: Description) -> tuple[File, ...]:
    """Return the files of an app host, with its secrets.

    Raises:
        InputError: the sizes do not fit, a secret is missing, or a value cannot stand in a file.
    """
    values = secrets.read(secrets.path_of(description, places.root))
    return host_files.files(
        description, plan(description), KIND, secrets.verifiers(description, values),
        lookup_password=values.get(secrets.LOOKUP_PASSWORD, ""),
    )  # fmt: skip


def of_release(places: Places, release: str) -> tuple[File, ...]:
    """Return the files of a release that is there, those with secrets in today's form.

    Raises:
        HostError: it has no complete configuration.
    """
    folder = places.release(release)
    files = tree.load(folder / ETC)
    if not any(file.is_secret for file in files):
        return files
    today = {file.path: file for file in rendered(places, load_description.load(folder / "harden.toml"))}
    return tuple(today.get(file.path, file) if file.is_secret else file for file in files)


def description_of(places: Places) -> Description:
    """Return what a host is now: its current release's harden.toml, before the first one the install's.

    Raises:
        InputError: it cannot be read, or be used.
    """
    now = slots.current(places)
    return load_description.load(places.release(now) / "harden.toml" if now else places.description)


def applied(places: Places) -> tuple[File, ...]:
    """Return the files that are to be on the host now: the current release's, before the first the install's."""
    now = slots.current(places)
    if now:
        return of_release(places, now)
    if not (places.applied / "manifest.json").exists() or not places.description.exists():
        return ()
    # An install may have been for the database, too: its files are none of a release's.
    ours = {file.path for file in rendered(places, load_description.load(places.description))}
    return tuple(file for file in tree.load(places.applied) if file.path in ours)
