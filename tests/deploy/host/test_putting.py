"""What an install writes is remembered, written once, and read again after an interruption."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.files import File
from deploy.host import putting, tree
from deploy.host.places import Places
from deploy.host.steps import Steps

ONE, TWO = File("/etc/shop/one", "1\n"), File("/etc/shop/two", "2\n", 0o640)


def put(places: Places, *files: File, is_dry: bool = False) -> list[str]:
    told: list[str] = []
    putting.put(places, "app", files, Steps(told.append, is_dry), told.append)
    return told


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places("shop", tmp_path)


def test_files_are_written_and_remembered_once(places: Places) -> None:
    assert put(places, ONE, TWO) == ["write 2 files of kind app", "  wrote /etc/shop/one", "  wrote /etc/shop/two"]
    assert (places.etc / "two").read_text() == "2\n"
    assert putting.remembered(places, "app") == (ONE, TWO)
    assert putting.remembered(places, "database") == ()
    assert put(places, ONE, TWO) == []


def test_what_is_no_longer_rendered_goes(places: Places) -> None:
    put(places, ONE, TWO)
    put(places, TWO)
    assert not (places.etc / "one").exists()
    assert tree.load(places.applied) == (TWO,)


def test_a_dry_run_writes_nothing_at_all(places: Places) -> None:
    assert put(places, ONE, is_dry=True) == [
        "would write 1 files of kind app", "  new: /etc/shop/one 0644 root:root"
    ]  # fmt: skip
    assert list(places.root.iterdir()) == []


def test_after_an_interruption_everybody_reads_again(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    users = File("/etc/sysusers.d/shop.conf", "u shop\n", reload="systemd-sysusers shop.conf")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(putting, "apply", killed)
        with pytest.raises(KeyboardInterrupt):
            put(places, users, ONE)
    assert putting.remembered(places, "app") == (users, ONE)  # an uninstall would find them
    read: list[list[str]] = []
    monkeypatch.setattr(putting, "take_over", lambda files: read.append([file.path for file in files]))
    put(places, users, ONE)
    assert read == [[], [users.path, ONE.path]]
    put(places, users, ONE)
    assert len(read) == 2
