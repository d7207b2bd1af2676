"""A run as JSON: what `--json` writes, and what `report.reading` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from .budgets import Verdict
from .measured import Measured
from .scenario import Scenario

VERSION = 1


def document_of(
    label: str, command: str, machine: Mapping[str, Any], target: str, scenario: Scenario, measured: Measured,
    ramp: float, warmup: float, budgets: Sequence[Verdict] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return the JSON of a run.

    Args:
        label: its name in reports.
        command: that repeats it, without a secret.
        machine: as `describe_machine` returns it.
        ramp, warmup: seconds before the counted ones.
    """
    return {
        "kind": "harden-load",
        "version": VERSION,
        "label": label,
        "date": date.today().isoformat(),
        "command": command,
        "machine": dict(machine),
        "target": target,
        "scenario": {
            "name": scenario.name,
            "think": str(scenario.think),
            "tasks": [{"name": task.name, "weight": task.weight} for task in scenario.tasks],
        },
        "ramp": ramp,
        "warmup": warmup,
        **measured.as_dict(),
        "budgets": [verdict.as_dict() for verdict in budgets],
    }
