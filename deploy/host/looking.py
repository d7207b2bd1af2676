"""Looks at an app on a host: what serves, since when, how its units are, and what was done last. Changes nothing.

Knows the host and no form of output. If this is wrong, somebody believes a host that does not serve.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from typing import Any

from .. import unit_files
from ..description import Description
from ..errors import InputError
from . import audit, configuring, gate, operation, slots
from .command import systemctl
from .places import SLOTS, Places

LAST = 8  # lines of the audit log
PROPERTIES = ("ActiveState", "SubState", "ActiveEnterTimestamp", "NRestarts", "MemoryCurrent")
NOTHING = {"", "[not set]", "n/a"}


def look(places: Places) -> dict[str, Any]:
    """Return all that is to be said about an app, as JSON has it."""
    now, slot = slots.current(places), slots.serving(places)
    description = _description(places)
    told: dict[str, Any] = {
        "app": places.name,
        "release": now,
        "slot": slot,
        "units": {unit: _unit(unit) for unit in _units(places, description)},
        "gate": None,
        "releases": [_release(places, each, now) for each in reversed(slots.releases(places))],
        "interrupted": _interrupted(places),
        "audit": audit.read(places, LAST),
        "disk_free_mb": shutil.disk_usage(places.home).free >> 20,
    }
    if slot and description is not None:
        answer = gate.ask(places.health_socket(slot), gate.question(description), 5.0)
        told["gate"] = {"path": description.app.health, "status": answer.status, "line": answer.line}
    told["since"] = told["units"].get(places.unit(slot), {}).get("since", "") if slot else ""
    told["serves"] = _serves(places, told)
    return told


def _serves(places: Places, told: dict[str, Any]) -> bool:
    units = told["units"]
    is_up = all(units[unit]["state"] == "active" for unit in units if not unit.startswith(f"{places.name}@"))
    runs = bool(told["slot"]) and units[places.unit(told["slot"])]["state"] == "active"
    return is_up and runs and bool(told["gate"]) and told["gate"]["status"] == 200


def _description(places: Places) -> Description | None:
    try:
        return configuring.description_of(places)
    except InputError:
        return None


def _units(places: Places, description: Description | None) -> list[str]:
    name = places.name
    found = [f"{name}.socket", f"{name}.service", *map(places.unit, SLOTS)]
    if description is not None:
        found += unit_files.bouncer_units(description) if unit_files.has_bouncer(description) else ()
        found += ["nginx.service"] if description.front.kind == "nginx" else []
    return found


def _unit(unit: str) -> dict[str, Any]:
    words = [f"--property={name}" for name in PROPERTIES]
    said = systemctl("show", *words, "--timestamp=utc", unit, check=False).stdout
    values = dict(line.partition("=")[::2] for line in said.splitlines())
    memory = values.get("MemoryCurrent", "")
    state = values.get("ActiveState") or "unknown"
    return {
        "state": state,
        "detail": values.get("SubState", ""),
        "since": values.get("ActiveEnterTimestamp", "") if state == "active" else "",
        "restarts": int(values["NRestarts"]) if values.get("NRestarts", "").isdigit() else 0,
        "memory_mb": int(memory) >> 20 if memory.isdigit() and int(memory) < 1 << 60 else None,
    }


def _release(places: Places, release: str, now: str) -> dict[str, Any]:
    try:
        told = json.loads((places.release(release) / slots.RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        told = {}
    known = {key: str(told.get(key, "")) for key in ("commit", "made", "by", "kit")}
    return {"id": release, "is_current": release == now, **known}


def _interrupted(places: Places) -> dict[str, Any] | None:
    """Return what is on record as under way; it may be under way indeed."""
    try:
        found = operation.read(places)
    except InputError as error:
        return {"problem": str(error)}
    return asdict(found) if found is not None else None
