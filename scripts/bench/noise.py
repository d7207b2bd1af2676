"""How quiet the machine was: load before, and what neighbours on the host took meanwhile."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

STEAL = 7  # the column of /proc/stat, after user nice system idle iowait irq softirq
LOUD_LOAD = 0.5  # per core, before the run: our own load comes after
LOUD_STEAL = 0.02


@dataclass(frozen=True)
class Noise:
    """What disturbed a run.

    Attributes:
        load_before, load_after: the load average of one minute; after the run it is mostly our own.
        steal: the share of all processor time that the hypervisor gave to others.
        cores: that we may use.
    """

    load_before: float
    load_after: float
    steal: float
    cores: int

    def verdict(self) -> str:
        """Say in one sentence whether the figures are to be trusted."""
        figures = (
            f"load average {self.load_before:.2f} before, {self.load_after:.2f} after with the run's own, "
            f"steal {self.steal:.1%}"
        )
        reasons = []
        if self.load_before > LOUD_LOAD * self.cores:
            reasons.append("the machine was busy before it began")
        if self.steal > LOUD_STEAL:
            reasons.append("the host gave processor time to others")
        if reasons:
            return f"NOISY: {' and '.join(reasons)} ({figures}); read the ratios, or measure again"
        return f"quiet: {figures}"


class Listener:
    """Listens from its making to `heard`."""

    def __init__(self, stat: Path = Path("/proc/stat")) -> None:
        self._stat = stat
        self._before = os.getloadavg()[0]
        self._ticks = self._read()

    def heard(self) -> Noise:
        """Return what disturbed the time since."""
        ticks = [now - then for now, then in zip(self._read(), self._ticks, strict=True)]
        total = sum(ticks[: STEAL + 1])  # guest time is within user time already
        steal = ticks[STEAL] / total if total > 0 else 0.0
        return Noise(self._before, os.getloadavg()[0], steal, len(os.sched_getaffinity(0)))

    def _read(self) -> list[int]:
        try:
            line = self._stat.read_text(encoding="ascii").partition("\n")[0]
        except OSError:
            return [0] * (STEAL + 1)
        ticks = [int(field) for field in line.split()[1:]]
        return ticks + [0] * (STEAL + 1 - len(ticks))
