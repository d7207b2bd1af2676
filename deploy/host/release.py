"""`harden release` and `harden rollback` on a host: checks all that can be checked, takes the lock, performs it.

If a check is missing here, what it would have found is found half way, and has to be undone.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import load_description, unit_files
from ..description import Description
from . import building, configuring, migrating, operation, pruning, recovery, releasing, secrets, slots, source
from .command import run
from .errors import HostError
from .lock import deploy_lock
from .places import Places
from .releasing import Change
from .steps import Steps

CONFIG = "harden.toml"
GATE_SECONDS = 60.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """A release as it is asked for.

    Attributes:
        folder: the app's repository, or a copy of it.
        rev: of a repository, what to release instead of HEAD.
        config: its harden.toml; None for the one in the folder, as of that revision.
        wheels: a folder with all packages; None asks pip's index.
        migrate: the migration; None for the one of harden.toml, "" for none.
        gate_seconds: in which the gate must be passed.
        message: for the audit log.
    """

    folder: Path
    rev: str = ""
    config: Path | None = None
    wheels: Path | None = None
    migrate: str | None = None
    gate_seconds: float = GATE_SECONDS
    message: str = ""


def release(order: Order, steps: Steps, say: Say) -> str:
    """Make a release and let it serve; returns its id.

    Raises:
        GateError: it failed, and all has been put back.
        InputError: something has to be changed first; nothing was done.
    """
    found = source.find(order.folder, order.rev)
    text = _description_text(order, found)
    description = load_description.parse(text, str(order.config or CONFIG))
    places = Places(description.app.name)
    require_installed(places, description)
    for warning in found.warnings:
        say(f"warning: {warning}")
    files = configuring.rendered(places, description)
    values = secrets.read(secrets.path_of(description, places.root))
    command = description.app.migrate if order.migrate is None else order.migrate
    if command:
        migrating.direct_url(description, values)
    building.check(places, found, description, order.wheels)
    with _changing(places, "release", steps, say):
        release = building.new_id(found)
        _require_new(places, release)

        def migrate() -> None:
            migrating.migrate(places, description, release, command, values)

        change = Change(
            "release", release, description, files, order.gate_seconds,
            build=lambda: building.build(
                places, release, found, description, text, files, order.wheels, lambda line: say(f"  {line}")
            ),
            migrate=migrate if command else None,
            facts=_facts(commit=found.known_commit, message=order.message),
        )  # fmt: skip
        releasing.perform(places, change, steps, say)
    return release


def rollback(name: str, release: str, gate_seconds: float, message: str, steps: Steps, say: Say) -> str:
    """Let a release serve that is there; returns its id.

    Args:
        name: the app's.
        release: its id, or the beginning of one; "" for the one before the current one.
        gate_seconds, message: as in `Order`.
        steps, say: as in `release`.

    Raises:
        GateError, InputError: as `release`.
    """
    places = Places(name)
    require_root()
    with _changing(places, "rollback", steps, say):
        wanted = _chosen(places, release)
        description = load_description.load(places.release(wanted) / CONFIG)
        require_installed(places, description)
        change = Change(
            "rollback", wanted, description, configuring.of_release(places, wanted), gate_seconds,
            facts=_facts(message=message),
        )  # fmt: skip
        say(f"rolling back from {slots.current(places)} to {wanted}; the database stays as it is")
        releasing.perform(places, change, steps, say)
    return wanted


def require_root() -> None:
    """Refuse anybody else.

    Raises:
        HostError: this is not root.
    """
    if os.geteuid() != 0:
        raise HostError("this changes the host, so it runs as root; put sudo before it")


def require_installed(places: Places, description: Description) -> None:
    """Refuse a host that does not have the app.

    Raises:
        HostError: says what the host has.
    """
    require_root()
    name = places.name
    missing = [user for user in (name, building.user(places)) if not _is_user(user)]
    secrets = Path(unit_files.secrets_path(description))
    if missing or not secrets.exists() or not slots.is_installed(places):
        there = [each for each in slots.installed() if each != name]
        others = f" (it has {', '.join(there)})" if there else ""
        raise HostError(f"{name} is not installed on this host{others}; run harden install first")
    run(building.PYTHON, "-I", "-c", "import ensurepip, venv")


def app_named(name: str) -> str:
    """Return which app is meant.

    Args:
        name: as given; "" for the only one.

    Raises:
        HostError: there is none, or there are several, or not that one.
    """
    return chosen(name, slots.installed())


def chosen(name: str, there: Sequence[str]) -> str:
    """Return which of the apps that are there is meant; as `app_named`."""
    if name in there:
        return name
    if not there:
        raise HostError("no app is installed on this host; run harden install, as root")
    if name:
        raise HostError(f"{name} is not installed on this host; it has {', '.join(there)}")
    if len(there) > 1:
        raise HostError(f"which app? this host has {', '.join(there)}")
    return there[0]


def _description_text(order: Order, found: source.Source) -> str:
    if order.config is not None:
        try:
            return order.config.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise HostError(f"{order.config} cannot be read: {error}") from None
    text = source.text_of(found, CONFIG)
    if text is None:
        raise HostError(f"{found.folder} has no {CONFIG}; harden init writes one, or name it with --config")
    return text


@contextmanager
def _changing(places: Places, verb: str, steps: Steps, say: Say) -> Iterator[None]:
    """Hold the lock over a host that no interrupted release is left on; in a dry run only look."""
    if steps.is_dry:
        if operation.read(places) is not None:
            say("would first undo or finish what was interrupted; see harden status")
        yield
        return
    with deploy_lock(places, verb):
        recovery.recover(places, say)
        yield


def _chosen(places: Places, release: str) -> str:
    now, there = slots.current(places), slots.releases(places)
    others = [each for each in there if each != now]
    shown = f"there are {', '.join(others)}" if others else "there is no other"
    if not release:
        wanted = pruning.before(places, now)
        if not wanted:
            raise HostError(f"there is no release before {now or 'the first'}; {shown}")
        return wanted
    found = [each for each in there if each.startswith(release)]
    if found == [now]:
        raise HostError(f"{now} serves already; {shown}")
    if len(found) != 1:
        raise HostError(f"{release} is {'several releases' if found else 'no release'} of this host; {shown}")
    return found[0]


def _require_new(places: Places, release: str) -> None:
    """Refuse an id that is there: a copy brings its own, and one host may be meant by two names.

    Raises:
        HostError: undoing the second would take the first away, which may serve.
    """
    if release in slots.releases(places):
        raise HostError(f"{release} is on this host already; roll back to it, or make a copy of the app anew")


def _facts(**facts: str) -> dict[str, str]:
    return {name: fact for name, fact in facts.items() if fact}


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
