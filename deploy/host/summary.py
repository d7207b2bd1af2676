"""What somebody wants to know after an install: what runs, where secrets are, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator

from .. import unit_files
from ..unit_network import listens_on_network
from . import front, secrets, slots
from .command import is_active
from .installing import Job
from .postgres_server import server


def lines(job: Job) -> Iterator[str]:
    """Yield lines for people; they hold no secret."""
    name, steps = job.places.name, job.steps
    if not steps.count:
        yield f"nothing to do: {name} is installed as {', '.join(job.kinds)}"
        return
    yield f"{name} is installed as {', '.join(job.kinds)}."
    yield "  runs     " + ", ".join(unit for unit in _units(job) if is_active(unit))
    if {"app", "database"} & set(job.kinds):
        yield f"  secrets  {secrets.path_of(job.description)} (root's alone)"
    yield f"  next     {_next(job)}"


def _units(job: Job) -> Iterator[str]:
    description = job.description
    if "database" in job.kinds:
        yield server(description).unit
    here = "database" if listens_on_network(description) else "app"
    if description.pgbouncer.enabled and here in job.kinds:
        yield from unit_files.bouncer_units(description)
    yield from (f"{unit}.service" for unit in front.services(description, job.kinds))
    if "monitoring" in job.kinds:
        yield "prometheus.service"
    if "app" in job.kinds:
        yield f"{job.places.name}.service"


def _next(job: Job) -> str:
    if "app" not in job.kinds:
        return f"install the app's hosts: {', '.join(job.description.hosts.app)}"
    if slots.current(job.places):
        return "harden status; the next harden release brings what has changed in harden.toml"
    return "harden release, in the app's repository; until then the front answers 502"
