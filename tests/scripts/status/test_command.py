"""`harden status` as text, from what was found on a host."""

from __future__ import annotations

from typing import Any

from scripts.status.command import lines

ID = "20260101T000000Z-00000001"


def found(**more: Any) -> dict[str, Any]:
    unit = {"state": "active", "detail": "running", "since": "", "restarts": 2, "memory_mb": 80}
    return {
        "app": "shop", "release": ID, "slot": "a", "serves": True,
        "since": "Thu 2026-01-01 00:00:09 UTC",
        "units": {"shop@a.service": unit},
        "gate": {"path": "/readyz", "status": 200, "line": "{}"}, "interrupted": None,
        "releases": [{"id": ID, "is_current": True, "commit": "c" * 40, "made": "", "by": "ann", "kit": ""}],
        "audit": [{"time": "t", "who": "ann", "verb": "release", "result": "done", "message": "why"}],
        "disk_free_mb": 5000, **more,
    }  # fmt: skip


def test_what_serves_stands_first_and_units_releases_and_changes_follow() -> None:
    assert list(lines(found())) == [
        f"shop: {ID} serves as instance a since Thu 2026-01-01 00:00:09 UTC",
        "gate: /readyz answers 200",
        "disk: 5000 MB free",
        "", "units", "  shop@a.service                   active      80 MB  2 restarts",
        "", "releases", f"  * {ID}  by ann  commit cccccccccccc",
        "", "last changes", "  t ann release done (why)",
    ]  # fmt: skip


def test_what_does_not_serve_and_what_was_interrupted_cannot_be_overlooked() -> None:
    what = {"verb": "release", "release": ID, "phase": "candidate", "started": "then"}
    gate = {"path": "/readyz", "status": 503, "line": "no database"}
    text = "\n".join(lines(found(serves=False, gate=gate, interrupted=what)))
    assert "DOES NOT SERVE" in text
    assert f"interrupted: release {ID} at 'candidate', begun then" in text
    assert "/readyz answers 503 (no database)" in text


def test_before_the_first_release_it_says_what_comes_next() -> None:
    nothing = found(release="", slot="", serves=False, gate=None, releases=[], audit=[])
    assert next(lines(nothing)) == "shop: installed, and no release yet; run harden release"
