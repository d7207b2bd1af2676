import os
import pickle
from pathlib import Path

import pytest

from scripts.atomic import WriteError, write_atomically


def test_a_new_file_has_the_text_and_the_mode_of_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    before = os.umask(0o027)
    try:
        write_atomically(path, "grün\r\n")
    finally:
        os.umask(before)
    assert path.read_bytes() == "grün\r\n".encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("a much longer text than the new one")
    path.chmod(0o604)
    write_atomically(str(path), "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o604


def test_a_symlink_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "a.txt", tmp_path / "b.txt"
    target.write_text("old")
    link.symlink_to(target)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_missing_folder_is_an_os_error_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "none" / "report.html"
    with pytest.raises(
        WriteError, match=r"^cannot write .*report.html: No such file.*; nothing was changed"
    ) as caught:
        write_atomically(path, "text")
    assert isinstance(caught.value, OSError)
    assert (caught.value.errno, caught.value.filename) == (2, str(path))
    assert "\n" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_file_in_place_of_the_folder_is_reported_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="Not a directory"):
        write_atomically(tmp_path / "file" / "report.html", "text")


def test_a_failure_on_the_way_leaves_the_old_text_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="No space left on device"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_is_no_utf_8_leaves_no_draft(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "a", "\udc80")
    assert list(tmp_path.iterdir()) == []
