"""Where runs live: refused when it could not work or is not ours, never changed when it is somebody's folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.errors import CommandError
from scripts.stack.runfolder import KEEP_LOGS, LONGEST, RunFolder, is_alive, start_time, state_folder

from .running import ROOT

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")


def test_by_default_it_is_in_the_temporary_folder_under_our_number(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(state))
    folder = state_folder()
    assert folder == state / f"harden-{os.geteuid()}"
    assert folder.stat().st_mode & 0o777 == (0o711 if os.geteuid() == 0 else 0o700)
    folder.chmod(0o777)
    assert state_folder().stat().st_mode & 0o022 == 0  # ours by its name: put right


def test_a_named_folder_is_made_with_its_parents_for_us_alone(state: Path) -> None:
    os.umask(before := os.umask(0o077))
    try:
        os.umask(0o077)
        folder = state_folder(str(state / "a" / "b")) if os.geteuid() else state_folder(str(state / "b"))
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == (0o711 if os.geteuid() == 0 else 0o700)


def test_the_mode_of_a_folder_that_was_there_stays(state: Path) -> None:
    """HARDEN_STATE=/home/me must not close a home, nor HARDEN_STATE=/tmp the folder that all write to."""
    state.chmod(0o755)
    assert state_folder(str(state)) == state
    assert state.stat().st_mode & 0o777 == 0o755
    assert list(state.iterdir()) == []


def test_a_folder_that_others_write_to_is_refused_and_stays_as_it_is(state: Path) -> None:
    state.chmod(0o1777)
    with pytest.raises(CommandError, match=rf"^others can write to {state}; set HARDEN_STATE .*{state}/harden$"):
        state_folder(str(state))
    assert state.stat().st_mode & 0o7777 == 0o1777


@as_root
def test_another_users_folder_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(state))
    theirs = state / "harden-0"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    for wanted in (None, str(theirs)):
        with pytest.raises(CommandError, match=f"^{theirs} belongs to another user; set HARDEN_STATE"):
            state_folder(wanted)


@as_root
def test_another_users_symlink_is_refused_wherever_it_leads(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In /tmp anybody can put one, and what it leads to may well be ours."""
    monkeypatch.setattr("tempfile.tempdir", str(state))
    precious = state / "precious"
    precious.mkdir(mode=0o755)
    (state / "harden-0").symlink_to(precious)
    os.chown(state / "harden-0", 65534, 65534, follow_symlinks=False)
    with pytest.raises(CommandError, match="belongs to another user"):
        state_folder()
    assert precious.stat().st_mode & 0o777 == 0o755


def test_a_path_too_long_for_a_socket_is_refused_before_it_is_made(state: Path) -> None:
    wanted = state / ("x" * (LONGEST - len(str(state))))
    with pytest.raises(CommandError, match=r"is too long for a socket \(60 at most\); set HARDEN_STATE"):
        state_folder(str(wanted))
    assert not wanted.exists()
    assert len(str(state_folder(str(wanted)[:LONGEST]))) == LONGEST


@pytest.mark.parametrize("name", ["with space", "quo'te", "comma,", "ümlaut", "new\nline", "per%cent"])
def test_a_path_that_a_configuration_cannot_hold_is_refused_in_one_line(state: Path, name: str) -> None:
    with pytest.raises(CommandError, match="set HARDEN_STATE to a plain path") as caught:
        state_folder(str(state / name))
    assert "\n" not in caught.value.line()
    assert not (state / name).exists()


@as_root
def test_root_is_told_which_folder_the_databases_user_cannot_pass(state: Path) -> None:
    closed = state / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(CommandError, match=rf"cannot pass through {closed} .*set HARDEN_STATE"):
        state_folder(str(closed / "state"))


def test_a_file_in_its_place_is_one_line(state: Path) -> None:
    (state / "file").write_text("")
    with pytest.raises(CommandError, match=rf"^cannot write to {state}/file/x \(Not a directory\)"):
        state_folder(str(state / "file" / "x"))


@as_root
def test_a_folder_that_cannot_be_written_is_one_line(state: Path) -> None:
    state.chmod(0o755)
    code = f"from scripts.stack.runfolder import state_folder; state_folder({str(state / 'x')!r})"
    done = subprocess.run(
        ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/env", "-i",
         "python3", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True, text=True, cwd="/",
    )  # fmt: skip
    if "Permission denied: '/" in done.stderr or "No module" in done.stderr:
        pytest.skip("the kit's folder cannot be read by another user here")
    assert f"cannot write to {state}/x (Permission denied); set HARDEN_STATE to a folder of yours" in done.stderr


def test_a_run_is_alive_until_its_lock_is_let_go(state: Path) -> None:
    run = RunFolder(state)
    assert is_alive(run.path)
    run.remove()
    assert not is_alive(run.path)
    assert not run.path.exists()


def test_a_run_in_another_process_is_alive_until_it_is_killed(state: Path) -> None:
    code = f"""
from pathlib import Path
from scripts.stack.runfolder import RunFolder
run = RunFolder(Path({str(state)!r}))
print(run.path, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        ours = RunFolder(state)  # cleans up dead runs as it starts
        assert is_alive(theirs)
        process.kill()
        process.wait(30)
        assert theirs.exists()
        assert not is_alive(theirs)
    ours.remove()
    RunFolder(state).remove()
    assert list(state.glob("run-*")) == []


def test_a_reused_process_id_is_left_alone(state: Path) -> None:
    """The record has the process's start as well: ids come round again."""
    run = RunFolder(state)
    with subprocess.Popen(["sleep", "600"]) as other:
        (run.path / "processes" / "other").write_text(f'[{other.pid}, "{int(start_time(other.pid)) - 1}"]')
        (run.path / "processes" / "half").write_text("[12")
        run.remove()
        assert other.poll() is None
        other.kill()


def test_a_recorded_process_is_ended_with_its_run(state: Path) -> None:
    run = RunFolder(state)
    with subprocess.Popen(["sleep", "600"]) as ours:
        run.record("ours", ours.pid)
        run.remove()
        assert ours.wait(10) < 0


def test_at_most_five_sets_of_logs_are_kept_and_the_newest_is_among_them(state: Path) -> None:
    """Seven failures within one second: their names cannot tell which came last."""
    run = RunFolder(state)
    (run.logs / "a.log").write_text("something")
    kept = []
    for _ in range(KEEP_LOGS + 2):
        kept.append(run.keep_logs())
        time.sleep(0.01)  # the clock of files ticks every few milliseconds
    assert {path for path in kept if path is not None and path.exists()} == set(kept[-KEEP_LOGS:])
    assert (kept[-1] / "a.log").read_text() == "something" if kept[-1] else False
    run.remove()


def test_without_logs_nothing_is_kept(state: Path) -> None:
    run = RunFolder(state)
    assert run.keep_logs() is None
    run.remove()
    assert list(state.glob("failed-*")) == []


def test_kept_logs_are_ours_alone(state: Path) -> None:
    run = RunFolder(state)
    (run.logs / "a.log").write_text("something")
    kept = run.keep_logs()
    assert kept is not None
    assert kept.stat().st_mode & 0o777 == 0o700
    run.remove()
