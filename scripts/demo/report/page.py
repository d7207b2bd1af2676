"""The HTML page: one file that needs no network and no script, for a browser, a phone, paper or a screen reader.

The figures come from the report, the geometry from `panels`, the words and the markup from `report.html.j2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2

from . import figures, panels, reading
from .model import Report, Run

# What the demo's routes are called in a sentence, and how they are asked for.
ROUTES = {
    "profile": ("customer profile", "GET /api/admin/customers/<id>?include=appointmentDetails"),
    "verify": ("vehicle check", "POST /api/vehicles/verify"),
    "appointments": ("appointment list", "GET /api/appointments?limit=&cursor="),
    "me": ("own profile with a token", "GET /api/me?include=appointmentDetails"),
}

SETTINGS = {
    "appointments": "Appointments per customer",
    "seconds": "Seconds per run",
    "warmup_seconds": "Seconds of warm-up",
    "workers": "Gunicorn workers",
    "threads": "Threads per worker",
    "pool_max": "Largest pool per worker",
    "cache": "Cache",
    "max_connections": "max_connections",
}

MACHINE = {
    "cpu": "Processor",
    "cores": "Cores",
    "memory_gib": "Memory (GiB)",
    "os": "System",
    "kernel": "Kernel",
    "python": "Python",
    "postgresql": "PostgreSQL",
    "pgbouncer": "PgBouncer",
    "gunicorn": "Gunicorn",
    "flask": "Flask",
    "werkzeug": "Werkzeug",
    "psycopg2": "psycopg2",
}


@dataclass(frozen=True)
class Tile:
    """A key figure before and after."""

    label: str
    before: str
    after: str
    note: str


def render_page(report: Report) -> str:
    """Return the whole page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, ""),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        measured=figures.measured, counted=figures.counted, percent=figures.percent, typeset=figures.typeset
    )
    return environment.get_template("report.html.j2").render(
        report=report,
        date=figures.long_date(report.date),
        headline=_headline(report),
        tiles=_tiles(report),
        groups={
            "throughput": panels.throughput(report),
            "latency": panels.latency(report),
            "errors": panels.errors(report),
            "database": panels.database(report),
        },
        routes=[(route, *ROUTES.get(route, (route, ""))) for route in report.routes],
        machine=_named(report.machine, MACHINE),
        settings=_named(report.settings, SETTINGS),
        findings=reading.find(report),
        limits=reading.limits(report),
    )


def _headline(report: Report) -> str:
    pair = report.lead
    if pair is None or pair.legacy is None or pair.hardened is None:
        return "One side was measured; there is nothing to compare yet."
    name = ROUTES.get(pair.route, (pair.route, ""))[0]
    before, after = figures.measured(pair.legacy.rps), figures.measured(pair.hardened.rps)
    return f"With {figures.people(pair.users)}, the {name} goes from {before} to {after} requests per second."


def _tiles(report: Report) -> list[Tile]:
    pair = report.lead
    if pair is None or pair.legacy is None or pair.hardened is None:
        return []
    legacy, hardened = pair.legacy, pair.hardened
    return [
        Tile(
            "Requests per second",
            figures.measured(legacy.rps),
            figures.measured(hardened.rps),
            figures.ratio(pair.throughput_gain),
        ),
        Tile(
            "p95 latency, ms",
            figures.measured(legacy.p95_ms),
            figures.measured(hardened.p95_ms),
            "95 of 100 answers come sooner",
        ),
        Tile(
            "Queries per request",
            figures.counted(legacy.queries_per_request),
            figures.counted(hardened.queries_per_request),
            "statements that PostgreSQL ran",
        ),
        Tile("Connections opened", _opened(legacy), _opened(hardened), "to PostgreSQL, in this run"),
    ]


def _opened(run: Run) -> str:
    return figures.counted(run.connections_opened)


def _named(values: Mapping[str, Any], names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Name what is known, in the order of the names, then the rest as it is called; None is "not used"."""
    known = [key for key in names if key in values]
    others = [key for key in values if key not in names]
    return [(names.get(key, key.replace("_", " ")), _write(values[key])) for key in [*known, *others]]


def _write(value: Any) -> str:
    if value is None:
        return "not used"
    if isinstance(value, (list, tuple)):
        return ", ".join(_write(item) for item in value)
    return f"{value:,}" if type(value) is int else str(value)
