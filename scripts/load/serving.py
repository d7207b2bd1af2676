"""Bring up what is to be loaded: a server that runs already, the reference shop or its twin, somebody's app.

Each is a context manager that gives a `Served`; what it started is stopped at its end.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..demo import seed as seeding
from ..demo.report import describe_machine
from ..demo.sides import DATABASE, ROLE, Sides, bearer, start
from ..stack import Stack
from ..stack.child import Child
from ..stack.ports import free_port
from ..stack.runfolder import MARK
from ..stack.web import Web
from .scenario import Scenario
from .shop import shop_scenario

LAUNCHER = Path(__file__).resolve().parents[1] / "launch.py"
BOOT_SECONDS = 90.0
OWN = ("shop", "legacy")  # targets by name: the hardened shop, and its twin from before


@dataclass(frozen=True)
class Served:
    """Something to load.

    Attributes:
        url: where it answers.
        token: of its ops page, "" for none.
        dsn: of its database as far as it is known, "" for none.
        machine: what it runs on, for the report.
        scenario: its own, if it has one.
    """

    url: str
    token: str
    dsn: str
    machine: dict[str, Any]
    scenario: Scenario | None = None


@contextmanager
def served(target: str, dsn: str, more: Sequence[str], progress: Callable[[str], None]) -> Iterator[Served]:
    """Serve a target.

    Args:
        target: a URL, `shop`, `legacy`, or an app as `harden up` takes it.
        dsn: of the database; for an app all its connections go there.
        more: arguments for `harden up`.
    """
    if "://" in target:
        yield Served(target, os.environ.get("HARDEN_OPS_TOKEN", ""), dsn, describe_machine("unknown"))
    elif target in OWN:
        token = secrets.token_hex(16)
        with Stack(progress) as stack:
            sides = start(stack, "small", 20, progress, {"HARDEN_OPS_TOKEN": token})
            yield of_sides(sides, target, token, stack)
    else:
        with Stack(progress) as stack:
            yield _up(stack, target, dsn, more, progress)


def of_sides(sides: Sides, side: str, token: str, stack: Stack) -> Served:
    """Return one side of the demo's shop."""
    binaries = stack.binaries
    machine = describe_machine(binaries.postgres_version, binaries.pgbouncer_version)
    web = sides.hardened if side == "shop" else sides.legacy
    return Served(
        web.url, token if side == "shop" else "", sides.cluster.dsn(DATABASE, ROLE), machine, scenario_of(sides)
    )


def scenario_of(sides: Sides) -> Scenario:
    """Return the shop's scenario with tokens that these sides take."""
    return shop_scenario(
        lambda customer: bearer(sides.key, customer)["Authorization"].removeprefix("Bearer "),
        range(1, seeding.COHORT + 1),
    )


def _up(stack: Stack, app: str, dsn: str, more: Sequence[str], progress: Callable[[str], None]) -> Served:
    """Start `harden up` with somebody's app; the stack's folder has its log, and its end is the app's."""
    progress(f"starting {app} by scripts/harden up")
    port, token = free_port(), secrets.token_hex(16)
    environ = {**os.environ, "HARDEN_OPS_TOKEN": token}
    argv = [sys.executable, str(LAUNCHER), "up", app, "--port", str(port), *more]
    if dsn:
        environ["DATABASE_URL"] = dsn
    child = Child("up", argv, stack.run, {**environ, MARK: str(stack.run.path)}, cwd=Path.cwd())
    stack.callback(child.stop)
    web = Web("127.0.0.1", port, child, "/livez")
    web.wait_until_ready(BOOT_SECONDS)
    return Served(web.url, token, dsn, describe_machine("unknown"))
