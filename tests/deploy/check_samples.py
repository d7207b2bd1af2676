"""Services that checks look at: a description with its files, as `harden check` hands them over."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy import host_files
from deploy.checks.outcome import Outcome, outcome
from deploy.checks.programs import PATH
from deploy.checks.subject import Subject
from deploy.checks.table import CHECKS
from deploy.description import Bouncer, Description, Front, Watch
from deploy.files import File
from deploy.plan_sizes import sizes
from deploy.scram import make_verifier
from deploy.unit_network import default_kinds

from .front_samples import BALANCERS, CERTIFICATE, DOMAINS, HOSTS, KEY
from .unit_samples import one_host

PASSWORD = "correct horse battery"
VERIFIER = make_verifier(PASSWORD, salt=b"0123456789abcdef")
SECRETS = {
    "DATABASE_URL": "postgresql://shop:correct%20horse%20battery@/shop?host=/run/shop-pgbouncer/1&port=6432",
    "DATABASE_VERIFIER": VERIFIER,
    "SECRET_KEY": "k3y-of-sessions-which-nobody-knows-0123456789",
}


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder below which a socket's path is short enough, and which servers' accounts may pass."""
    folder = Path(tempfile.mkdtemp(prefix="harden-check-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def everything(**front: Any) -> Description:
    """Return a description with a balancer and Prometheus."""
    return one_host(
        hosts=HOSTS, database=replace(one_host().database, host="10.0.0.5", sslmode="disable"),
        front=Front(
            domains=DOMAINS, certificate=CERTIFICATE, certificate_key=KEY, balancer=True, balancer_from=BALANCERS,
            **front,
        ),
        watch=Watch(("10.0.0.9",)),
    )  # fmt: skip


def subject(folder: Path, description: Description | None = None, *kinds: str, **values: Any) -> Subject:
    """Return a service with its files rendered."""
    description = description or one_host(pgbouncer=installed_bouncer())
    verifiers = {description.database.role: VERIFIER}
    plan = sizes(description)
    files = {
        kind: host_files.files(description, plan, kind, verifiers)
        for kind in kinds or default_kinds(description)
    }
    return Subject(**{
        "source": Path("harden.toml"), "description": description, "plan": plan, "files": files, "scratch": folder,
        "secrets": SECRETS, **values,
    })  # fmt: skip


def installed_bouncer() -> Bouncer:
    """Return PgBouncer's section for the version on this machine."""
    return Bouncer(version=pgbouncer_version())


def changed(service: Subject, path_end: str, edit: Callable[[str], str]) -> Subject:
    """Return a service of which one file's text is another."""
    hits = 0

    def change(file: File) -> File:
        nonlocal hits
        if not file.path.endswith(path_end):
            return file
        hits += 1
        assert edit(file.text) != file.text, "the edit does nothing"
        return replace(file, text=edit(file.text))

    files = {kind: tuple(map(change, of_kind)) for kind, of_kind in service.files.items()}
    assert hits, f"there is no {path_end}"
    return replace(service, files=files)


def asked(name: str, service: Subject) -> Outcome:
    """Return what a check says."""
    return outcome(next(check for check in CHECKS if check.name == name), service)


def text_of(found: Outcome) -> str:
    """Return all that is wrong, in one text."""
    return "\n".join(f"{finding.text} > {finding.mend}" for finding in found.findings)


def host_root(folder: Path, service: Subject) -> Path:
    """Write a service's files below a folder, with their modes, as far as their owners are ours to give."""
    for file in service.all_files().values():
        place = folder / file.path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(file.text)
        place.chmod(file.mode)
    return folder


def needs(program: str, package: str) -> pytest.MarkDecorator:
    """Skip a test where a program is not installed."""
    is_there = shutil.which(program, path=PATH) is not None
    return pytest.mark.skipif(not is_there, reason=f"{program} is not installed (apt-get install {package})")


def pgbouncer_version() -> str:
    """Return the installed PgBouncer's version; that of Debian 12 where there is none."""
    program = shutil.which("pgbouncer", path=PATH)
    if program is None:
        return "1.18.0"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+\.\d+\.\d+", said)
    assert found is not None, said
    return found[0]
