"""Restarts of PgBouncer on a simulated host: at each moment somebody takes clients, and nobody is cut off.

The simulation knows what libpq does (the first socket of the list that is there), what a reload does (all clients
connect anew) and what systemd does (a stop removes the folder and cuts off whoever is connected).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.description import App, Bouncer, Database, Description
from deploy.host import bouncer_console, bouncers, operation, pausing, recovery, restart, restarting, slots
from deploy.host.bouncers import Process
from deploy.host.errors import GateError, HostError
from deploy.host.operation import Operation
from deploy.host.places import Places
from deploy.host.restarting import Restart
from deploy.host.steps import Steps

SHOP = Description(App(name="shop", target="app:app"), Database(name="shop", role="shop"))
CLIENTS = 3


class Killed(BaseException):
    """The verb has ended here, by SIGKILL: nothing of it runs any more."""


class World:
    """A host with PgBouncer processes and an app.

    Attributes:
        clients: how many are connected, by process.
        stays: a client that no reload moves, by process.
        lost: how many have been cut off.
        last_act: the act with which the verb ends; None for none.
    """

    def __init__(self, root: Path, description: Description) -> None:
        self.places = Places("shop", root)
        self.known = bouncers.bouncers(self.places, description)
        self.running: set[int] = set()
        self.clients: dict[int, int] = {}
        self.stays: set[int] = set()
        self.lost = self.acts = 0
        self.last_act: int | None = None
        self.end: type[BaseException] = Killed
        self.is_dead = False
        for process in self.known.processes:
            self._start(process)
        self._connect()

    @property
    def all(self) -> tuple[Process, ...]:
        assert self.known.spare is not None
        return (*self.known.processes, self.known.spare)

    def job(self, is_dry: bool = False) -> Restart:
        return Restart(self.places, self.known, Steps(lambda line: None, is_dry), 0.0)

    def takers(self) -> list[int]:
        return [one.number for one in self.all if one.number in self.running and one.socket.exists()]

    def systemctl(self, word: str, unit: str, **_: object) -> subprocess.CompletedProcess[str]:
        self._act()
        if unit == "shop@a.service":
            self._connect()
            return subprocess.CompletedProcess([], 0, "", "")
        process = next(one for one in self.all if one.unit == unit)
        if word in ("stop", "restart"):
            self.lost += self.clients.pop(process.number, 0)
            self.running.discard(process.number)
            shutil.rmtree(process.folder, ignore_errors=True)
        if word in ("start", "restart") and process.number not in self.running:
            self._start(process)
        return subprocess.CompletedProcess([], 0, "", "")

    def is_active(self, unit: str) -> bool:
        if self.is_dead:
            raise self.end
        return unit == "shop@a.service" or any(one.unit == unit and one.number in self.running for one in self.all)

    def run(self, *argv: str, **_: object) -> subprocess.CompletedProcess[str]:
        folder, command = Path(argv[argv.index("-h") + 1]), argv[-1]
        process = next(one for one in self.all if folder == one.folder)
        if not (folder / f".s.PGSQL.{argv[argv.index('-p') + 1]}").exists():
            raise HostError("no such socket")
        rows = "type,user,database,state,remote_pid,application_name\nC,pgbouncer,pgbouncer,active,1,psql\n"
        count = self.clients.get(process.number, 0) + (process.number in self.stays)
        rows += "C,shop,shop,active,17,\n" * count
        return subprocess.CompletedProcess([], 0, rows if command == "SHOW CLIENTS" else "version\n1.18\n", "")

    def _start(self, process: Process) -> None:
        process.folder.mkdir(parents=True)
        process.socket.touch()
        self.running.add(process.number)

    def _connect(self) -> None:
        takers = self.takers()
        assert takers, "the app finds no PgBouncer"
        self.clients = {takers[0]: CLIENTS}

    def _act(self) -> None:
        self.acts += 1
        if self.is_dead or self.acts == self.last_act:
            self.is_dead = self.end is Killed
            raise self.end


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    def make(processes: int = 1) -> World:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        made = World(tmp_path, replace(SHOP, pgbouncer=Bouncer(processes=processes)))
        for module in (bouncers, restarting):
            monkeypatch.setattr(module, "systemctl", made.systemctl)
            monkeypatch.setattr(module, "is_active", made.is_active)
        monkeypatch.setattr(bouncer_console, "run", made.run)
        monkeypatch.setattr(bouncers, "POLL", 0.0)
        return made

    return make


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_each_process_is_restarted_nobody_is_cut_off_and_the_spare_goes(
    world: Callable[..., World], processes: int
) -> None:
    here = world(processes)
    restarting.restart_bouncers(here.job())
    assert here.lost == 0
    assert here.takers() == list(range(1, processes + 1))
    assert here.running == set(here.takers())
    assert here.clients == {1: CLIENTS}


@pytest.mark.parametrize("end", [Killed, KeyboardInterrupt])
@pytest.mark.parametrize("processes", [1, 2])
def test_ended_at_any_act_somebody_takes_clients_and_the_next_run_finishes(
    world: Callable[..., World], processes: int, end: type[BaseException]
) -> None:
    whole = world(processes)
    restarting.restart_bouncers(whole.job())
    assert whole.acts >= 5
    for moment in range(1, whole.acts + 1):
        here = world(processes)
        here.last_act, here.end = moment, end
        with pytest.raises(end):
            restarting.restart_bouncers(here.job())
        here.last_act, here.is_dead = None, False
        assert here.takers(), moment
        if end is KeyboardInterrupt:  # it had time to let all take clients again
            assert here.takers() == sorted(here.running)
        restarting.restart_bouncers(here.job())
        assert here.lost == 0, moment
        assert here.takers() == sorted(here.running) == list(range(1, processes + 1)), moment


def test_a_process_that_does_not_run_is_started_and_not_waited_for(world: Callable[..., World]) -> None:
    here = world(2)
    here.systemctl("stop", here.all[1].unit)
    restarting.restart_bouncers(here.job())
    assert (here.takers(), here.lost) == ([1, 2], 0)


def test_who_does_not_leave_is_named_and_served_on(world: Callable[..., World]) -> None:
    here = world()
    here.stays.add(1)
    with pytest.raises(GateError, match=r"@1.service still has 1 clients .* pid 17 \(shop, active\)"):
        restarting.restart_bouncers(here.job())
    assert (here.takers(), here.lost) == ([1, 2], 0)
    here.stays.clear()
    restarting.restart_bouncers(here.job())
    assert (here.takers(), here.lost) == ([1], 0)


def test_a_cut_waits_for_nobody_and_stops_a_spare_that_was_left(world: Callable[..., World]) -> None:
    here = world()
    here.systemctl("start", here.all[1].unit)
    restarting.cut_bouncers(here.job())
    assert (here.takers(), here.lost) == ([1], CLIENTS)


def test_a_dry_run_changes_nothing(world: Callable[..., World]) -> None:
    here = world()
    restarting.restart_bouncers(here.job(is_dry=True))
    assert (here.acts, here.takers()) == (0, [1])


def test_without_a_spare_it_is_refused(tmp_path: Path) -> None:
    tight = replace(SHOP, database=replace(SHOP.database, max_connections=22))
    places = Places("shop", tmp_path)
    job = Restart(places, bouncers.bouncers(places, tight), Steps(print), 1.0)
    with pytest.raises(HostError, match="there is no spare PgBouncer process"):
        restarting.restart_bouncers(job)


class Told:
    """Takes the commands of a pause; a PAUSE fails where it is told to."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.fails_at = 0

    def run(self, *argv: str, **_: object) -> subprocess.CompletedProcess[str]:
        words = [argv[at + 1] for at, word in enumerate(argv) if word == "-c"]
        is_timer = argv[0] == "systemd-run"
        number = next(Path(argv[at + 1]).name for at, word in enumerate(argv) if word == "-h")
        self.said += [f"{'later ' if is_timer else ''}{number} {word}" for word in words]
        if self.fails_at and not is_timer and f"{self.fails_at} PAUSE" in f"{number} {words[0]}":
            raise HostError("it was not done within 2 s")
        return subprocess.CompletedProcess([], 0, "", "")

    def systemctl(self, *words: str, **_: object) -> subprocess.CompletedProcess[str]:
        self.said.append(" ".join(words))
        return subprocess.CompletedProcess([], 0, "", "")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    made = Told()
    monkeypatch.setattr(bouncer_console, "run", made.run)
    monkeypatch.setattr(pausing, "run", made.run)
    monkeypatch.setattr(pausing, "systemctl", made.systemctl)
    return made


