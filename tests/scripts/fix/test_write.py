"""All files are written, or none."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.errors import CommandError
from scripts.fix.result import Changed
from scripts.fix.write import write

from ..stack.running import ROOT

FILES = [
    Changed("a.py", b"a = 1\n", b"a = 2\n"),
    Changed("b.py", b"b = 1\n", b"b = 2\n"),
    Changed("n/c", None, b"new\n"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_bytes(b"a = 1\n")
    (tmp_path / "b.py").write_bytes(b"b = 1\n")
    return tmp_path


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


OLD = {"a.py": b"a = 1\n", "b.py": b"b = 1\n"}
NEW = {"a.py": b"a = 2\n", "b.py": b"b = 2\n", "n/c": b"new\n"}


def test_all_are_written_and_nothing_is_left_beside_them(folder: Path) -> None:
    write(folder, FILES)
    assert _files(folder) == NEW


def test_the_mode_stays(folder: Path) -> None:
    (folder / "a.py").chmod(0o751)
    write(folder, FILES)
    assert stat.S_IMODE((folder / "a.py").stat().st_mode) == 0o751


def test_a_failure_while_they_take_their_names_puts_back_what_was_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def fails(self: Path, target: Path) -> Path:
        if target.name == "b.py" and b"2" in self.read_bytes():
            raise OSError(28, "No space left on device", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(CommandError, match=r"b\.py: No space left on device; every file is as it was"):
        write(folder, FILES)
    assert _files(folder) == OLD


def test_a_full_disk_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda number: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(CommandError, match="every file is as it was"):
        write(folder, FILES)
    assert _files(folder) == OLD


def test_what_was_changed_meanwhile_is_not_written_over(folder: Path) -> None:
    (folder / "b.py").write_bytes(b"mine\n")
    with pytest.raises(CommandError, match=r"b\.py was changed meanwhile; nothing was written"):
        write(folder, FILES)
    assert _files(folder) == {**OLD, "b.py": b"mine\n"}


def test_a_link_is_not_followed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "b.py"
    outside.write_bytes(b"b = 1\n")
    (folder / "b.py").unlink()
    (folder / "b.py").symlink_to(outside)
    with pytest.raises(CommandError, match="is a link"):
        write(folder, FILES)
    assert outside.read_bytes() == b"b = 1\n"


def test_what_does_not_parse_is_not_written(folder: Path) -> None:
    with pytest.raises(CommandError, match="would not parse any more at line 1; nothing was written"):
        write(folder, [Changed("a.py", b"a = 1\n", b"a = (\n")])
    assert _files(folder) == OLD


SLOW = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from scripts import cli
from scripts.fix import command
from scripts.fix.result import Changed
from scripts.fix.write import write
replace = Path.replace
def slow(self, target):
    made = replace(self, target)
    print("renamed", flush=True)
    time.sleep(0.5 if target.name == "a.py" else 0)
    return made
Path.replace = slow
def run(options):
    write(Path({folder!r}), [Changed("a.py", b"a = 1\\n", b"a = 2\\n"), Changed("b.py", b"b = 1\\n", b"b = 2\\n")])
    return 0
command.run = run
sys.exit(cli.main(["fix", {folder!r}]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_leaves_the_files_as_they_were_and_says_so(
    folder: Path, number: signal.Signals
) -> None:
    code = SLOW.format(root=str(ROOT), folder=str(folder))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "renamed\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode in (130, 128 + signal.SIGTERM)
    assert "stopped while writing; every file is as it was, run harden fix again" in said
    assert _files(folder) == OLD


def test_a_killed_process_leaves_each_file_old_or_new(folder: Path) -> None:
    code = SLOW.format(root=str(ROOT), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 5
    while not process.returncode and time.monotonic() < deadline:
        time.sleep(0.01)
    for name in ("a.py", "b.py"):
        assert (folder / name).read_bytes() in (OLD[name], NEW[name])
