"""Which release each link leads to, and which instance serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.host import slots
from deploy.host.places import Places

OLD, NEW = "20260101T000000Z-00000001", "20260102T000000Z-00000002"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """An app with two releases."""
    made = Places("shop", tmp_path)
    for release in (OLD, NEW):
        made.release(release).mkdir(parents=True)
        (made.release(release) / slots.RECORD).write_text("{}")
    return made


def running(monkeypatch: pytest.MonkeyPatch, *units: str) -> None:
    monkeypatch.setattr(slots, "is_active", lambda unit: unit in units)


def test_a_link_leads_to_a_release_and_goes_again(places: Places) -> None:
    assert slots.current(places) == ""
    slots.point(places, places.current, OLD)
    assert places.current.readlink() == Path("releases") / OLD
    slots.point(places, places.current, NEW)
    assert slots.current(places) == NEW
    slots.point(places, places.current, "")
    assert not places.current.is_symlink()
    assert sorted(path.name for path in places.home.iterdir()) == ["releases"]


def test_the_instance_that_runs_serves_whatever_the_links_say(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.point(places, places.current, OLD)
    slots.point(places, places.slot("a"), OLD)
    running(monkeypatch, "shop@b.service")
    assert slots.serving(places) == "b"


@pytest.mark.parametrize("units", [(), ("shop@a.service", "shop@b.service")])
def test_of_none_or_two_that_run_the_current_releases_one_serves(
    places: Places, monkeypatch: pytest.MonkeyPatch, units: tuple[str, ...]
) -> None:
    slots.point(places, places.slot("a"), OLD)
    slots.point(places, places.slot("b"), NEW)
    slots.point(places, places.current, NEW)
    running(monkeypatch, *units)
    assert slots.serving(places) == "b"


def test_before_the_first_release_none_serves_and_the_first_instance_is_next(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(monkeypatch)
    assert slots.serving(places) == ""
    assert slots.other("") == "a"
    assert (slots.other("a"), slots.other("b")) == ("b", "a")


def test_a_folder_without_its_record_is_no_release(places: Places) -> None:
    (places.release(OLD) / slots.RECORD).unlink()
    (places.releases / f".{NEW}.partial").mkdir()
    (places.releases / "notes").mkdir()
    assert slots.releases(places) == [NEW]


def test_apps_are_those_with_a_state_a_socket_and_releases(places: Places, tmp_path: Path) -> None:
    assert slots.installed(tmp_path) == []
    places.state.mkdir(parents=True)
    Places("gone", tmp_path).state.mkdir()
    assert slots.installed(tmp_path) == []  # uninstalled: what it has released is still there
    socket = tmp_path / "etc/systemd/system/shop.socket"
    socket.parent.mkdir(parents=True)
    socket.touch()
    assert slots.installed(tmp_path) == ["shop"]
