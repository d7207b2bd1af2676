"""Releases on a real host under load: nothing is lost, what fails is undone, and what is interrupted is, too."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.host.operation import PHASES
from scripts.load import Request

from . import processes
from .host import Host
from .lab import Lab
from .loads import Load
from .release_host import APP, DESCRIPTION, SOURCE, WHEELS, harden, prepare, release, write_app

ASKED = (Request("/version"), Request("/slow"))


@pytest.fixture(scope="module")
def web(lab: Lab, wheels: Callable[..., Path]) -> Iterator[Host]:
    """A host that serves version 1."""
    (booted,) = lab.boot("release")
    prepare(booted, wheels)
    code, said = release(booted)
    assert code == 0, said
    assert version(booted) == "1"
    yield booted
    booted.destroy()


class Asking:
    """Users that ask for as long as the block lasts."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failure: BaseException | None = None
        self.lost: Counter[str] = Counter()
        self.answered = 0

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(120)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._is_over.is_set():
                with Load(self._host, ASKED, users=6, seconds=4, drain=30) as load:
                    pass
                self.lost.update(load.lost())
                self.answered += load.result().answered
        except BaseException as error:
            self._failure = error


def version(web: Host) -> str:
    """Return the version that answers, through nginx, PgBouncer and PostgreSQL."""
    return web.run("curl", "-sS", "--fail", "http://127.0.0.1/version").stdout.split()[0]


def serving(web: Host) -> str:
    return web.run("readlink", "/opt/shop/current").stdout.strip()


def status(web: Host) -> tuple[int, dict[str, object]]:
    code, said = harden(web, "status", "--json")
    return code, json.loads(said)


def test_releases_and_rollbacks_under_load_lose_no_request(web: Host) -> None:
    with Asking(web) as asking:
        for number in ("2", "3", "4"):
            write_app(web, number)
            code, said = release(web)
            assert code == 0, said
            assert version(web) == number
        for number in ("3", "2"):
            code, said = harden(web, "rollback")
            assert code == 0, said
            assert version(web) == number
    assert asking.lost == {}
    assert asking.answered > 100
    assert "the database stays as it is" in said
    code, found = status(web)
    assert code == 0
    assert len(found["releases"]) == 3  # app.keep  # type: ignore[arg-type]
    assert web.run("ls", "-A", "/opt/shop/releases").stdout.count("\n") == 3


CERTIFICATE = '\ncertificate = "/etc/shop/none.pem"\ncertificate_key = "/etc/shop/none.key"\n'
BROKEN = {
    "does not import": (
        APP.replace("import time", "import nothing_of_that_name"), DESCRIPTION, "does not start|ended|not answer"
    ),
    "is not well": (APP + "\n@app.get('/well')\ndef well():\n    return 'no disk', 503\n",
                    DESCRIPTION.replace("keep", 'health = "/well"\nkeep'), "last: 503 (no disk)"),
    "cannot migrate": (APP, DESCRIPTION.replace("python migrate.py", "echo no; exit 3"), "migration ended with 3"),
    "needs a package that is nowhere": (
        APP, DESCRIPTION.replace("keep", 'requirements = "more.txt"\nkeep'), "pip failed"
    ),
    "is refused by nginx": (APP, DESCRIPTION + CERTIFICATE, "nginx"),
}  # fmt: skip


def test_a_release_that_fails_is_undone_and_loses_no_request(web: Host) -> None:
    before, now = serving(web), version(web)
    web.write(f"{SOURCE}/more.txt", "no-such-package-anywhere==1\n")
    with Asking(web) as asking:
        for what, (app, description, reason) in BROKEN.items():
            write_app(web, "broken", description, app)
            code, said = release(web, "--gate-seconds", "6")
            assert code == 1, (what, said)
            assert any(each in said for each in reason.split("|")), (what, said)
            assert (serving(web), version(web)) == (before, now), what
            web.run("nginx", "-t", "-c", "/etc/nginx/harden.conf")
    assert asking.lost == {}
    code, found = status(web)
    assert code == 0
    assert found["interrupted"] is None
    assert web.run("ls", "-A", "/opt/shop/releases").stdout.count("partial") == 0
    assert "PASSWORD" not in json.dumps(found)


@pytest.mark.parametrize("phase", PHASES)
def test_a_release_that_is_killed_is_undone_or_finished_by_the_next_run(web: Host, phase: str) -> None:
    write_app(web, f"killed-at-{phase}")
    before, now = serving(web), version(web)
    with Asking(web) as asking:
        interrupt(web, phase)
        assert version(web) in (now, f"killed-at-{phase}")
        code, said = harden(web, "rollback", "no-such-release")  # does nothing but what comes before it
        assert code == 2, said
        assert "interrupted at" in said
        assert version(web) == (now if serving(web) == before else f"killed-at-{phase}")
    assert asking.lost == {}
    code, found = status(web)
    assert (code, found["interrupted"]) == (0, None), said
    running = web.run("systemctl", "is-active", "shop@a", "shop@b", check=False).stdout.split()
    assert sorted(running) == ["active", "inactive"]


def interrupt(web: Host, phase: str) -> None:
    """Begin a release, and kill it in a phase, or after it where that has passed too quickly."""
    operation = "/var/lib/harden/shop/operation.json"
    late = "|".join(PHASES[PHASES.index(phase) :])
    script = (
        f"python3 /srv/kit/scripts/launch.py release {SOURCE} --wheels {WHEELS} >/dev/null 2>&1 & pid=$!\n"
        f"until grep -Eqs '\"phase\": \"({late})\"' {operation} || ! kill -0 $pid; do sleep 0.01; done\n"
        "kill -9 $pid; wait $pid || true"
    )
    web.run("bash", "-c", script, timeout=120)


def test_a_power_cut_in_a_release_leaves_a_host_that_boots_and_serves(web: Host) -> None:
    write_app(web, "cut")
    before, now = serving(web), version(web)
    interrupt(web, "start")
    web.kill9()
    web.boot()
    web.wait_port(80)
    asked = ("curl", "-sS", "--fail", "http://127.0.0.1/version")
    processes.wait(lambda: not web.run(*asked, check=False).returncode, 60, "nothing serves after the boot")
    assert (serving(web), version(web)) == (before, now)
    code, said = release(web)
    assert code == 0, said
    assert version(web) == "cut"


def test_two_releases_at_once_are_one(web: Host) -> None:
    write_app(web, "twice")
    script = f"python3 /srv/kit/scripts/launch.py release {SOURCE} --wheels {WHEELS} 2>&1"
    both = web.run("bash", "-c", f"{script} & {script}; wait", timeout=180).stdout
    assert "is under way for shop; wait until it is done" in both
    assert both.count(" serves\n") == 1


def test_secrets_are_in_no_file_of_a_release_that_others_may_read(web: Host) -> None:
    secrets = web.read("/etc/shop/secrets.env")
    password = next(line for line in secrets.splitlines() if line.startswith("DATABASE_URL=")).split(":")[2]
    password = password.partition("@")[0]
    assert len(password) > 20
    found = web.run("grep", "-rlF", "--", password, "/opt/shop", "/etc/systemd", "/run/systemd", check=False)
    assert found.stdout == ""
    assert web.run("bash", "-c", f"journalctl | grep -cF -- '{password}'", check=False).stdout.strip() == "0"
