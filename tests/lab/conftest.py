"""What tests on real hosts start from. Without HARDEN_LAB (`scripts/test --lab` sets it) they are skipped."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.load import Request

from . import deployed, empty, machine
from . import wheels as wheel_store
from .deployed import Service
from .errors import LabError
from .host import Host
from .lab import Lab
from .loads import Load

HERE = Path(__file__).parent
NEED_NO_HOST = ("test_flag.py", "test_folders.py", "test_machine.py", "test_sources.py", "test_interruptions.py")
SWITCHED_OFF = "tests on real hosts take minutes and need root; scripts/test --lab, or HARDEN_LAB=1, runs them"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is in this folder unless it was asked for, or needs no host."""
    if os.environ.get("HARDEN_LAB", "") not in ("", "0"):
        return
    for item in items:
        if HERE in item.path.parents and item.path.name not in NEED_NO_HOST:
            item.add_marker(pytest.mark.skip(reason=SWITCHED_OFF))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab for the run; skips with a reason where the machine cannot have one."""
    machine.install()
    try:
        prepared = Lab()
    except LabError as error:
        pytest.skip(f"no lab here: {error.line()}")
    with prepared:
        yield prepared


@pytest.fixture
def host(lab: Lab) -> Iterator[Callable[[str], Host]]:
    """A function that boots a fresh host by name; those of a test are destroyed at its end."""
    with ExitStack() as made:

        def boot(name: str) -> Host:
            (booted,) = lab.boot(name)
            made.callback(booted.destroy)
            return booted

        yield boot


@pytest.fixture
def load() -> Callable[..., Load]:
    """A function that makes a `Load` on a host: `with load(web, [Request("/")], seconds=5) as running:`."""

    def make(target: Host, requests: Sequence[Request], **options: float) -> Load:
        return Load(target, requests, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def wheels(lab: Lab) -> Callable[..., Path]:
    """A function that returns a folder of wheels for the hosts' Python: `wheels("flask>=3")`."""
    return lambda *requirements: wheel_store.fetch(lab, requirements)


@pytest.fixture(scope="session")
def empty_lab() -> Iterator[Lab]:
    """A lab for the run whose hosts have nothing that the kit needs."""
    machine.install()
    try:
        prepared = empty.lab()
    except LabError as error:
        pytest.skip(f"no lab here: {error.line()}")
    with prepared:
        yield prepared


@pytest.fixture(scope="session")
def app_wheels(empty_lab: Lab) -> Path:
    """All that pip asks for when the shop is released."""
    return wheel_store.fetch(empty_lab, deployed.REQUIREMENTS)


@pytest.fixture
def empty_host(empty_lab: Lab) -> Iterator[Callable[[str], Host]]:
    """A function that boots an empty host by name; those of a test are destroyed at its end."""
    with ExitStack() as made:

        def boot(name: str) -> Host:
            (booted,) = empty_lab.boot(name)
            made.callback(booted.destroy)
            return booted

        yield boot


@pytest.fixture(scope="session")
def installed(empty_lab: Lab, app_wheels: Path) -> Iterator[Service]:
    """The shop on a host of its own, installed and released by the kit's verbs; `service` is what tests take."""
    (host,) = empty_lab.boot("web")
    service = deployed.prepare(host, app_wheels)
    service.must(*deployed.INSTALL)
    service.must(*deployed.RELEASE)
    yield service
    host.destroy()


@pytest.fixture
def service(installed: Service) -> Iterator[Service]:
    """The shop on its host, one for all tests: tidy before each, and it has to be so after it."""
    assert installed.disorder() == [], installed.why()
    yield installed
    assert installed.disorder() == [], installed.why()


@pytest.fixture(scope="module")
def two(empty_lab: Lab, app_wheels: Path) -> Iterator[tuple[Service, Service]]:
    """The app's host and its database's, each installed for what it is."""
    web, db = empty_lab.boot("app", "db")
    lines = {"hosts": f'app = ["{web.address}"]\n', "database": f'host = "{db.address}"\n'}
    app, database = (deployed.prepare(host, app_wheels) for host in (web, db))
    for service in (app, database):
        service.describe(**lines)
    database.must(*deployed.INSTALL, "--as", "database")
    web.write("/root/secrets.env", db.read(deployed.SECRETS), mode=0o600)
    app.must("install", deployed.DESCRIPTION, "--secrets", "/root/secrets.env")
    web.run("rm", "/root/secrets.env")
    app.must(*deployed.RELEASE)
    yield app, database
    web.destroy()
    db.destroy()


@pytest.fixture
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """A function that prints a figure of a proof, also where it passes."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def line(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\nproof: {text}", flush=True)

    return line


@pytest.fixture
def patience() -> Iterator[Callable[[float], None]]:
    """A function that gives a test more seconds than others have before it counts as hanging."""
    yield lambda seconds: faulthandler.dump_traceback_later(seconds, exit=True)
