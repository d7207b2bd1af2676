"""Whether a folder's disk rotates, as far as Linux says; a server's folder on this machine alone."""

from __future__ import annotations

import os
from pathlib import Path

SYSTEM = Path("/sys/dev/block")


def is_rotating(folder: str, system: Path = SYSTEM) -> bool | None:
    """Return whether the disk below a folder turns; None where that cannot be known.

    Args:
        system: What stands for /sys/dev/block; another one in tests.
    """
    try:
        device = Path(folder).stat().st_dev
        place = (system / f"{os.major(device)}:{os.minor(device)}").resolve()
    except OSError:
        return None
    for each in (place, *place.parents[:2]):  # of a partition, its disk says so
        said = each / "queue" / "rotational"
        if said.is_file():
            return said.read_text(encoding="ascii").strip() == "1"
    return None
