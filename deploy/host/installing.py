"""Installs an app on a Debian host: looks first, then packages, then everything that is made from harden.toml.

Each step looks whether it is done, so a run that was interrupted anywhere is gone on with by the next one, and a
run on a host that has everything changes nothing. Until packages are there it works without jinja2, which renders.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..description import Description
from ..description_rules import is_over_network
from ..load_description import load
from ..pgbouncer_process import needs_certificate
from ..plan import Plan, plan
from ..unit_network import default_kinds
from . import audit, bouncer_certificate, database, env_file, front, neighbours, packages, preflight
from .errors import HostError
from .lock import deploy_lock
from .places import Places
from .steps import Steps

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wish:
    """What somebody asks for.

    Attributes:
        file: the harden.toml.
        kinds: what the host is for; empty for what the description says.
        secrets: a file with secrets of another host; None for this host's own.
        may_restart: whether PostgreSQL may be restarted though others use it.
    """

    file: Path
    kinds: tuple[str, ...] = ()
    secrets: Path | None = None
    may_restart: bool = False


@dataclass(frozen=True)
class Job:
    """A wish that has been looked at.

    Attributes:
        places: the app.
        description, plan: what is to be.
        text: the harden.toml's.
        kinds: what the host is for.
        given: secrets of another host.
        may_restart: as in `Wish`.
        steps, say: tell what is done.
    """

    places: Places
    description: Description
    plan: Plan
    text: str
    kinds: tuple[str, ...]
    given: Mapping[str, str]
    may_restart: bool
    steps: Steps
    say: Say


def install(wish: Wish, steps: Steps, say: Say) -> Job:
    """Make this host what a harden.toml says; returns what was done with.

    Raises:
        InputError: the harden.toml cannot be used; says every problem.
        HostError: the host refuses something; the next run goes on from there.
    """
    job = _looked_at(wish, steps, say)
    if steps.is_dry:
        _install(job)
        return job
    with deploy_lock(job.places, "install"):
        _recorded(job)
    return job


def _recorded(job: Job) -> None:
    """Install, and have the audit log say how it ended; a run that changes nothing is none of its."""
    kinds = " ".join(job.kinds)
    try:
        _install(job)
    except OSError as error:
        _record_failure(job, str(error.strerror))
        raise HostError(f"{error.filename or 'a file'}: {error.strerror}; then run this again") from None
    except BaseException as error:
        _record_failure(job, str(error)[:300] or type(error).__name__)
        raise
    if job.steps.count:
        audit.record(job.places, "install", "done", kinds=kinds, steps=job.steps.count)


def _record_failure(job: Job, reason: str) -> None:
    try:
        audit.record(job.places, "install", "failed", kinds=" ".join(job.kinds), reason=reason)
    except OSError:
        job.say("note: the audit log could not be written")  # a full disk; the reason itself is told


def _looked_at(wish: Wish, steps: Steps, say: Say) -> Job:
    """Return a job, when nothing that can be seen beforehand stands against it."""
    preflight.require_host()
    try:
        text = wish.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(f"{wish.file} cannot be read ({error}); harden init writes one") from None
    description = load(wish.file)
    kinds = tuple(dict.fromkeys(wish.kinds)) or default_kinds(description)
    job = Job(
        Places(description.app.name), description, plan(description), text, kinds,
        env_file.read(wish.secrets) if wish.secrets else {}, wish.may_restart, steps, say,
    )  # fmt: skip
    preflight.require_kinds(description, kinds)
    preflight.require_ports(description, kinds)
    neighbours.require_room(description)
    front.require_certificate(description, kinds)
    front.require_readable(description, kinds)
    if "database" in kinds:
        database.require_no_surprise(description, wish.may_restart)
    if "database" in kinds and needs_certificate(description):
        bouncer_certificate.require_sources(description)
    if "app" in kinds and is_over_network(description):
        bouncer_certificate.require_authority(description)
    names = packages.wanted(description, kinds)
    packages.require_pgbouncer(description, names)
    preflight.require_room(packages.missing(names))
    return job


def _install(job: Job) -> None:
    _packages(job)
    if importlib.util.find_spec("jinja2") is None:  # a dry run, for it would be there otherwise
        job.say("would then write files, make secrets and start services; which, is known with python3-jinja2")
        return
    importlib.invalidate_caches()
    from . import arranging  # needs jinja2, which came just now

    arranging.arrange(job)


def _packages(job: Job) -> None:
    steps = job.steps
    if not steps.is_dry:
        packages.clean()
    if packages.is_interrupted():
        steps("let dpkg finish what was interrupted: dpkg --configure -a", packages.repair)
    names = packages.wanted(job.description, job.kinds)
    lacking = packages.missing(names)
    if lacking:
        why = steps("fetch apt's lists: apt-get update", packages.update) or ""
        if not steps.is_dry:
            packages.require_offered(lacking, why)
            packages.require_pgbouncer(job.description, names)
        steps(f"install {', '.join(lacking)}; nothing of it is started", lambda: packages.install(lacking, why))
        importlib.invalidate_caches()
