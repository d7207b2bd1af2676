"""The folder that Gunicorn's master makes: whose it is, when it goes, and what is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import run_folder, service_folder
from tests.conftest import ROOT

NAME = f"harden-figures-{os.geteuid()}-"


@pytest.fixture(autouse=True)
def _own_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(service_folder, "MEMORY", tmp_path)
    monkeypatch.setattr(run_folder, "_folders", {})
    yield
    for folder in run_folder._folders.values():
        run_folder._forget_parent(folder)


def _left(tmp_path: Path, name: str, age: float = 1e6) -> Path:
    """Leave a folder as a killed master does."""
    folder = tmp_path / name
    folder.mkdir(mode=0o700)
    (folder / "1-00000000.lock").touch()
    then = folder.stat().st_mtime - age
    os.utime(folder, (then, then))
    return folder


def _held(uid: int | None = None) -> Path:
    path = service_folder.choose()
    service_folder.hold(path, os.geteuid() if uid is None else uid, os.getegid())
    return Path(path)


def test_choosing_makes_nothing_and_never_the_same_name(tmp_path: Path) -> None:
    assert service_folder.choose() != service_folder.choose()
    assert list(tmp_path.iterdir()) == []


def test_it_is_made_for_its_user_alone_and_goes_at_the_end(tmp_path: Path) -> None:
    folder = _held()
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "past").write_text("{}")
    service_folder.remove(str(folder))
    assert not folder.exists()


def test_without_memory_it_lies_with_other_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_folder, "MEMORY", tmp_path / "nowhere")
    monkeypatch.setattr(service_folder.tempfile, "tempdir", str(tmp_path))
    assert Path(service_folder.choose()).parent == tmp_path


def test_workers_of_another_user_get_it(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    folder = _held(uid=12345)
    assert folder.stat().st_uid == 12345
    service_folder.remove(str(folder))
    assert not folder.exists()


def test_what_killed_masters_left_is_removed(tmp_path: Path) -> None:
    dead = _left(tmp_path, f"{NAME}dead")
    _held()
    assert not dead.exists()


def test_what_somebody_lives_in_is_young_or_not_ours_stays(tmp_path: Path) -> None:
    young = _left(tmp_path, f"{NAME}young", age=0.0)
    strange = _left(tmp_path, "harden-figures-x")
    outside = _left(tmp_path, "outside")
    link = tmp_path / f"{NAME}link"
    link.symlink_to(outside)
    alive = _left(tmp_path, f"{NAME}alive")
    code = (
        "import sys; from backend.run_folder import open_folder; open_folder(sys.argv[1]).worker; "
        "print(flush=True); sys.stdin.read()"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(alive)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    os.utime(alive, (1, 1))
    try:
        _held()
        assert all(each.exists() for each in (young, strange, outside, link, alive))
        service_folder.remove(str(alive))
        assert alive.exists()  # a new master after an upgrade on the fly lives there
    finally:
        worker.communicate()
    service_folder.remove(str(link))
    assert outside.exists()


def test_a_folder_that_cannot_be_made_stops_no_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    path = str(tmp_path / "file" / f"{NAME}x")
    service_folder.hold(path, os.geteuid(), os.getegid())
    service_folder.remove(path)
    assert "HARDEN_RUN_DIR" in caplog.text
