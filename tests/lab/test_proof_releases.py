"""On a host that the kit's verbs have set up: releases lose no request, bad ones are undone, nothing leaks.

One host for all of it; each test finds the shop serving in good order and has to leave it so.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable

import pytest

from scripts.load import Request

from . import deployed, empty, leaks, processes
from .deployed import NAME, RELEASE, Service
from .loads import Load

REQUESTS = (
    Request("/api/customers/1/history"),
    Request("/marks", "POST", {"mark": "under load"}),
    Request("/api/admin/customers/1?include=appointmentDetails"),
    Request("/version"),
    Request("/slow/0.3"),  # so that requests are in flight at every moment, and the machine has room for the rest
)
USERS = 8
SLOW = 9.0  # seconds of a request that begins before a switch and ends after it
AT_A_TIME = 6  # changes under one load, which has to know its time before
TIMES = int(os.environ.get("HARDEN_LAB_RELEASES") or 4)
EXPOSURE = {f"{NAME}@{{slot}}": 0.2, f"{NAME}-pgbouncer@1": 0.2, "nginx": 1.4, "postgresql@15-main": 1.3}
Tell = Callable[[str], None]


def test_units_that_serve_may_do_little(service: Service, tell: Tell) -> None:
    (slot,) = service.active()
    found = {unit.format(slot=slot): service.exposure(unit.format(slot=slot)) for unit in EXPOSURE}
    tell(f"exposure of what serves: {found}")
    assert all(found[unit.format(slot=slot)] <= most for unit, most in EXPOSURE.items()), found


def test_releases_and_rollbacks_in_a_row_lose_no_request(
    service: Service, load: Callable[..., Load], tell: Tell, patience: Callable[[float], None]
) -> None:
    patience(200.0 + 120.0 * TIMES)
    took: list[float] = []
    longest, answered, done = 0.0, 0, 0
    while done < TIMES:
        each = max(took[-2:], default=20.0)
        seconds = 1.3 * each * min(TIMES - done, AT_A_TIME)
        with load(service.host, REQUESTS, users=USERS, seconds=seconds) as running:
            until = time.monotonic() + seconds
            while done < TIMES and time.monotonic() + each < until:
                began = time.monotonic()
                if done % 2:
                    service.must("rollback")
                else:
                    mark = service.release()
                    assert service.ask() == mark
                took.append(time.monotonic() - began)
                done += 1
        assert running.lost() == {}, service.why()
        longest = max(longest, running.result().percentile(100) or 0.0)
        answered += running.result().answered
    tell(
        f"{TIMES} releases and rollbacks under load: {answered} requests answered, 0 lost, "
        f"longest {longest:.2f} s; a change took {min(took):.1f} to {max(took):.1f} s"
    )
    assert answered > 50 * TIMES


def test_a_request_in_flight_at_the_switch_is_answered_by_the_release_that_took_it(service: Service) -> None:
    mark = service.ask()
    before = service.links()["current"]
    url = f"http://{service.host.address}/slow/{SLOW}"
    back = deployed.verb("rollback", service.other())
    verb = subprocess.Popen(service.host.command(*back), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    with verb:
        processes.wait(lambda: service.is_active(f"{NAME}@a") and service.is_active(f"{NAME}@b"), 60, "no two run")
        done = service.host.lab.run("curl", "-sS", "--fail", "--max-time", "40", url, timeout=60)
        said, _ = verb.communicate(timeout=60)
    assert verb.returncode == 0, said
    assert done.returncode == 0, done.stderr
    assert done.stdout in (mark, service.ask())
    assert service.links()["current"] != before


def test_a_killed_worker_loses_at_most_what_it_held(
    service: Service, load: Callable[..., Load], tell: Tell
) -> None:
    users = 16
    with load(service.host, REQUESTS, users=users, seconds=6) as running:
        time.sleep(2)
        (slot,) = service.active()
        listed = service.host.shell(f"pgrep -P $(systemctl show -P MainPID {NAME}@{slot})").split()
        service.host.run("kill", "-9", listed[0])
    lost = sum(running.lost().values())
    of = running.result().requests
    tell(f"kill -9 of one of {len(listed)} workers under {users} users: {running.lost()} lost of {of}")
    assert lost <= users
    assert running.result().answered > 100


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("unwell", "did not answer 200"),
        ("import", "cannot be imported"),
        ("migration", "the migration ended with 1"),
    ],
)
def test_a_release_that_fails_is_undone_without_a_lost_request(
    service: Service, load: Callable[..., Load], mode: str, reason: str
) -> None:
    mark, links, releases = service.ask(), service.links(), service.releases()
    service.commit(mode)
    with load(service.host, REQUESTS, users=USERS, seconds=30) as running:
        done = service.harden(*RELEASE, "--gate-seconds", "5")
        assert service.ask() == mark
    assert done.returncode == 1, done.stderr
    assert reason in done.stderr, done.stderr
    assert running.lost() == {}, service.why()
    assert (service.ask(), service.links(), service.releases()) == (mark, links, releases)
    assert '"result": "undone"' in service.host.read(f"{deployed.STATE}/audit.jsonl").splitlines()[-1]


def test_configuration_goes_with_its_release_and_back_with_it(service: Service) -> None:
    service.describe(motto="second")
    service.release()
    assert 'MOTTO="second"' in service.host.read(f"/etc/{NAME}/app.env").replace("MOTTO=second", 'MOTTO="second"')
    service.must("rollback")
    assert "second" not in service.host.read(f"/etc/{NAME}/app.env")
    service.describe()


def test_no_secret_is_to_be_found(service: Service, tell: Tell) -> None:
    secrets = service.secrets()
    assert {"DATABASE_URL's password", "SECRET_KEY", "HARDEN_OPS_TOKEN"} <= set(secrets)
    assert "DATABASE_VERIFIER's StoredKey" in secrets
    service.describe(motto="changed")
    with leaks.watched(service.host, secrets) as watch:
        said = service.harden("diff", deployed.DESCRIPTION)
        mark = service.release()
        service.must("rollback")
        for words in (deployed.INSTALL, ("status",), ("logs", "--lines", "200"), ("check", deployed.DESCRIPTION)):
            service.harden(*words)
    service.describe()
    assert said.returncode in (0, 1), said.stderr
    shown = leaks.in_text("".join(service.said), secrets)
    found = leaks.find(service.host, secrets, ("/var/log", f"{deployed.STATE}/audit.jsonl"))
    met = shown + watch.found + found
    tell(f"{len(secrets)} secrets looked for in files, processes, units, logs and output: {met or 'none seen'}")
    assert mark
    assert met == []


def test_the_second_of_two_releases_at_once_is_refused_with_the_owners_words(service: Service) -> None:
    mark = service.commit()
    first = subprocess.Popen(service.host.command(*deployed.verb(*RELEASE)), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    with first:
        is_under_way = lambda: "operation.json" in service.host.shell(f"ls {deployed.STATE}")
        processes.wait(is_under_way, 30, "it did not begin")
        second = service.harden(*RELEASE)
        said, _ = first.communicate(timeout=deployed.SLOWEST)
    assert first.returncode == 0, said
    assert second.returncode == 2
    assert re.search(r"release by root since \S+Z \(pid \d+\) is under way for shop", second.stderr), second.stderr
    assert service.ask() == mark


def test_a_full_disk_is_refused_before_and_undone_within(service: Service) -> None:
    mark, links = service.ask(), service.links()
    service.commit()
    folder = f"/opt/{NAME}/releases"
    with deployed.full_disk(service.host, folder, spare_mb=5):
        refused = service.harden(*RELEASE)
    assert refused.returncode == 2, refused.stderr
    assert re.search(r"needs \d+ MB on the disk of /opt/shop/releases, \d+ MB are free", refused.stderr)
    fill = f"until [ -e {deployed.STATE}/operation.json ]; do sleep 0.05; done; fallocate -l 495M {folder}/filler"
    with deployed.full_disk(service.host, folder, spare_mb=500):
        service.host.run("systemd-run", "-q", "--unit=filler", "--collect", "bash", "-c", fill)
        undone = service.harden(*RELEASE)
        service.host.run("rm", f"{folder}/filler")
        assert service.disorder() == []
    assert undone.returncode == 1, undone.stderr
    assert re.search(r"No space left|the disk of \S+ has \d+ MB left", undone.stderr), undone.stderr
    assert (service.ask(), service.links()) == (mark, links)


def test_without_packages_a_release_is_undone_with_the_reason(service: Service) -> None:
    mark = service.ask()
    service.commit()
    empty.take_sources(service.host)
    try:
        done = service.harden("release", deployed.REPOSITORY)
    finally:
        empty.return_sources(service.host)
    assert done.returncode == 1, done.stderr
    assert "pip" in done.stderr
    assert service.ask() == mark


def test_secrets_that_others_may_read_are_refused(service: Service) -> None:
    service.commit()
    service.host.run("chmod", "0644", deployed.SECRETS)
    try:
        refused = service.harden(*RELEASE)
        looked = service.harden("check", deployed.DESCRIPTION)
    finally:
        service.host.run("chmod", "0600", deployed.SECRETS)
    assert refused.returncode == 2
    assert deployed.SECRETS in refused.stderr
    assert looked.returncode == 1
    assert deployed.SECRETS in looked.stdout + looked.stderr


def test_the_shop_comes_back_by_itself_after_a_power_cut(service: Service, tell: Tell) -> None:
    mark = service.ask()
    service.host.kill9()
    began = time.monotonic()
    service.host.boot()
    processes.wait(lambda: service.ask(timeout=2) == mark, 60, "it did not come back")
    tell(f"power cut: serving again {time.monotonic() - began:.1f} s after the power is back")
    assert service.host.run("systemctl", "--failed", "--no-legend").stdout == ""
