"""Files put where they belong: whole, with mode and owner, and taken away again."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from deploy.files import File
from deploy.host import durable
from deploy.host.apply import Change, apply, differences, reloads
from deploy.host.errors import HostError

SITE = File("/etc/nginx/conf.d/shop.conf", "server {}\n", reload="systemctl reload nginx")
SECRET = File("/etc/shop/userlist.txt", '"shop" "x"\n', 0o640, is_secret=True)


def kinds(changes: list[Change]) -> dict[str, str]:
    return {change.path: change.kind for change in changes}


def test_an_empty_host_gets_all_files_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    assert kinds(apply((SITE, SECRET), root=tmp_path)) == {SITE.path: "new", SECRET.path: "new"}
    place = tmp_path / "etc/shop/userlist.txt"
    assert place.read_text() == SECRET.text
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    assert apply((SITE, SECRET), root=tmp_path) == []


def test_each_kind_of_difference_is_told_apart(tmp_path: Path) -> None:
    apply((SITE, SECRET), root=tmp_path)
    (tmp_path / "etc/nginx/conf.d/shop.conf").write_text("server { listen 81; }\n")
    (tmp_path / "etc/shop/userlist.txt").chmod(0o644)
    extra = File("/etc/shop/new.conf", "")
    found = differences((SITE, SECRET, extra), root=tmp_path)
    assert kinds(found) == {SITE.path: "changed", SECRET.path: "mode", extra.path: "new"}
    assert found[0].old == "server { listen 81; }\n"


def test_what_is_no_longer_rendered_goes(tmp_path: Path) -> None:
    apply((SITE, SECRET), root=tmp_path)
    assert kinds(apply((SITE,), before=(SITE, SECRET), root=tmp_path)) == {SECRET.path: "gone"}
    assert not (tmp_path / "etc/shop/userlist.txt").exists()
    assert (tmp_path / "etc/shop").is_dir()
    assert apply((SITE,), before=(SITE, SECRET), root=tmp_path) == []


def test_files_of_others_stay(tmp_path: Path) -> None:
    others = tmp_path / "etc/nginx/conf.d/other.conf"
    others.parent.mkdir(parents=True)
    others.write_text("mine")
    apply((SITE,), root=tmp_path)
    apply((), before=(SITE,), root=tmp_path)
    assert others.read_text() == "mine"
    assert sorted(each.name for each in others.parent.iterdir()) == ["other.conf"]


def test_a_link_in_a_file_s_place_is_replaced_and_what_it_leads_to_is_not(tmp_path: Path) -> None:
    target = tmp_path / "passwd"
    target.write_text("root")
    place = tmp_path / "etc/shop/userlist.txt"
    place.parent.mkdir(parents=True)
    place.symlink_to(target)
    apply((SECRET,), root=tmp_path)
    assert not place.is_symlink()
    assert target.read_text() == "root"


def test_a_folder_in_a_file_s_place_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "etc/shop/userlist.txt/inner").mkdir(parents=True)
    with pytest.raises(HostError, match="is a folder"):
        apply((SECRET,), root=tmp_path)
    assert (tmp_path / "etc/shop/userlist.txt/inner").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_user_that_the_host_lacks_is_an_error(tmp_path: Path) -> None:
    foreign = File("/etc/shop/hba.conf", "", group="nobody-has-this-group")
    with pytest.raises(HostError, match="whom this host does not have"):
        apply((foreign,), root=tmp_path)
    assert not (tmp_path / "etc/shop/hba.conf").exists()


def test_systemd_reads_units_before_anybody_is_reloaded() -> None:
    unit = File("/etc/systemd/system/a.service", "", reload="systemctl daemon-reload")
    changes = [Change("new", each) for each in (SITE, unit, SITE, SECRET)]
    assert reloads(changes) == ["systemctl daemon-reload", "systemctl reload nginx"]


def test_a_link_always_leads_somewhere(tmp_path: Path) -> None:
    for release in ("one", "two"):
        (tmp_path / release).mkdir()
        durable.link(tmp_path / "current", release)
        assert (tmp_path / "current").readlink() == Path(release)
    (tmp_path / ".current.new").symlink_to("three")  # a run that was killed has left it
    durable.link(tmp_path / "current", "one")
    assert (tmp_path / "current").samefile(tmp_path / "one")


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        durable.replace(tmp_path / "taken", "text")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]
