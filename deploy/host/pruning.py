"""Removes old releases. Never one that a link leads to, nor the one before it, whatever app.keep says."""

from __future__ import annotations

from collections.abc import Callable

from . import building, slots
from .places import SLOTS, Places


def prune(places: Places, keep: int, say: Callable[[str], None]) -> list[str]:
    """Remove all but the newest releases.

    Args:
        places: the app.
        keep: how many stay.
        say: takes a line for each that goes.

    Returns:
        The ids of those that are gone.
    """
    gone = superfluous(places, keep)
    for release in gone:
        building.remove(places, release)
        say(f"removed {release}")
    building.clean(places)
    return gone


def superfluous(places: Places, keep: int) -> list[str]:
    """Return the ids of releases that may go, the oldest first."""
    there = slots.releases(places)
    needed = {slots.release_of(link) for link in (places.current, *map(places.slot, SLOTS))}
    needed.add(before(places, slots.current(places)))
    return [release for release in there[: max(0, len(there) - keep)] if release not in needed]


def before(places: Places, release: str) -> str:
    """Return the release that was made before another; "" when there is none any more."""
    return max((each for each in slots.releases(places) if each < release), default="")
