"""A document such as `harden demo --json` writes, with figures of a real size."""

from __future__ import annotations

from typing import Any


def make_run(side: str, route: str = "profile", users: int = 50, **changes: Any) -> dict[str, Any]:
    """Return one run; hardened ones are quick and free of errors."""
    legacy = side == "legacy"
    run = {
        "side": side,
        "route": route,
        "users": users,
        "rps": 47.04 if legacy else 544.3,
        "p50_ms": 967.2 if legacy else 94.1,
        "p95_ms": 1411.9 if legacy else 139.7,
        "p99_ms": 1892.1 if legacy else 171.3,
        "max_ms": 2105.3 if legacy else 260.2,
        "requests": 470 if legacy else 5443,
        "errors": 0,
        "error_kinds": {},
        "queries_per_request": 61.0 if legacy else 1.0,
        "connections_opened": 14312 if legacy else 16,
        "server_connections_peak": 52 if legacy else 18,
        "few_samples": False,
    }
    return {**run, **changes}


def make_document(*runs: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a document with these runs, or with two users counts of two routes on both sides."""
    full = [
        make_run(side, route, users, **(FAILURES if (side, users) == ("legacy", 200) else {}))
        for route in ("profile", "verify")
        for users in (50, 200)
        for side in ("legacy", "hardened")
    ]
    document = {
        "machine": dict(MACHINE),
        "date": "2026-11-22",
        "command": "scripts/harden demo --users 50,200",
        "settings": {"appointments": 20, "seconds": 10, "workers": 2, "threads": 8, "pool_max": 8,
                     "max_connections": 100, "users": [50, 200]},
        "runs": list(runs) or full,
    }  # fmt: skip
    return {**document, **changes}


FAILURES: dict[str, Any] = {
    "rps": 41.2,
    "requests": 509,
    "errors": 97,
    "error_kinds": {"reset": 6, "http 500": 91},
}

MACHINE = {
    "cpu": "AMD EPYC 7B13",
    "cores": 2,
    "memory_gib": 7.8,
    "os": "Debian GNU/Linux 12 (bookworm)",
    "kernel": "6.1.0",
    "python": "3.11.7",
    "postgresql": "16.6",
    "pgbouncer": None,
    "gunicorn": "27.0.1",
    "flask": "3.1.3",
    "werkzeug": "3.1.9",
    "psycopg2": "2.9.13",
}