def pause_of(root: Path, count: int) -> pausing.Pause:
    processes = [Process(Places("shop", root), number, 6432) for number in range(1, count + 1)]
    return pausing.pause_of(SHOP, processes, 2.0)


def test_a_pause_is_ended_by_a_timer_as_well_which_is_there_before_it_begins(told: Told, tmp_path: Path) -> None:
    with pausing.held(pause_of(tmp_path, 1)):
        told.said.append("restart")
    assert told.said == [
        "stop shop-resume-1.timer", 'later 1 RESUME "shop"', "later 1 SET query_wait_timeout = 5",
        "1 SET query_wait_timeout = 0", '1 PAUSE "shop"', "restart",
        '1 RESUME "shop"', "1 SET query_wait_timeout = 5", "stop shop-resume-1.timer",
    ]  # fmt: skip


@pytest.mark.parametrize("fails_at", [1, 2])
def test_when_one_process_cannot_pause_all_go_on_and_the_transactions_are_named(
    told: Told, tmp_path: Path, fails_at: int
) -> None:
    told.fails_at = fails_at
    with pytest.raises(GateError, match=r"within 2 s: pid 17 \(active for 9 s\); nothing was restarted"):
        pausing.hold(pause_of(tmp_path, 2), lambda: ["17 (active for 9 s)"])
    assert {'1 RESUME "shop"', '2 RESUME "shop"'} <= set(told.said)


