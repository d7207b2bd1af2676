"""An uninstall knows an app by name or file, and takes what is its own: not what others use as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.description import DescriptionError
from deploy.files import File
from deploy.host import removing, tree
from deploy.host.errors import HostError
from deploy.host.places import Places
from deploy.host.steps import Steps

from .test_neighbours import SHOP

SHARED, NEWER = File("/etc/nginx/harden.conf", "x"), File("/etc/nginx/conf.d/new.conf", "x")


def record(root: Path, name: str, *files: File, folder: str = "") -> Places:
    places = Places(name, root)
    into = root / folder if folder else places.applied
    into.parent.mkdir(parents=True, exist_ok=True)
    tree.save(into, files)
    return places


def test_an_app_is_named_by_its_name_or_its_file(tmp_path: Path) -> None:
    path = tmp_path / "harden.toml"
    path.write_text(SHOP)
    assert removing.named(str(path)) == removing.named("shop") == "shop"
    path.write_text("[app")
    with pytest.raises(DescriptionError):
        removing.named(str(path))


@pytest.mark.parametrize("text", ["../etc", "/etc", "", "Shop", "shop;rm", "a" * 40, ".", "shop\n"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(HostError, match="no app's name and no file"):
        removing.named(text)


def test_files_of_the_install_and_of_every_release_are_the_apps_own(tmp_path: Path) -> None:
    one = File("/etc/shop/app.env", "x")
    places = record(tmp_path, "shop", one, SHARED)
    record(tmp_path, "shop", NEWER, folder="opt/shop/releases/20260101T000000Z-01234567/etc")
    own, shared = removing._files(places)
    assert ([file.path for file in own], shared) == ([NEWER.path, SHARED.path, one.path], [])


def test_what_another_app_uses_stays(tmp_path: Path) -> None:
    places = record(tmp_path, "shop", File("/etc/shop/app.env", "x"), SHARED)
    record(tmp_path, "blog", File("/etc/blog/app.env", "x"), SHARED)
    own, shared = removing._files(places)
    assert ([file.path for file in own], [file.path for file in shared]) == (["/etc/shop/app.env"], [SHARED.path])


def test_a_record_that_is_damaged_stands_in_nobodys_way(tmp_path: Path) -> None:
    places = record(tmp_path, "shop", SHARED)
    (places.applied / "root/etc/nginx/harden.conf").write_text("changed")
    assert removing._files(places) == ([], [])


def test_only_root_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(HostError, match="needs root"):
        removing.remove(removing.Removal("shop"), None, print)  # type: ignore[arg-type]


def test_what_a_killed_release_left_running_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = {"shop-build.service", "shop-migrate.service", "shop-candidate@a.socket"}
    stopped: list[str] = []
    monkeypatch.setattr(removing, "is_active", lambda unit: unit in left)
    monkeypatch.setattr(removing, "_is_enabled", lambda unit: False)
    monkeypatch.setattr(removing, "_loaded", lambda pattern: [])
    monkeypatch.setattr(removing, "systemctl", lambda verb, *units, **_: stopped.extend(units))
    removing._stop(Places("shop", tmp_path), [], Steps(lambda line: None))
    assert set(stopped) == left


def test_the_password_of_a_killed_migration_does_not_stay(tmp_path: Path) -> None:
    places = record(tmp_path, "shop", SHARED)
    (places.state / "migrate.env").write_text("DATABASE_URL=postgresql://shop:secret@/shop")
    removing._forget(places, Steps(lambda line: None, is_dry=True))
    assert (places.state / "migrate.env").exists()
    removing._forget(places, Steps(lambda line: None))
    assert list(places.state.iterdir()) == []
