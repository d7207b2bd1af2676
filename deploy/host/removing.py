"""Takes an app off a host: its units, its files, its logins; not its data, unless it is to be purged.

Works from the records of what was written, so that it needs no harden.toml. What other apps of the kit use stays,
and what was Debian's comes back with the last of them. The database is never dropped: that is a person's to do.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..description import NAME, Description, DescriptionError
from ..files import File
from ..load_description import load
from ..quoting import double_quoted
from . import audit, durable, front, neighbours, operation, packages, pg_hba, tree
from .apply import apply, differences
from .command import is_active, run, systemctl
from .errors import HostError
from .lock import deploy_lock
from .places import SLOTS, Places
from .preflight import require_host
from .steps import Steps

Say = Callable[[str], None]
USERS = ("", "-pgbouncer", "-build")  # of an app, as sysusers made them
SERVERS = "etc/postgresql"


@dataclass(frozen=True)
class Removal:
    """What is to go.

    Attributes:
        name: the app.
        purges: whether secrets, releases, the app's own files and its users go too.
    """

    name: str
    purges: bool = False


def named(text: str) -> str:
    """Return the app that a name, or the path of a harden.toml, stands for.

    Raises:
        HostError: it is neither.
        DescriptionError: the harden.toml cannot be used.
    """
    if Path(text).is_file():
        return load(Path(text)).app.name
    if not NAME.fullmatch(text):
        raise HostError(f"{text[:60]!r} is no app's name and no file; give the name, or its harden.toml")
    return text


def remove(removal: Removal, steps: Steps, say: Say) -> list[str]:
    """Take an app off this host; returns what is left to be said.

    Raises:
        HostError: something does not stop or cannot be removed, or a release is under way.
    """
    require_host()
    places = Places(removal.name)
    if not places.state.is_dir() and not (removal.purges and (places.home.is_dir() or places.etc.is_dir())):
        return [f"nothing to do: {removal.name} is not on this host"]
    description = _description(places)
    has_database = (places.state / "database.json").exists()
    if steps.is_dry:
        _remove(places, removal, description, steps, say)
    else:
        with deploy_lock(places, "uninstall"):
            try:
                _remove(places, removal, description, steps, say)
            except OSError as error:
                raise HostError(f"{error.filename or 'a file'}: {error.strerror}; then run this again") from None
            if steps.count:
                audit.record(places, "uninstall", "done", purged=str(removal.purges).lower())
    return _last_words(places, description if has_database else None, steps)


def _remove(
    places: Places, removal: Removal, description: Description | None, steps: Steps, say: Say
) -> None:
    if not steps.is_dry:
        packages.clean()
    own, shared = _files(places)
    _stop(places, own, steps)
    _forget_logins(places, steps)
    fronts = _last_fronts(places, own)
    for running in filter(is_active, fronts):
        steps(f"stop {running}", partial(systemctl, "stop", running))
    if any(file.path.endswith("/prometheus.service.d/harden.conf") for file in own) and is_active("prometheus"):
        # With its package's configuration it would show its pages to the world.
        steps("stop and disable prometheus", partial(systemctl, "disable", "--now", "prometheus"))
    _remove_files(places, own, steps, say)
    if shared:
        beside = ", ".join(neighbours.others(places.name, places.root))
        say(f"  {len(shared)} files stay, for they are also of {beside}")
    _give_back(places, fronts, steps, say)
    _remove_links(places, steps)
    if removal.purges:
        _purge(places, description, steps)
    if not steps.is_dry:
        _remove_empty(places)
    _forget(places, steps)


def _description(places: Places) -> Description | None:
    """Return the host's description; None where it is gone, or no longer one."""
    try:
        return load(places.description)
    except DescriptionError:
        return None


def _files(places: Places) -> tuple[list[File], list[File]]:
    """Return what was written for an app: what is its own, and what others use as well."""
    found: dict[str, File] = {}
    for folder in _records(places):
        try:
            found |= {file.path: file for file in tree.load(folder)}
        except HostError:
            continue  # of a run that was killed while it wrote the record: another has the same names
    used = {
        file.path
        for other in neighbours.others(places.name, places.root)
        for folder in _records(Places(other, places.root))
        if (folder / "manifest.json").exists()
        for file in tree.load(folder)
    }
    return [found[path] for path in sorted(found) if path not in used], [
        found[path] for path in sorted(found) if path in used
    ]


def _records(places: Places) -> list[Path]:
    return [*sorted(places.state.glob("applied*")), *sorted(places.releases.glob("*/etc"))]


def _stop(places: Places, own: list[File], steps: Steps) -> None:
    """Stop and disable all units of the app, the ones that get requests first."""
    name = places.name
    instances = [unit for slot in SLOTS for unit in (places.candidate(slot), places.unit(slot))]
    health = [f"{name}-health@{slot}.socket" for slot in SLOTS]
    bouncers = _loaded(f"{name}-pgbouncer@*.service")
    # Of a release that was killed: they run on, as users that are to go.
    left = [f"{name}-build.service", f"{name}-migrate.service"]
    tried = [f"{name}-candidate@{slot}.socket" for slot in SLOTS]
    units = [f"{name}.socket", f"{name}.service", *instances, *health, *bouncers, *left, *tried]
    units = [unit for unit in units if is_active(unit) or _is_enabled(unit)]
    if not units:
        return

    def stop() -> None:
        enabled = [unit for unit in units if _is_enabled(unit)]
        if enabled:
            systemctl("disable", *enabled)
        systemctl("stop", *units, timeout=600)

    steps(f"stop and disable {', '.join(units)}", stop)


