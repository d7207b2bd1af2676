"""A calibration as JSON and back: measured once on a quiet machine, it answers questions afterwards."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..capacity.calibrated import Calibrated
from ..capacity.demands import Demands, TaskDemand
from ..capacity.system import System
from ..errors import CommandError

KIND, VERSION = "harden-calibration", 2


def kept(calibrated: Calibrated, system: System) -> dict[str, Any]:
    """Return what `read_kept` makes the same of."""
    demands = calibrated.demands
    return {
        "kind": KIND, "version": VERSION, "system": asdict(system),
        "variability": calibrated.variability, "jammed": demands.jammed,
        "think": demands.think, "think_range": demands.think_range, "background": demands.background,
        "tasks": [asdict(task) for task in demands.tasks],
    }  # fmt: skip


def read_kept(file: Path) -> tuple[Calibrated, System]:
    """Return a calibration and the system that it was made on.

    Raises:
        CommandError: it is no such file.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["kind"] != KIND or found["version"] != VERSION:
            raise ValueError(f"it is {found['kind']} {found['version']}")
        spread = found["think_range"]
        demands = Demands(
            [TaskDemand(**task) for task in found["tasks"]], found["think"], tuple(spread) if spread else None,
            tuple(found["background"]), float(found["jammed"]),
        )  # fmt: skip
        return Calibrated(demands, float(found["variability"])), System(**found["system"])
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{file} is no calibration of ours ({error}); make one with --calibration") from None
