"""`harden restart`: the lock, what an interrupted release has left, the audit line, and which restart it is.

The restarts themselves are `restarting` (PgBouncer), `pausing` with `postgres_server` (PostgreSQL) and `releasing`
(the app: the turn of a release, with the release that serves).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..description import Description
from ..ladder import stop
from . import audit, configuring, pausing, postgres_server, recovery, releasing, secrets, slots
from .bouncers import Bouncers, bouncers
from .command import systemctl
from .errors import HostError
from .lock import deploy_lock
from .pausing import Pause
from .places import Places
from .restarting import Restart, cut_bouncers, restart_bouncers
from .steps import Steps

Say = Callable[[str], None]
WHAT = ("app", "pgbouncer", "postgresql")
PAUSE_SECONDS = 20.0
LINGER = 10.0  # seconds beyond the app's own stop, for its last connections to be closed


@dataclass(frozen=True)
class Wanted:
    """What somebody asks for.

    Attributes:
        what: one of WHAT.
        how: "" for without a lost request; "cut" at once; for PostgreSQL "pause" and "resume" alone.
        seconds: how long old workers, or transactions, may take; None for the usual.
    """

    what: str
    how: str = ""
    seconds: float | None = None


def restart(places: Places, description: Description, wanted: Wanted, steps: Steps, say: Say) -> None:
    """Do it, under the lock, and record it.

    Raises:
        GateError: something did not finish in time or did not start; all serves as before.
        HostError: it cannot be done, or a server did not come back.
    """
    if steps.is_dry:
        _ACTS[wanted.what](places, description, wanted, steps, say)
        return
    verb = f"restart {wanted.what}"
    with deploy_lock(places, verb):
        recovery.recover(places, say)
        began, result, reason = time.monotonic(), "failed", None
        try:
            _ACTS[wanted.what](places, description, wanted, steps, say)
            result = "done"
        except HostError as error:
            reason = str(error)[:500]
            raise
        finally:
            seconds = round(time.monotonic() - began, 1)
            audit.record(places, verb, result, how=wanted.how or None, seconds=seconds, reason=reason)


def _app(places: Places, description: Description, wanted: Wanted, steps: Steps, say: Say) -> None:
    release = slots.current(places)
    if not release:
        raise HostError(f"{places.name} has no release yet; harden release makes one")
    if wanted.how == "cut":
        unit = places.unit(slots.serving(places) or "a")
        steps(f"restart {unit}; requests wait in its socket meanwhile", lambda: systemctl("restart", unit))
        return
    files = configuring.of_release(places, release)
    change = releasing.Change("restart", release, description, files, wanted.seconds or 60.0)
    releasing.perform(places, change, steps, say)


def _pgbouncer(places: Places, description: Description, wanted: Wanted, steps: Steps, say: Say) -> None:
    found = bouncers(places, description)
    if not found.processes:
        raise HostError("pgbouncer.enabled is false; there is none to restart")
    job = Restart(places, found, steps, wanted.seconds or stop(description.timeouts) + LINGER)
    if wanted.how == "cut":
        cut_bouncers(job)
        return
    _require_spare_in_url(places, description, found)
    restart_bouncers(job)


def _require_spare_in_url(places: Places, description: Description, found: Bouncers) -> None:
    """Refuse when the app would not find the spare: secrets that were written before there was one lack it."""
    place = secrets.path_of(description, places.root)
    url = secrets.read(place).get(secrets.URL, "")
    if found.spare is not None and str(found.spare.folder) not in url.replace("%2F", "/"):
        raise HostError(
            f"DATABASE_URL in {place} lacks the spare's folder {found.spare.folder}; add it to the end of host= "
            f"and a {found.spare.port} to port=, then harden restart app"
        )


def _postgresql(places: Places, description: Description, wanted: Wanted, steps: Steps, say: Say) -> None:
    here = postgres_server.server(description, places.root)
    if wanted.how in ("", "cut") and not here.is_here():
        raise HostError(
            f"PostgreSQL {here.version} is not on this host; here harden restart postgresql --pause, there "
            "restart it, then here --resume"
        )
    running = () if wanted.how == "cut" else bouncers(places, description).running
    pause = pausing.pause_of(description, running, wanted.seconds or PAUSE_SECONDS)
    if wanted.how == "resume":
        steps("let queries go on", lambda: pausing.let_go(pause))
    elif wanted.how == "pause":
        _require_bouncer(pause)
        steps(_pausing(pause), lambda: pausing.hold(pause))
        say(f"queries wait; harden restart postgresql --resume ends it, or by itself after {_longest(pause)} s")
    else:
        _restart_server(here, description, pause, steps, say)


def _restart_server(
    here: postgres_server.Server, description: Description, pause: Pause, steps: Steps, say: Say
) -> None:
    """Restart PostgreSQL of this host, whoever is to be held back."""
    steps("read PostgreSQL's settings as its start will", here.check)
    steps("write a checkpoint, so that its stop is short", here.checkpoint)
    if not pause.processes:
        say("no PgBouncer runs here: pause those of the app's hosts before (harden restart postgresql --pause)")
        steps(f"restart {here.unit}", here.restart)
        return

    def act() -> None:
        with pausing.held(pause, lambda: here.oldest(description.database.role)) as began:
            here.restart()
        say(f"queries waited {time.monotonic() - began:.1f} s at most")

    steps(f"{_pausing(pause)}, restart {here.unit}, and let queries go on", act)


def _pausing(pause: Pause) -> str:
    return f"let transactions finish for {pause.seconds:.0f} s at most, while new queries wait"


def _longest(pause: Pause) -> int:
    return round(pause.seconds + pausing.AWAY)


def _require_bouncer(pause: Pause) -> None:
    if not pause.processes:
        raise HostError("no PgBouncer of this app runs on this host, so that nothing can be paused here")


_ACTS = {"app": _app, "pgbouncer": _pgbouncer, "postgresql": _postgresql}
