"""The configuration of a release: its own bytes, with today's secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy import load_description
from deploy.host import configuring, secrets, slots, tree
from deploy.host.places import Places

from .fake_host import TOML

RELEASE = "20260101T000000Z-00000001"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A host with secrets and one release that is made with them."""
    made = Places("shop", tmp_path)
    made.release(RELEASE).mkdir(parents=True)
    made.etc.mkdir(parents=True)
    description = load_description.parse(TOML)
    place = secrets.path_of(description, tmp_path)
    secrets.write(place, description, secrets.completed(description, {}))
    (made.release(RELEASE) / "harden.toml").write_text(TOML)
    tree.save(made.release(RELEASE) / "etc", configuring.rendered(made, description))
    return made


def text(places: Places, path: str) -> str:
    return next(file.text for file in configuring.of_release(places, RELEASE) if file.path == path)


def test_a_release_has_the_bytes_it_was_made_with(places: Places) -> None:
    assert configuring.of_release(places, RELEASE) == tree.load(places.release(RELEASE) / "etc")


def test_a_password_that_was_changed_since_does_not_come_back(places: Places) -> None:
    old = text(places, "/etc/shop/pgbouncer/userlist.txt")
    description = load_description.parse(TOML)
    places.secrets.unlink()
    secrets.write(places.secrets, description, secrets.completed(description, {}))
    new = text(places, "/etc/shop/pgbouncer/userlist.txt")
    assert new != old
    assert secrets.read(places.secrets)[secrets.VERIFIER] in new


def test_before_the_first_release_it_is_the_installs(places: Places) -> None:
    assert configuring.applied(places) == ()
    files = tree.load(places.release(RELEASE) / "etc")
    tree.save(places.applied, files)
    places.description.write_text(TOML)
    assert set(configuring.applied(places)) == set(files)
    slots.point(places, places.current, RELEASE)
    assert configuring.applied(places) == files