def _loaded(pattern: str) -> list[str]:
    """Return the units of a pattern that systemd knows, or would start at boot."""
    listed = systemctl("list-units", "--all", "--plain", "--no-legend", pattern, check=False).stdout.splitlines()
    wants = Path("/etc/systemd/system").glob(f"*.wants/{pattern}")
    return sorted({*(line.split()[0] for line in listed if line.split()), *(path.name for path in wants)})


def _is_enabled(unit: str) -> bool:
    return systemctl("is-enabled", unit, check=False).stdout.strip() == "enabled"  # others count static ones, too


def _forget_logins(places: Places, steps: Steps) -> None:
    """Take the app's lines out of each server's pg_hba.conf."""
    for path in sorted((places.root / SERVERS).glob("*/*/pg_hba.conf")):
        old = pg_hba.read(path)
        new = pg_hba.without_block(old, places.name)
        if new != old:
            steps(f"take the app's logins out of {path}", partial(_rewrite, path, new))


def _rewrite(path: Path, text: str) -> None:
    found = path.stat()
    durable.replace(path, text, found.st_mode & 0o7777, (found.st_uid, found.st_gid))
    if is_active("postgresql.service"):
        systemctl("reload", "postgresql.service")


def _last_fronts(places: Places, own: list[File]) -> list[str]:
    """Return the fronts that no other app of the kit has: they get Debian's own unit and files back."""
    paths = {file.path for file in own}
    return [name for name, drop_in in front.DROP_INS.items() if drop_in in paths]


def _give_back(places: Places, fronts: list[str], steps: Steps, say: Say) -> None:
    for name in fronts:
        for path in front.moved(places.root):
            if path.startswith(f"/etc/{name}/"):
                steps(f"put Debian's {path} back", partial(front.put_back, path, places.root))
        if _is_enabled(f"{name}.service") and not (steps.is_dry or is_active(name)):
            steps(f"start {name}, as Debian has it", partial(_start, name, say))


def _start(unit: str, say: Say) -> None:
    run("systemd-tmpfiles", "--create", f"{unit}.conf", check=False)  # its folder in /run went with our unit
    systemctl("reset-failed", unit, check=False)
    if systemctl("start", unit, check=False).returncode:
        say(f"note: {unit} does not start with its own configuration; see journalctl -u {unit}")


def _remove_files(places: Places, own: list[File], steps: Steps, say: Say) -> None:
    gone = [change.file for change in differences((), own, places.root) if not _is_back(places, change.path)]
    if gone:
        text = f"remove {len(gone)} files of {places.name}"
        steps(text, lambda: apply((), gone, places.root, lambda line: say(f"  {line}")))


def _is_back(places: Places, path: str) -> bool:
    """Tell whether a file is Debian's own again, put back by a run that was interrupted after that."""
    return path == front.HAPROXY and not front.is_ours(places.root / path.lstrip("/"))


def _remove_links(places: Places, steps: Steps) -> None:
    """Remove what says which release serves; the releases stay, for another install."""
    for link in (places.current, *map(places.slot, SLOTS)):
        if link.is_symlink():
            steps(f"remove the link {link}", partial(durable.remove, link))


def _remove_empty(places: Places) -> None:
    """Remove the folders that nothing is left in."""
    etc = places.etc
    for folder in (etc / "pgbouncer", etc / "postgresql", etc, places.releases, places.home):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _purge(places: Places, description: Description | None, steps: Steps) -> None:
    name, root = places.name, places.root
    run_folders = [root / "run" / name, root / "run" / f"harden-{name}"]
    kept = [root / "var/lib" / name, root / "var/cache" / f"{name}-build"]
    folders = [places.home, places.etc, *kept, *run_folders]
    for folder in folders:
        if folder.is_dir() and not folder.is_symlink():
            steps(f"remove {folder}", partial(shutil.rmtree, folder))
    secrets = root / description.app.secrets.lstrip("/") if description and description.app.secrets else None
    if secrets is not None and secrets.exists():
        steps(f"remove {secrets}", lambda: durable.remove(secrets))
    for user in (f"{name}{end}" for end in USERS):
        if _is_known(user):
            steps(f"remove the user {user}", partial(run, "userdel", user))


def _is_known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _forget(places: Places, steps: Steps) -> None:
    """Remove the records at last: until then a run that was interrupted is gone on with. The audit log stays."""
    records = [*sorted(places.state.glob("applied*")), places.state / "database.json", places.state / "unread"]
    records.append(places.state / "migrate.env")  # of a migration that was killed: the app's password is in it
    there = [path for path in (*records, places.operation) if os.path.lexists(path)]
    if there and not steps.is_dry:
        operation.clear(places)
        for path in there:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        durable.sync_folder(places.state)


def _last_words(places: Places, description: Description | None, steps: Steps) -> list[str]:
    """Return what is left to be said.

    Args:
        places: the app.
        description: of an app whose database is on this host.
        steps: what was done.
    """
    if steps.is_dry:
        return [f"{steps.count} steps; nothing was changed" if steps.count else "nothing to do"]
    nothing = f"nothing to do: {places.name} is not on this host"
    told = [f"{places.name} is off this host" if steps.count else nothing]
    kept = [str(path) for path in (places.description, places.secrets, places.releases) if path.exists()]
    if kept:
        told.append(f"  kept      {', '.join(kept)}; --purge removes them")
    if description is not None and steps.count:
        of = description.database
        lookup = (f"{places.name}-pgbouncer",) if description.pgbouncer.auth == "query" else ()
        roles = ", ".join(double_quoted(role) for role in (of.role, f"{of.role}_monitor", *lookup))
        drop = f"-c 'DROP DATABASE {double_quoted(of.name)}' -c 'DROP ROLE {roles}'"
        told.append(f"  database  kept; with all its data it goes by: runuser -u postgres -- psql -X {drop}")
    return told


