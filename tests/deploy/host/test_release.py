"""What is checked before a release or a rollback begins, and which release is meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.host import audit, building, configuring, lock, migrating, operation, release, releasing, slots
from deploy.host.errors import HostError
from deploy.host.operation import Operation
from deploy.host.places import Places
from deploy.host.release import Order
from deploy.host.steps import Steps

from .fake_host import DESCRIPTION, TOML, Host, host

__all__ = ["host"]

OLDER, OLD, NEW = (f"2026010{day}T000000Z-0000000{day}" for day in "123")


@pytest.fixture
def here(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host with three releases of which the second serves, and an app to be released."""
    for number, each in enumerate((OLDER, OLD, NEW)):
        host.make(each, f"c{number}")
    host.serve(OLD, "c1", "a")
    monkeypatch.setattr(release, "Places", lambda name: Places(name, tmp_path))
    monkeypatch.setattr(release, "require_installed", lambda *_: None)
    monkeypatch.setattr(release, "require_root", lambda: None)
    monkeypatch.setattr(configuring, "rendered", lambda *_: host.files("new"))
    (tmp_path / "app").mkdir()
    for name, text in {"harden.toml": TOML, "requirements.txt": "", "app.py": ""}.items():
        (tmp_path / "app" / name).write_text(text)
    return host


def roll(wanted: str = "") -> str:
    return release.rollback("shop", wanted, 5, "", Steps(lambda line: None), lambda line: None)


def test_a_rollback_goes_to_the_release_before_the_current_one(here: Host) -> None:
    assert roll() == OLDER
    assert slots.current(here.places) == OLDER
    with pytest.raises(HostError, match=f"no release before {OLDER}; there are {OLD}, {NEW}"):
        roll()


def test_the_beginning_of_an_id_will_do(here: Host) -> None:
    assert roll("20260103") == NEW
    assert audit.read(here.places)[-1]["verb"] == "rollback"


@pytest.mark.parametrize(("wanted", "reason"), [
    (OLD, f"{OLD} serves already; there are {OLDER}, {NEW}"),
    ("2026", "2026 is several releases of this host"),
    ("../../etc", "is no release of this host"),
])  # fmt: skip
def test_a_release_that_cannot_be_meant_is_refused(here: Host, wanted: str, reason: str) -> None:
    with pytest.raises(HostError, match=reason):
        roll(wanted)
    assert slots.current(here.places) == OLD


def test_a_rollback_first_puts_an_interrupted_release_right(here: Host) -> None:
    operation.write(here.places, Operation("release", NEW, "b", OLD, "", "candidate", "now"))
    slots.point(here.places, here.places.slot("b"), NEW)
    said: list[str] = []
    release.rollback("shop", "", 5, "", Steps(said.append), said.append)
    assert said[0].startswith(f"undoing release {NEW}, interrupted at 'candidate'")
    assert slots.releases(here.places) == [OLDER, OLD]
    assert [line["result"] for line in audit.read(here.places)] == ["undone", "done"]


def test_two_at_once_are_one(here: Host) -> None:
    with (
        lock.deploy_lock(here.places, "release"),
        pytest.raises(HostError, match=r"release by .* since .* is under way for shop; wait until it is done"),
    ):
        roll()


def test_a_release_is_performed_with_its_own_description(
    here: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    performed: list[releasing.Change] = []
    monkeypatch.setattr(releasing, "perform", lambda places, change, *_: performed.append(change))
    made = release.release(Order(tmp_path / "app", message="why"), Steps(print), print)
    (change,) = performed
    assert (change.release, change.description, change.facts) == (made, DESCRIPTION, {"message": "why"})
    assert change.migrate is None
    assert slots.ID.fullmatch(made)


def test_a_copy_that_was_released_here_already_does_not_take_its_release_away(here: Host, tmp_path: Path) -> None:
    """Two names of one host: the second release was undone, and with it went what the first had made."""
    told = json.dumps({"commit": "", "release": OLD})
    (tmp_path / "app" / ".harden-export").write_text(told)
    with pytest.raises(HostError, match=f"{OLD} is on this host already"):
        release.release(Order(tmp_path / "app"), Steps(print), print)
    assert OLD in slots.releases(here.places)
    assert slots.current(here.places) == OLD


def test_a_migration_without_a_password_is_refused_before_the_lock(here: Host, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no DATABASE_URL with a password"):
        release.release(Order(tmp_path / "app", migrate="flask db upgrade"), Steps(print), print)
    assert not here.places.lock.exists()


def test_a_folder_without_a_description_is_refused(here: Host, tmp_path: Path) -> None:
    (tmp_path / "app" / "harden.toml").unlink()
    with pytest.raises(HostError, match=r"has no harden.toml; harden init writes one, or name it with --config"):
        release.release(Order(tmp_path / "app"), Steps(print), print)


def test_a_dry_run_needs_no_lock_and_leaves_nothing(here: Host, tmp_path: Path) -> None:
    here.actions.clear()
    said: list[str] = []
    release.release(Order(tmp_path / "app"), Steps(said.append, is_dry=True), said.append)
    assert here.actions == []
    assert not here.places.lock.exists()
    assert said[0].startswith("would build ")


def test_a_host_without_the_app_is_told_what_it_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(release, "require_root", lambda: None)
    monkeypatch.setattr(slots, "installed", lambda: ["blog", "wiki"])
    with pytest.raises(HostError, match=r"shop is not installed on this host \(it has blog, wiki\); run harden"):
        release.require_installed(Places("shop", tmp_path), DESCRIPTION)


@pytest.mark.parametrize(("there", "asked", "found"), [
    (["shop"], "", "shop"), (["blog", "shop"], "blog", "blog"),
    (["blog", "shop"], "", r"which app\? this host has blog, shop"),
    (["blog"], "shop", "shop is not installed on this host; it has blog"), ([], "", "no app is installed"),
])  # fmt: skip
def test_the_only_app_needs_no_name(
    monkeypatch: pytest.MonkeyPatch, there: list[str], asked: str, found: str
) -> None:
    monkeypatch.setattr(slots, "installed", lambda: there)
    if found in there:
        assert release.app_named(asked) == found
        return
    with pytest.raises(HostError, match=found):
        release.app_named(asked)


def test_nobody_but_root_changes_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release.os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match="put sudo before it"):
        release.require_root()


def test_the_modules_of_a_release_need_no_psycopg2_of_the_host() -> None:
    for module in (building, migrating, releasing, release):
        assert "psycopg2" not in vars(module)
