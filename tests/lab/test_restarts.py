"""What restarts, reloads and ends of processes cost whoever asks meanwhile, counted on a host with the shop.

The load asks for short pages and for one that is in the middle of a transaction for a while. Figures are printed
(`-s`); those that have to be 0 are asserted.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.load import Request

from . import rendered
from .host import Host
from .lab import Lab
from .loads import Load
from .rendered import NAME, harden

REQUESTS = (
    Request("/api/appointments"), Request("/held/0.3"), Request("/api/customers/1/history"),
    Request("/held/0.1", method="POST", json_body={}),
)  # fmt: skip
KEPT = "kept connection closed under a request"
SERVER = "$(systemctl list-units --plain --no-legend 'postgresql@*-main.service' | cut -d' ' -f1)"
INSTANCE = f"$(systemctl list-units --plain --no-legend '{NAME}@*.service' | cut -d' ' -f1)"
SPARE = f"{NAME}-pgbouncer@2"
ROTATION = "journalctl --rotate; logrotate -f /etc/logrotate.conf; systemctl kill -s USR1 systemd-journald"


@pytest.fixture(scope="module")
def shop(lab: Lab, wheels: Callable[..., Path]) -> Iterator[Host]:
    """A host that serves the shop by nginx, Gunicorn, PgBouncer and PostgreSQL."""
    (host,) = lab.boot("restarts")
    try:
        yield rendered.serve(host, wheels)
    finally:
        host.destroy()


@pytest.fixture
def asked(shop: Host, load: Callable[..., Load]) -> Callable[..., dict[str, int]]:
    """A function that does something under load, prints what that cost, and returns what was lost."""

    def ask(
        act: Callable[[], object], requests: tuple[Request, ...] = REQUESTS, **options: float
    ) -> dict[str, int]:
        given = {"users": 8, "seconds": 10.0, **options}
        with load(shop, requests, **given) as running:
            time.sleep(0.5)  # all users are in the middle of something
            act()
        lost, result = running.lost(), running.result()
        total = result.answered + sum(result.errors.values())
        print(f"\nlost {sum(lost.values())} of {total} {lost}; longest {max(result.latencies):.2f} s")
        assert result.answered > 50
        return lost

    return ask


def restart(host: Host, *words: str) -> Callable[[], None]:
    def act() -> None:
        done = harden(host, "restart", *words)
        assert done.returncode == 0, done.stderr

    return act


def shell(host: Host, script: str) -> Callable[[], str]:
    return lambda: host.shell(script)


def is_tidy(host: Host) -> bool:
    """Tell whether nothing of a restart is left: the spare is stopped, the other takes clients, nobody waits."""
    runs = host.run("systemctl", "is-active", "--quiet", SPARE, check=False).returncode == 0
    aside = host.run("test", "-e", f"/run/{NAME}-pgbouncer/1/.s.PGSQL.6433", check=False).returncode == 0
    timers = host.shell(f"systemctl list-units --plain --no-legend '{NAME}-resume-*'").strip()
    return not runs and not aside and not timers


@pytest.mark.parametrize("what", ["pgbouncer", "postgresql", "app"])
def test_a_restart_loses_no_request(shop: Host, asked: Callable[..., dict[str, int]], what: str) -> None:
    units = {"pgbouncer": f"{NAME}-pgbouncer@1", "postgresql": SERVER, "app": INSTANCE}
    before = shop.shell(f"systemctl show -p MainPID --value {units[what]}")
    assert asked(restart(shop, what), seconds=24 if what == "app" else 12) == {}
    assert shop.shell(f"systemctl show -p MainPID --value {units[what]}") != before
    assert is_tidy(shop)


@pytest.mark.parametrize(
    "script",
    [
        f"systemctl reload {NAME}-pgbouncer@1; sleep 1; systemctl reload {NAME}-pgbouncer@1",
        f"systemctl reload {INSTANCE}; sleep 4; systemctl reload {INSTANCE}",
        f"{ROTATION}; sleep 1; systemctl restart systemd-journald; sleep 1; {ROTATION}",
    ],
    ids=["pgbouncer", "app", "logs"],
)  # fmt: skip
def test_a_reload_or_rotation_loses_no_request(
    shop: Host, asked: Callable[..., dict[str, int]], script: str
) -> None:
    assert asked(shell(shop, script)) == {}


def test_workers_that_are_replaced_after_some_requests_lose_none(
    shop: Host, asked: Callable[..., dict[str, int]]
) -> None:
    unit = f"/etc/systemd/system/{NAME}@.service"
    shop.shell(f"sed -i.before -E 's/(--max-requests) [0-9]+/\\1 60/; s/(-jitter) [0-9]+/\\1 20/' {unit}")
    try:
        shop.shell(f"systemctl daemon-reload; systemctl restart {INSTANCE}")
        shop.wait_port(80)
        assert asked(lambda: None) == {}
        ended = shop.shell("journalctl -q --no-pager --since '-30s' | grep -c 'Autorestarting worker'")
        assert int(ended) >= 4
    finally:
        shop.shell(f"mv {unit}.before {unit}; systemctl daemon-reload; systemctl restart {INSTANCE}")


def test_a_worker_that_is_killed_takes_at_most_its_own_requests_along(
    shop: Host, asked: Callable[..., dict[str, int]]
) -> None:
    worker = f"$(pgrep -P $(systemctl show -p MainPID --value {INSTANCE}) | head -1)"
    lost = asked(shell(shop, f"kill -9 {worker}"))
    assert sum(lost.values()) <= 4  # its threads


def test_a_reload_of_nginx_closes_kept_connections_and_answers_everything_else(
    shop: Host, asked: Callable[..., dict[str, int]]
) -> None:
    """Before 1.27.4 it closes idle ones at once; a client that tries again, as browsers do, notices nothing."""
    lost = asked(shell(shop, "for i in 1 2 3; do systemctl reload nginx; sleep 1; done"), (Request("/process"),))
    assert set(lost) <= {KEPT}


@pytest.mark.parametrize(
    "act",
    [lambda host: restart(host, "pgbouncer", "--cut"), lambda host: shell(host, f"systemctl restart {SERVER}")],
    ids=["pgbouncer", "postgresql"],
)
def test_without_care_a_restart_does_lose_requests(
    shop: Host, asked: Callable[..., dict[str, int]], act: Callable[[Host], Callable[[], object]]
) -> None:
    """Else the tests above would prove nothing."""
    assert asked(act(shop))


@pytest.mark.parametrize(
    ("what", "moments", "seconds"), [("pgbouncer", (0.8, 1.6, 2.4, 4.0), 32), ("app", (2, 5, 9), 50)],
    ids=["pgbouncer", "app"],
)  # fmt: skip
def test_a_restart_that_is_killed_anywhere_is_finished_by_the_next(
    shop: Host, asked: Callable[..., dict[str, int]], what: str, moments: tuple[float, ...], seconds: float
) -> None:
    def act() -> None:
        for moment in moments:
            kill_after(shop, moment, what)
        restart(shop, what)()

    assert asked(act, seconds=seconds) == {}
    assert is_tidy(shop)
    assert len(shop.shell(f"echo {INSTANCE}").split()) == 1


def kill_after(host: Host, seconds: float, *words: str) -> None:
    verb = host.command("timeout", "--signal=KILL", str(seconds), *rendered.verb("restart", *words))
    subprocess.run(verb, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)


def test_a_client_that_stays_is_named_and_nothing_is_cut_off(
    shop: Host, asked: Callable[..., dict[str, int]]
) -> None:
    listener = shop.command(
        rendered.PYTHON, "-c",
        "import psycopg2, time; "
        f"kept = psycopg2.connect('host=/run/{NAME}-pgbouncer/1 port=6432 dbname={NAME}_session user={NAME} "
        f"password={rendered.PASSWORD} application_name=listener'); time.sleep(60)",
    )  # fmt: skip
    with subprocess.Popen(listener, stdin=subprocess.DEVNULL) as staying:
        try:
            said = []
            lost = asked(lambda: said.append(harden(shop, "restart", "pgbouncer", "--seconds", "4")), seconds=14)
        finally:
            staying.terminate()
    (done,) = said
    assert lost == {}
    assert done.returncode == 1
    assert f"({NAME}_session" in done.stderr and "still has 1 clients" in done.stderr
    restart(shop, "pgbouncer")()
    assert is_tidy(shop)


def test_a_long_transaction_ends_the_attempt_and_not_itself(
    shop: Host, asked: Callable[..., dict[str, int]]
) -> None:
    before = shop.shell(f"systemctl show -p MainPID --value {SERVER}")
    said = []
    page = shop.command("curl", "-sS", "--fail", "--max-time", "30", "http://localhost/held/15.0")
    with subprocess.Popen(page, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as long:
        lost = asked(lambda: said.append(harden(shop, "restart", "postgresql", "--seconds", "2")))
        assert long.communicate()[0] == "held"
    (done,) = said
    assert lost == {}
    assert done.returncode == 1
    assert "transactions were not done within 2 s: pid " in done.stderr
    assert shop.shell(f"systemctl show -p MainPID --value {SERVER}") == before
    assert is_tidy(shop)


def test_a_pause_ends_by_itself_when_nobody_ends_it(shop: Host) -> None:
    restart(shop, "postgresql", "--pause")()
    page = f"http://{shop.address}/held/0.1"
    waits = shop.lab.run("curl", "-sS", "--max-time", "2", page)
    assert waits.returncode == 28, waits.stdout  # curl's own limit
    (timer,) = shop.shell(f"systemctl list-units --plain --no-legend '{NAME}-resume-*.timer'").splitlines()
    shop.shell(f"systemctl start {timer.split()[0].removesuffix('.timer')}.service")  # as the timer does
    assert shop.lab.run("curl", "-sS", "--fail", "--max-time", "9", page).stdout == "held"
    restart(shop, "postgresql", "--resume")()
    assert is_tidy(shop)
