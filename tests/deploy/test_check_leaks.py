"""Secrets in files that everybody may read, and in the arguments of a program that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from secrets import token_hex

import pytest

from deploy.checks.subject import Subject

from .check_samples import PASSWORD, SECRETS, VERIFIER, asked, subject, text_of
from .unit_samples import one_host


def _service(folder: Path) -> Subject:
    return subject(folder, one_host(), "app", root=folder)


def _write(service: Subject, path: str, text: str, mode: int) -> None:
    place = service.on_host(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)


def test_secrets_where_they_belong_are_ok(tmp_path: Path) -> None:
    service = _service(tmp_path)
    _write(service, "/etc/shop/secrets.env", str(SECRETS), 0o600)
    _write(service, "/etc/shop/pgbouncer/userlist.txt", VERIFIER, 0o640)
    _write(service, "/etc/shop/app.env", "WORKERS=2", 0o644)
    found = asked("leaks", service)
    assert (found.state, text_of(found)) == ("ok", "")


@pytest.mark.parametrize("path", [
    "/etc/shop/app.env", "/etc/shop/harden.toml.bak", "/var/lib/harden/shop/audit.jsonl", "/var/log/shop/app.log",
    "/opt/shop/releases/1/release.json", "/opt/shop/releases/1/etc/root/etc/shop/pgbouncer/userlist.txt",
])  # fmt: skip
@pytest.mark.parametrize(("value", "name"), [
    (PASSWORD, "the password of DATABASE_URL"), (VERIFIER, "DATABASE_VERIFIER"),
    (SECRETS["SECRET_KEY"], "SECRET_KEY"),
])  # fmt: skip
def test_a_secret_that_everybody_may_read_is_a_finding_by_name(
    path: str, value: str, name: str, tmp_path: Path
) -> None:
    service = _service(tmp_path)
    _write(service, path, f"x = {value}\n", 0o644)
    said = text_of(asked("leaks", service))
    assert f"{path} holds {name} and everybody may read it" in said
    assert value not in said


def test_a_secret_in_a_programs_arguments_is_a_finding(tmp_path: Path) -> None:
    secret = token_hex(16)  # nobody else's: tests beside this one look at the whole machine as well
    service = subject(tmp_path, one_host(), "app", root=tmp_path, secrets={"SECRET_KEY": secret})
    assert asked("processes", service).state == "ok"
    argv = [sys.executable, "-c", "input()", secret]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as running:
        said = text_of(asked("processes", service))
        running.communicate(b"\n")
    assert f"process {running.pid} (" in said
    assert "has SECRET_KEY in its arguments" in said
    assert secret not in said


def test_without_secrets_nothing_can_be_looked_for(tmp_path: Path) -> None:
    for name in ("leaks", "processes"):
        found = asked(name, subject(tmp_path, one_host(), "app", root=tmp_path, secrets={}, no_secrets="not here"))
        assert (found.state, found.text) == ("skipped", "not here")
        found = asked(name, subject(tmp_path, one_host(), "app", root=tmp_path, secrets={"A": "short"}))
        assert found.state == "skipped"
