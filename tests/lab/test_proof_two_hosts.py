"""The app on one host, its database on another: a power cut there makes nobody wait long, and heals by itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from scripts.load import Request

from . import processes
from .deployed import NAME, Service
from .loads import Load

LONGEST = 6.0  # seconds that any caller may wait
AWAY = 12  # seconds that the database is away: longer than any wait
ANY = (200, 500, 502, 503, 504)  # an answer is an answer: what hangs is what counts here
REQUESTS = (
    Request("/api/customers/1/history", expect=ANY),
    Request("/marks", "POST", {"mark": "two hosts"}, expect=ANY),
    Request("/slow/0.2", expect=ANY),
)
MOST = {f"{NAME}@a": 1.1, f"{NAME}-pgbouncer@1": 1.1, "nginx": 1.4}
Tell = Callable[[str], None]


def pids(service: Service) -> str:
    """Return who serves, by process."""
    units = (f"{NAME}@{service.active()[0]}", f"{NAME}-pgbouncer@1", "nginx")
    return service.host.run("systemctl", "show", "--property=MainPID,NRestarts", *units).stdout


def test_units_over_a_network_may_do_little(two: tuple[Service, Service], tell: Tell) -> None:
    app, database = two
    found = {unit: app.exposure(unit) for unit in MOST}
    server = database.exposure("postgresql@15-main")
    tell(f"exposure with the database on another host: {found}, PostgreSQL {server}")
    assert all(found[unit] <= most for unit, most in MOST.items())
    assert server <= 1.3


@pytest.mark.parametrize("cut", ["power", "cable"])
def test_nobody_hangs_when_the_database_is_cut_off_and_nothing_is_restarted_by_hand(
    two: tuple[Service, Service], load: Callable[..., Load], tell: Tell, cut: str
) -> None:
    app, database = two
    before = pids(app)
    with load(app.host, REQUESTS, users=8, seconds=25, drain=70) as running:
        time.sleep(4)
        database.host.kill9() if cut == "power" else database.host.cut()
        time.sleep(AWAY)
        database.host.boot() if cut == "power" else database.host.heal()
        back = time.monotonic()
        processes.wait(lambda: app.ask("/marks") != "", 30, f"it did not come back: {app.why()}")
        healed = time.monotonic() - back
    result = running.result()
    longest = result.percentile(100) or 0.0
    tell(
        f"the database's {cut} is cut for {AWAY} s under 8 users: longest call {longest:.1f} s of "
        f"{result.requests}, not answered {dict(result.errors) or 'none'}, "
        f"whole again {healed:.1f} s after it is back"
    )
    assert result.errors == {}
    assert longest <= LONGEST
    assert pids(app) == before
    assert app.disorder() == []
