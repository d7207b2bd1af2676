"""Modes and owners of a host's files; where an owner has to be somebody else, root alone can try it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.checks import on_host
from deploy.checks.subject import Subject

from .check_samples import asked, everything, subject, text_of
from .front_samples import CERTIFICATE, KEY, SAMPLES
from .unit_samples import one_host

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give files away")


def _installed(folder: Path) -> Subject:
    """Write a service's files below a folder; owners that this machine lacks are left out of what is wanted."""
    service = subject(folder, one_host(), "app", root=folder)
    for file in service.all_files().values():
        place = service.on_host(file.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(file.text)
        place.chmod(file.mode)
    secrets = service.on_host("/etc/shop/secrets.env")
    secrets.touch()
    secrets.chmod(0o600)
    (folder / "etc/shop/pgbouncer").chmod(0o750)
    files = {"app": tuple(replace(file, group="root") for file in service.files["app"])}
    return replace(service, files=files)


def _said(service: Subject) -> str:
    found = text_of(asked("modes", service))
    return "\n".join(line for line in found.splitlines() if "shop-pgbouncer's" not in line)


@as_root
def test_files_as_they_are_rendered_are_ok(tmp_path: Path) -> None:
    assert _said(_installed(tmp_path)) == ""


@as_root
@pytest.mark.parametrize(("path", "mode", "said"), [
    ("/etc/shop/secrets.env", 0o640, "/etc/shop/secrets.env has mode 0640, and 0600 is the most"),
    ("/etc/shop/pgbouncer/userlist.txt", 0o644, "chmod 0640 /etc/shop/pgbouncer/userlist.txt"),
    ("/etc/shop/app.env", 0o666, "/etc/shop/app.env has mode 0666, and 0644 is the most"),
    ("/etc/shop/pgbouncer", 0o755, "/etc/shop/pgbouncer has mode 0755, and 0750 is the most"),
])  # fmt: skip
def test_a_mode_that_lets_somebody_in_is_a_finding(path: str, mode: int, said: str, tmp_path: Path) -> None:
    service = _installed(tmp_path)
    service.on_host(path).chmod(mode)
    assert said in _said(service)


@as_root
@pytest.mark.parametrize("path", ["/etc/shop/secrets.env", "/etc/shop/harden.toml", "/etc/shop/app.env"])
def test_an_owner_who_could_change_it_is_a_finding(path: str, tmp_path: Path) -> None:
    service = _installed(tmp_path)
    service.on_host(path).touch()
    os.chown(service.on_host(path), 65534, 65534)
    assert f"{path} is nobody:nogroup's" in _said(service)


def test_where_nothing_is_installed_nothing_is_looked_at(tmp_path: Path) -> None:
    for name in ("modes", "releases"):
        assert asked(name, subject(tmp_path, one_host(), "app", root=tmp_path)).state == "skipped"


def _with_key(folder: Path, kind: str = "app", mode: int = 0o640, group: str = "") -> Subject:
    description = SAMPLES["tls"] if kind == "app" else everything()
    service = subject(folder, description, kind, root=folder)
    folder.chmod(0o755)
    for path in (CERTIFICATE, KEY):
        place = service.on_host(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x")
        place.chmod(0o644)
    key = service.on_host(KEY)
    key.chmod(mode)
    if group:
        shutil.chown(key, group=group)
    return service


def _lacks(account: str) -> bool:
    return subprocess.run(["id", account], capture_output=True).returncode != 0


@as_root
@pytest.mark.parametrize(("kind", "group"), [("app", "www-data"), ("balancer", "haproxy")])
def test_a_key_for_the_front_alone_is_ok(kind: str, group: str, tmp_path: Path) -> None:
    if _lacks(group):
        pytest.skip(f"there is no account {group} (apt-get install {group})")
    assert text_of(asked("tls-keys", _with_key(tmp_path, kind, group=group))) == ""


@as_root
def test_a_key_that_the_front_cannot_read_or_everybody_can_is_a_finding(tmp_path: Path) -> None:
    if _lacks("www-data"):
        pytest.skip("there is no account www-data (apt-get install nginx)")
    assert f"www-data cannot read {KEY}" in text_of(asked("tls-keys", _with_key(tmp_path)))
    said = text_of(asked("tls-keys", _with_key(tmp_path, mode=0o644)))
    assert f"{KEY} has mode 0644: everybody" in said
    (tmp_path / "etc/ssl/shop").chmod(0o700)
    said = text_of(asked("tls-keys", _with_key(tmp_path, group="www-data")))
    assert "www-data cannot pass" in said


@as_root
def test_a_certificate_without_its_key_is_a_finding(tmp_path: Path) -> None:
    if _lacks("www-data"):
        pytest.skip("there is no account www-data (apt-get install nginx)")
    service = _with_key(tmp_path)
    service.on_host(KEY).unlink()
    assert f"{KEY} does not exist" in text_of(asked("tls-keys", service))


def test_without_a_certificate_there_is_no_key(tmp_path: Path) -> None:
    assert asked("tls-keys", subject(tmp_path, one_host(), "app", root=tmp_path)).state == "skipped"


def test_what_the_app_could_change_of_its_code_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = subject(tmp_path, one_host(), "app", root=tmp_path)
    module = service.places.releases / "1/app/shop.py"
    module.parent.mkdir(parents=True)
    module.touch()
    for place in (service.places.home, *service.places.home.rglob("*")):
        place.chmod(0o755)
    assert asked("releases", service).state == "ok"
    module.chmod(0o646)
    assert "mode 0646 lets everybody change it" in text_of(asked("releases", service))
    module.chmod(0o664)
    assert asked("releases", service).state == "ok"  # root's own group
    monkeypatch.setattr(on_host, "_ids", lambda name: (12345, module.stat().st_gid))
    assert "lets the app's group change it" in text_of(asked("releases", service))
    monkeypatch.setattr(on_host, "_ids", lambda name: (module.stat().st_uid, 12345))
    assert "belongs to the app's account" in text_of(asked("releases", service))
