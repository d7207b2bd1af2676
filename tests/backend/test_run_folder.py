"""The folder that workers share: who is alive, who is refused, and that nothing there can hurt the app."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import run_folder
from backend.run_folder import RunFolder, is_held, open_folder
from tests.conftest import ROOT

WORKER = """
import sys
from backend.run_folder import open_folder
folder = open_folder(sys.argv[1])
folder.path_of("metrics").write_text("figures")
print(folder.worker, flush=True)
sys.stdin.read()
"""


class Worker:
    """Another process with a file in the folder."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path)], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.name = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(autouse=True)
def _folders_afresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(run_folder, "_folders", {})
    yield
    for folder in run_folder._folders.values():
        run_folder._forget_parent(folder)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def folder(path: Path) -> RunFolder:
    return open_folder(str(path))


def remove_dead(folder: RunFolder, kind: str) -> None:
    for file in folder.files(kind):
        if not file.is_alive:
            folder.remove(file)
    folder.remove_locks()


def test_a_new_folder_is_for_its_owner_alone(folder: RunFolder, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o700
    made = folder.path_of("metrics")
    assert made is not None
    assert made.parent == path
    assert made.name == f"{folder.worker}.metrics"
    assert folder.worker.startswith(f"{os.getpid()}-")


def test_one_path_is_one_folder_and_one_worker(folder: RunFolder, path: Path) -> None:
    assert open_folder(str(path)) is folder
    assert folder.worker == folder.worker


def test_without_a_folder_a_worker_is_alone() -> None:
    alone = open_folder(None)
    assert (alone.path, alone.path_of("metrics"), alone.files("metrics")) == (None, None, [])
    assert alone.worker


@pytest.mark.parametrize("kind", ["lock", "", "../x", "Metrics", "a.b", "a" * 21])
def test_a_kind_that_is_no_plain_word_is_refused(folder: RunFolder, kind: str) -> None:
    with pytest.raises(ValueError, match="is no kind of file"):
        folder.path_of(kind)


def test_a_killed_worker_is_known_as_dead_and_a_living_one_as_alive(folder: RunFolder, path: Path) -> None:
    worker = Worker(path)
    try:
        (file,) = folder.files("metrics")
        assert (file.worker, file.pid, file.is_alive) == (worker.name, worker.process.pid, True)
        assert file.path.read_text() == "figures"
        remove_dead(folder, "metrics")
        assert file.path.exists()
    finally:
        worker.kill()
    (file,) = folder.files("metrics")
    assert (file.worker, file.is_alive) == (worker.name, False)
    remove_dead(folder, "metrics")
    assert sorted(each.name for each in path.iterdir()) == [f"{folder.worker}.lock"]


def test_a_dead_worker_s_lock_stays_while_it_has_other_files(folder: RunFolder, path: Path) -> None:
    worker = Worker(path)
    worker.kill()
    remove_dead(folder, "page")
    assert [file.worker for file in folder.files("metrics")] == [worker.name]
    assert (path / f"{worker.name}.lock").exists()


def test_a_reused_process_id_makes_nobody_alive(folder: RunFolder, path: Path) -> None:
    (path / f"{os.getpid()}-00000000.metrics").write_text("")
    (path / f"{os.getpid()}-00000000.lock").write_text("")
    assert [file.is_alive for file in folder.files("metrics")] == [False]


def test_a_forked_child_is_somebody_else_and_its_parent_can_die(path: Path) -> None:
    """A child that kept its parent's lock would keep the dead parent alive."""
    code = """
import os, sys, time
from backend.run_folder import open_folder
folder = open_folder(sys.argv[1])
folder.path_of("metrics").write_text("")
mine = folder.worker
if os.fork() == 0:
    folder.path_of("metrics").write_text("")
    print(mine, folder.worker, os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
os.kill(os.getpid(), 9)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    parent, child, pid = process.stdout.readline().split()
    assert process.wait(20) == -signal.SIGKILL
    try:
        alive = {file.worker: file.is_alive for file in open_folder(str(path)).files("metrics")}
        assert alive == {parent: False, child: True}
        assert child.startswith(f"{pid}-")
    finally:
        process.communicate()


def test_many_threads_at_once_are_one_worker(folder: RunFolder, path: Path) -> None:
    names: list[str] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait(20)
        names.append(folder.worker)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(set(names)) == 1
    assert [each.suffix for each in path.iterdir()] == [".lock"]


def test_files_that_are_none_of_ours_are_left_alone(folder: RunFolder, path: Path) -> None:
    strange = ["notes.txt", "1-xyz.metrics", "past", ".hidden", "12-00000000.metrics.old"]
    for name in strange:
        (path / name).write_text("")
    assert folder.files("metrics") == []
    remove_dead(folder, "metrics")
    assert all((path / name).exists() for name in strange)


def test_a_lock_that_was_never_taken_goes_after_a_while(folder: RunFolder, path: Path) -> None:
    old, new = path / "12-00000000.new", path / "13-00000000.new"
    old.touch()
    new.touch()
    os.utime(old, (1, 1))
    remove_dead(folder, "metrics")
    assert (old.exists(), new.exists()) == (False, True)


def _said(caplog: pytest.LogCaptureFixture, path: Path) -> str:
    with caplog.at_level(logging.WARNING):
        folder = open_folder(str(path))
        assert folder.path_of("metrics") is None
        assert folder.files("metrics") == []
        remove_dead(folder, "metrics")
        assert open_folder(str(path)).worker == folder.worker
    (record,) = caplog.records
    return record.getMessage()


def test_a_symbolic_link_is_refused(path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "elsewhere").mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    assert "is a symbolic link" in _said(caplog, path)


def test_a_file_is_refused(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text("")
    assert "is no folder" in _said(caplog, path)


def test_a_folder_that_others_can_write_to_is_refused(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.mkdir()
    path.chmod(0o777)
    assert "others can write to" in _said(caplog, path)


def test_somebody_else_s_folder_is_refused(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    path.mkdir()
    os.chown(path, 12345, 12345)
    assert "belongs to user 12345" in _said(caplog, path)


@pytest.mark.parametrize("name", ["/proc/harden-run", "/dev/null/run", "/proc/1\0"])
def test_a_folder_that_cannot_be_made_is_said_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert "HARDEN_RUN_DIR" in _said(caplog, Path(name))


def test_a_folder_that_becomes_unusable_is_said_once(
    folder: RunFolder, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.rmdir()
    assert "No such file" in _said(caplog, path)


def test_a_lock_that_cannot_be_opened_counts_as_held(folder: RunFolder, path: Path) -> None:
    """It may be another user's: Gunicorn's master may be root where its workers are not."""
    (path / "12-00000000.metrics").write_text("")
    (path / "12-00000000.lock").symlink_to(path / "nowhere")  # opened without following links: refused
    assert [file.is_alive for file in folder.files("metrics")] == [True]


def test_a_pipe_in_the_place_of_a_lock_holds_nobody_up(tmp_path: Path) -> None:
    """The folder of all services' folders is everybody's: who opens a pipe to read it would wait for a writer."""
    pipe = tmp_path / "1-00000000.lock"
    os.mkfifo(pipe)
    answer: list[bool] = []
    look = threading.Thread(target=lambda: answer.append(is_held(pipe)), daemon=True)
    look.start()
    look.join(10)
    assert len(answer) == 1
