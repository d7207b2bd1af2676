"""Wherever a verb is ended, by SIGKILL or by a power cut, the host ends in the old or the new state, serving.

HARDEN_LAB_INTERRUPTIONS=100 has that many; HARDEN_LAB_SEED=N has the same ones again.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from deploy.host.operation import PHASES
from scripts.load import Request

from . import deployed, interruptions, processes
from .deployed import NAME, RELEASE, STATE, Service
from .host import Host
from .interruptions import Moment
from .loads import Load

SEED = int(os.environ.get("HARDEN_LAB_SEED") or random.SystemRandom().randrange(10**6))
COUNT = interruptions.count()
SECONDS = {"release": 14.0, "rollback": 7.0, "install": 1.5}  # about what a verb takes
ON_EMPTY = 45.0  # seconds that an install takes where nothing is there
Tell = Callable[[str], None]


def test_a_release_or_rollback_that_is_interrupted_anywhere_is_finished_or_undone(
    service: Service, load: Callable[..., Load], tell: Tell, patience: Callable[[float], None]
) -> None:
    patience(120.0 + 120.0 * COUNT)
    tell(f"{COUNT} interruptions, HARDEN_LAB_SEED={SEED}")
    dice, met = random.Random(SEED), Counter[str]()
    service.release()  # so that there are two to go back and forth between
    for number in range(COUNT):
        back = ("rollback", service.other())
        words = dice.choice((RELEASE, back, back, deployed.INSTALL))
        phases = () if words is deployed.INSTALL else PHASES
        moment, known = interruptions.draw(dice, SECONDS[words[0]], phases), service.complete()
        where = f"number {number} (seed {SEED}): {words[0]}, {moment}"
        old = service.ask()
        new = service.commit() if words is RELEASE else ""
        allowed = {old, new} if words is RELEASE else {old, *marks(service)}
        ending = interruptions.interrupt(service.host, deployed.verb(*words), STATE, moment)
        tell(f"{number + 1} of {COUNT}: {words[0]}, {moment}")
        met[f"{words[0]}: {ending.phase or 'none'}{'' if ending.code is None else ', through'}"] += 1
        serves_again(service, moment, where, allowed)
        moved_on(service, where, known)
    tell(f"interrupted, by verb and phase: {dict(sorted(met.items()))}")


def marks(service: Service) -> set[str]:
    """Return the marks of all releases on disk."""
    return {service.mark_of(name) for name in service.complete()}


def serves_again(service: Service, moment: Moment, where: str, allowed: set[str]) -> None:
    """See that what is left after an interruption serves, by itself, before anybody does anything."""
    if not service.host.is_on:
        service.host.boot()
        processes.wait(lambda: service.ask(timeout=2) != "", 60, f"{where}: nothing serves after the boot")
    mark = service.ask()
    assert mark in allowed, f"{where}: it answers {mark!r}, and not one of {allowed}\n{service.why()}"
    said = service.harden("status")
    assert said.returncode in (0, 1), f"{where}: {said.stderr}"


def moved_on(service: Service, where: str, known: list[str]) -> None:
    """See that the next verb finishes or undoes what was interrupted, and does its own work."""
    current = service.links()["current"]
    done = service.harden("rollback", max(each for each in known if each != current))
    assert done.returncode == 0, f"{where}: {done.stderr}\n{service.why()}"
    assert service.disorder() == [], f"{where}: {service.disorder()}\n{done.stderr}\n{service.why()}"


def test_a_killed_release_loses_no_request(
    service: Service, load: Callable[..., Load], patience: Callable[[float], None]
) -> None:
    patience(600.0)
    dice = random.Random(SEED)
    requests = [Request("/slow/0.2"), Request("/marks", "POST", {"mark": "killed"})]
    for phase in ("config", "candidate", "start", "switched"):
        moment = Moment("kill -9", phase, dice.uniform(0.0, 0.5))
        with load(service.host, requests, users=6, seconds=25) as running:
            known = service.complete()
            interruptions.interrupt(service.host, deployed.verb("rollback", service.other()), STATE, moment)
            moved_on(service, str(moment), known)
        assert running.lost() == {}, f"{moment}: {running.lost()}\n{service.why()}"
        assert service.disorder() == []


def test_an_install_on_an_empty_host_that_is_interrupted_anywhere_ends_well(
    empty_host: Callable[[str], Host], app_wheels: Path, tell: Tell, patience: Callable[[float], None]
) -> None:
    patience(300.0 + 30.0 * COUNT)
    dice = random.Random(SEED)
    service = deployed.prepare(empty_host("fresh"), app_wheels)
    times = max(3, COUNT // 5)
    for number in range(times):
        moment = Moment(interruptions.HOW[number % 2], "", dice.uniform(0.5, ON_EMPTY * (number + 1) / times))
        ending = interruptions.interrupt(service.host, deployed.verb(*deployed.INSTALL), STATE, moment)
        tell(f"install, {moment}: {'ended' if ending.code is None else f'was through ({ending.code})'}")
        if not service.host.is_on:
            service.host.boot()
    began = time.monotonic()
    service.must(*deployed.INSTALL)
    tell(f"the install after {times} interruptions took {time.monotonic() - began:.1f} s")
    mark = service.release()
    assert service.ask() == mark
    assert service.disorder() == []
    assert service.host.run("systemctl", "--failed", "--no-legend").stdout == ""
    assert service.host.run("dpkg", "--audit").stdout == ""
    assert service.is_active(f"{NAME}.socket")
