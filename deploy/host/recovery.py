"""Undoes or finishes a release that was interrupted: called by every verb that changes a host, under its lock.

The link `current` is the truth: when it leads to the new release and that one runs, the rest is finished, else
everything is put back. Each step looks whether it is done, so this may itself be interrupted. If it is wrong, a
power cut leaves a host that serves nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import load_description
from . import audit, building, configuring, migrating, operation, pruning, slots, tree
from .apply import ROOT, apply, take_over
from .command import is_active, systemctl
from .errors import HostError
from .operation import PHASES, Operation
from .places import SLOTS, Places

Say = Callable[[str], None]
LONGEST_STOP = 3600.0  # seconds: systemd itself ends it before, in the time that the unit says
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def recover(places: Places, say: Say) -> None:
    """Bring a host whose last release was interrupted to the old or the new state; nothing where none was.

    Args:
        places: the app, whose lock the caller holds.
        say: takes a line for each thing that is done.

    Raises:
        HostError: it could not; says why. The next call tries again.
    """
    found = operation.read(places)
    if found is None:
        return
    with undisturbed():
        what = f"{found.verb} {found.release}, interrupted at {found.phase!r},"
        if _is_switched(places, found) and _runs(places, found.slot):
            say(f"finishing {what} for it serves")
            finish(places, found, say)
            audit.record(places, found.verb, "finished", release=found.release, before=found.before or None)
            return
        say(f"undoing {what} {f'for {found.before} serves' if found.before else 'for nothing served before'}")
        if _is_past(found, "config"):
            _put_config_back(places, found, say)
            _have_it_read(places, found)
        undo(places, found, say)
        audit.record(places, found.verb, "undone", release=found.release, reason=f"interrupted at {found.phase}")


def undo(places: Places, found: Operation, say: Say) -> None:
    """Put back what a release has changed so far; the old one, which has not been touched, goes on.

    Raises:
        HostError: something could not be put back; the operation stays on record then.
    """
    _end_helpers(places)
    stop_candidates(places)
    if _is_past(found, "link"):
        if slots.current(places) == found.release:  # it was switched, and does not run
            slots.point(places, places.current, found.before)
        _make_old_one_serve(places, found)
        systemctl("stop", places.unit(found.slot), check=False, timeout=LONGEST_STOP)
        slots.point(places, places.slot(found.slot), found.before_link)
    if _is_past(found, "config"):
        _put_config_back(places, found, say)
    building.clean(places)
    # Whatever the record says: never what a link leads to.
    if found.verb == "release" and found.release not in {slots.release_of(link) for link in _links(places)}:
        building.remove(places, found.release)
    operation.clear(places)


def finish(places: Places, found: Operation, say: Say) -> None:
    """Do what comes after the switch: the old instance finishes what it has and goes; old releases go."""
    systemctl("start", f"{places.name}.service")  # else systemd would look at the socket itself
    old = slots.other(found.slot)
    if is_active(places.unit(old)):
        say(f"stopping instance {old}, which finishes what it has")
    systemctl("stop", places.unit(old), timeout=LONGEST_STOP)
    operation.clear(places)
    kept = load_description.load(places.release(found.release) / "harden.toml").app.keep
    pruning.prune(places, kept, say)


def stop_candidates(places: Places) -> None:
    """Stop whatever is being tried, with the socket that both instances' candidates have in turn."""
    services = [places.candidate(slot) for slot in SLOTS]
    units = [*services, *(unit.replace(".service", ".socket") for unit in services)]
    systemctl("stop", *units, check=False)
    # What failed has been said; a host where all is well has no failed units, also after an uninstall.
    systemctl("reset-failed", *units, check=False)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore signals for the span of the block: whoever asked to stop is answered by what it does."""
    try:
        before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    except ValueError:  # no main thread, so nobody's signals
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _links(places: Places) -> list[Path]:
    return [places.current, *map(places.slot, SLOTS)]


def _end_helpers(places: Places) -> None:
    migrating.clean(places)
    building.clean(places)


def _is_switched(places: Places, found: Operation) -> bool:
    """Tell whether there is no way back; a restart has the same release before and after, so its phase says so."""
    is_current = slots.current(places) == found.release
    return is_current and (found.is_switched or found.before != found.release)


def _is_past(found: Operation, phase: str) -> bool:
    return PHASES.index(found.phase) >= PHASES.index(phase)


def _runs(places: Places, slot: str) -> bool:
    unit = places.unit(slot)
    return is_active(unit) or systemctl("start", unit, check=False).returncode == 0


def _make_old_one_serve(places: Places, found: Operation) -> None:
    old = slots.other(found.slot)
    if slots.release_of(places.slot(old)) == found.before != "":
        systemctl("start", places.unit(old), check=False)  # nothing, when it runs


def _have_it_read(places: Places, found: Operation) -> None:
    """Have old files read again: whoever was killed may have written them and told nobody."""
    folder = places.release(found.release) / configuring.ETC
    if places.root != ROOT or not folder.is_dir():
        return
    new = set(tree.load(folder))
    take_over(file for file in configuring.applied(places) if file not in new)


def _put_config_back(places: Places, found: Operation, say: Say) -> None:
    folder = places.release(found.release) / configuring.ETC
    files = configuring.applied(places)
    if not files or not folder.is_dir():
        return
    try:
        new = configuring.of_release(places, found.release)
    except HostError:
        new = ()  # a release whose folder is damaged: then files that only it has stay
    apply(files, new, places.root, say)
