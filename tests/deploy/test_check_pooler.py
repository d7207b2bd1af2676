"""PgBouncer is really started with rendered files, and with files that keep it from starting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.description import Bouncer

from .check_samples import asked, changed, installed_bouncer, needs, pgbouncer_version, scratch, subject, text_of
from .unit_samples import beside_database, one_host

needs_pgbouncer = needs("pgbouncer", "pgbouncer")


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as made:
        yield made


@needs_pgbouncer
def test_it_starts_with_what_is_rendered(folder: Path) -> None:
    found = asked("pgbouncer", subject(folder))
    assert (found.state, text_of(found)) == ("ok", "")
    assert "started as" in found.text


@needs_pgbouncer
def test_beside_the_database_it_starts_on_a_port_of_the_checks_own(folder: Path) -> None:
    bouncer = replace(installed_bouncer(), place="database", processes=2)
    description = beside_database(pgbouncer=bouncer)
    database = replace(description.database, sslmode="verify-full", ca="/etc/ssl/shop/ca.pem")
    service = subject(folder, replace(description, database=database), "database")
    found = asked("pgbouncer", service)
    assert (found.state, text_of(found)) == ("ok", "")


@needs_pgbouncer
@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("/pgbouncer-1.ini", "admin_users =", "no_such_key = 1\nadmin_users =", "no_such_key"),
        ("/pgbouncer-1.ini", "auth_type = hba", "auth_type = hbah", "auth_type"),
        ("/hba.conf", "local", "locale", "hba"),
    ],
)
def test_what_keeps_it_from_starting_is_a_finding(
    file: str, old: str, new: str, said: str, folder: Path
) -> None:
    found = asked("pgbouncer", changed(subject(folder), file, lambda text: text.replace(old, new)))
    assert found.state == "finding"
    assert said in text_of(found)
    assert str(folder) not in text_of(found)


@needs_pgbouncer
def test_without_the_verifier_it_starts_with_one_that_is_made_up_and_says_so(folder: Path) -> None:
    service = subject(folder)
    files = {kind: tuple(file for file in files if not file.is_secret) for kind, files in service.files.items()}
    service = replace(service, files=files, left_out={"/etc/shop/pgbouncer/userlist.txt": "not known"})
    found = asked("pgbouncer", service)
    assert found.state == "ok"
    assert "made-up verifier" in found.text


@needs_pgbouncer
def test_nothing_is_left_running(folder: Path) -> None:
    asked("pgbouncer", subject(folder))
    running = [
        path for path in Path("/proc").glob("[0-9]*/cmdline") if str(folder).encode() in _bytes(path)
    ]
    assert running == []


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@needs_pgbouncer
def test_another_version_than_rendered_for_is_a_finding_with_the_line_to_write(folder: Path) -> None:
    assert asked("pgbouncer-version", subject(folder)).state == "ok"
    found = asked("pgbouncer-version", subject(folder, one_host(pgbouncer=Bouncer(version="1.22.0"))))
    assert f'set pgbouncer.version = "{pgbouncer_version()}" in harden.toml' in text_of(found)


def test_known_holes_are_findings_with_what_is_done_about_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.checks.pooler._package", lambda: "1.18.0-1+deb12u1")
    found = asked("pgbouncer-holes", subject(folder))
    keys = [finding.key for finding in found.findings]
    assert "CVE-2026-107350" in keys
    assert "CVE-2025-2291" not in keys  # Debian's own fix
    assert "admin_users is empty" in text_of(found)
    accepted = asked("pgbouncer-holes", replace(subject(folder), accepted=frozenset(keys)))
    assert (accepted.state, len(accepted.accepted)) == ("ok", len(keys))


def test_the_newest_version_has_no_known_hole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.checks.pooler._package", lambda: "1.26.1-1")
    assert asked("pgbouncer-holes", subject(folder)).state == "ok"


def test_without_pgbouncer_there_is_nothing_to_look_at(folder: Path) -> None:
    service = subject(folder, one_host(pgbouncer=Bouncer(enabled=False)), "app")
    for name in ("pgbouncer", "pgbouncer-version", "pgbouncer-holes"):
        assert asked(name, service).state == "skipped"