@pytest.mark.parametrize("error", [HostError("no start"), KeyboardInterrupt()])
def test_queries_go_on_however_a_restart_ends(told: Told, tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), pausing.held(pause_of(tmp_path, 1)):
        raise error
    assert '1 RESUME "shop"' in told.said


def test_in_session_mode_a_pause_is_refused(tmp_path: Path) -> None:
    session = replace(SHOP, pgbouncer=Bouncer(mode="session"))
    with pytest.raises(HostError, match="cannot pause while clients are connected"):
        pausing.pause_of(session, [Process(Places("shop", tmp_path), 1, 6432)], 2.0)


def test_a_url_of_before_the_spare_is_said_and_not_shown(tmp_path: Path) -> None:
    places = Places("shop", tmp_path)
    places.etc.mkdir(parents=True)
    places.secrets.touch(0o600)
    places.secrets.write_text("DATABASE_URL='postgresql://shop:hidden@/shop?host=/run/shop-pgbouncer/1&port=6432'\n")
    wanted = restart.Wanted("pgbouncer")
    with pytest.raises(HostError, match=r"lacks the spare's folder .*/run/shop-pgbouncer/2") as caught:
        restart.restart(places, SHOP, wanted, Steps(print, is_dry=True), print)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(("phase", "ends"), [("config", "undo"), ("start", "undo"), ("switched", "finish")])
def test_an_interrupted_restart_of_the_app_goes_forward_only_once_it_was_switched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str, ends: str
) -> None:
    """Its release is the current one from the start, while the other instance's link may lead to an older one."""
    places = Places("shop", tmp_path)
    for folder in (places.state, places.release("now")):
        folder.mkdir(parents=True)
    slots.point(places, places.current, "now")
    operation.write(places, Operation("restart", "now", "b", "now", "older", phase, "2026-01-31T12:00:00Z"))
    done: list[str] = []
    for name in ("undo", "finish"):
        monkeypatch.setattr(recovery, name, lambda *_, name=name: done.append(name))
    for name in ("_runs", "_put_config_back", "_have_it_read"):
        monkeypatch.setattr(recovery, name, lambda *_: True)
    recovery.recover(places, done.append)
    assert done[-1] == ends
