"""Amounts as people read them."""

from __future__ import annotations


def bytes_text(count: float) -> str:
    """Write bytes: 8 kB, 1.2 GB; in powers of 1024, as PostgreSQL does."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(amount) < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 100 else f"{amount:.3g} {unit}"
        amount /= 1024
    return f"{amount:.3g} TB"


def seconds_text(seconds: float) -> str:
    """Write a time: 0.3 s, 12 min, 3 h, 4 days."""
    for unit, size, above in (("days", 86400.0, 2 * 86400.0), ("h", 3600.0, 2 * 3600.0), ("min", 60.0, 120.0)):
        if seconds >= above:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.3g} s"
