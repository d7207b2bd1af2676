"""A release's folder: what is in it, what is checked before, and that strangers' code never runs as root."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.host import building, slots, source
from deploy.host.errors import HostError
from deploy.host.places import Places

from .fake_host import DESCRIPTION, TOML, Host, host

__all__ = ["host"]

RELEASE = "20260101T000000Z-00000001"
PIP_SAYS = """Looking in links: /x
ERROR: Could not find a version that satisfies the requirement nothing==9 (from versions: none)
ERROR: No matching distribution found for nothing==9
"""


@pytest.fixture
def app(tmp_path: Path) -> source.Source:
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("app.py", "requirements.txt", "harden.toml"):
        (folder / name).write_text("")
    return source.find(folder)


class Programs:
    """Stands for the host's programs; keeps how they were called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.fails = ""

    def __call__(self, *argv: str, **_: object) -> subprocess.CompletedProcess[str]:
        self.calls.append(argv)
        fails = bool(self.fails) and self.fails in " ".join(argv)
        return subprocess.CompletedProcess(argv, int(fails), "", PIP_SAYS if fails else "")

    def built(self) -> list[str]:
        """Return what ran as the builder."""
        return [" ".join(argv[argv.index("/usr/bin/env") + 1:]) for argv in self.calls if argv[0] == "systemd-run"]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    made = Programs()
    monkeypatch.setattr(building, "run", made)
    monkeypatch.setattr(pwd, "getpwnam", lambda _: SimpleNamespace(pw_uid=os.geteuid(), pw_gid=os.getegid()))
    return made


def build(places: Places, app: source.Source, wheels: Path | None = None) -> None:
    files = Host.files(None, "new")  # type: ignore[arg-type]
    building.build(places, RELEASE, app, DESCRIPTION, TOML, files, wheels, lambda line: None)


def test_a_release_has_all_it_needs_and_its_name_when_it_is_complete(
    host: Host, app: source.Source, programs: Programs
) -> None:
    build(host.places, app)
    folder = host.places.release(RELEASE)
    assert {path.name for path in folder.iterdir()} == {
        "app", "kit", "venv", "etc", "harden.toml", "app.env", slots.RECORD
    }  # fmt: skip
    assert (folder / "app.env").read_text() == "new"
    assert (folder / "etc").stat().st_mode & 0o777 == 0o700
    assert json.loads((folder / slots.RECORD).read_text())["id"] == RELEASE
    assert [path.name for path in host.places.releases.iterdir()] == [RELEASE]


def test_a_strict_umask_keeps_nobody_out(host: Host, app: source.Source, programs: Programs) -> None:
    (app.folder / "pkg" / "inner").mkdir(parents=True)
    (app.folder / "pkg" / "inner" / "a.py").write_text("")
    before = os.umask(0o077)
    try:
        build(host.places, app)
    finally:
        os.umask(before)
    folder = host.places.release(RELEASE)
    closed = [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o004 == 0]
    assert [path for path in closed if folder / "etc" not in (path, *path.parents)] == []


def test_packages_come_from_the_index_or_from_a_folder_alone(
    host: Host, app: source.Source, programs: Programs, tmp_path: Path
) -> None:
    build(host.places, app)
    make, own, ours = programs.built()
    assert make == f"/usr/bin/python3 -m venv {host.places.release(RELEASE)}/venv"
    assert own.endswith(f"-r {host.places.release(RELEASE)}/app/requirements.txt")
    assert ours.endswith("gunicorn>=27 flask psycopg2-binary prometheus-client")
    assert "--no-index" not in own
    building.remove(host.places, RELEASE)
    programs.calls.clear()
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "a.whl").write_text("")
    build(host.places, app, tmp_path / "wheels")
    for words in programs.built()[1:]:
        assert "--no-index --find-links=" in words
    assert all("PrivateNetwork=yes" in " ".join(call) for call in programs.calls if call[0] == "systemd-run")
    assert not (host.places.release(RELEASE) / building.WHEELS).exists()


def test_nothing_of_the_environment_runs_as_root(host: Host, app: source.Source, programs: Programs) -> None:
    """A package may have a .pth file, which runs with every start of its python."""
    build(host.places, app)
    for call in programs.calls:
        if call[0] == "systemd-run":
            assert "--property=User=shop-build" in call
            assert "--property=NoNewPrivileges=yes" in call
        else:
            assert call[0] in ("chown", "chmod", "sync", "/usr/bin/python3")
    # Whatever bits a package has set on its files, none lets others become root.
    (own,) = [call for call in programs.calls if call[0] == "chown"]
    assert own[-2] == "root:root"


def test_what_pip_says_is_the_reason(host: Host, app: source.Source, programs: Programs) -> None:
    programs.fails = "-r "
    with pytest.raises(HostError, match="pip failed: No matching distribution found for nothing==9") as caught:
        build(host.places, app)
    assert len(caught.value.tail) == 3
    assert slots.releases(host.places) == []
    building.clean(host.places)
    assert list(host.places.releases.iterdir()) == []


def test_psycopg2_that_is_there_as_source_stays(tmp_path: Path) -> None:
    assert "psycopg2-binary" in building._served_by(tmp_path)
    (tmp_path / "lib/python3.11/site-packages/psycopg2-2.9.dist-info").mkdir(parents=True)
    assert building._served_by(tmp_path) == ("gunicorn>=27", "flask", "prometheus-client")


def test_a_full_disk_is_told_with_its_numbers_before_anything_is_done(
    host: Host, app: source.Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    building.check(host.places, app, DESCRIPTION, None)
    monkeypatch.setattr(building.shutil, "disk_usage", lambda _: SimpleNamespace(free=70 << 20))
    with pytest.raises(HostError, match=r"needs 250 MB on the disk of .*, 70 MB are free; free some, or lower"):
        building.check(host.places, app, DESCRIPTION, None)


def test_missing_requirements_and_empty_wheels_are_told_before(
    host: Host, app: source.Source, tmp_path: Path
) -> None:
    with pytest.raises(HostError, match="has no packages for pip"):
        building.check(host.places, app, DESCRIPTION, tmp_path)
    (app.folder / "requirements.txt").unlink()
    with pytest.raises(HostError, match=r"has no requirements.txt; write one \(it may be empty\)"):
        building.check(host.places, app, DESCRIPTION, None)
