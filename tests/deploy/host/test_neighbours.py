"""Two apps on one host differ where they have to, and what one has the other does not take."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.host import neighbours
from deploy.host.errors import HostError
from deploy.host.places import Places
from deploy.host.putting import folder_of
from deploy.host.tree import save
from deploy.load_description import parse

SHOP = """
[app]
name = "shop"
target = "app:app"
[database]
name = "shop"
role = "shop"
"""
BLOG = SHOP.replace("shop", "blog") + '[front]\ndomains = ["blog.example"]\n[pgbouncer]\n'


def install(root: Path, text: str) -> None:
    places = Places(parse(text).app.name, root)
    save_to = folder_of(places, "app")
    save_to.parent.mkdir(parents=True, exist_ok=True)
    save(save_to, ())
    places.etc.mkdir(parents=True)
    places.description.write_text(text)


def test_who_is_installed_is_known_by_its_record(tmp_path: Path) -> None:
    assert neighbours.names(tmp_path) == ()
    install(tmp_path, SHOP)
    (tmp_path / "var/lib/harden/gone").mkdir()
    assert neighbours.names(tmp_path) == ("shop",)
    assert neighbours.others("shop", tmp_path) == ()
    assert neighbours.others("blog", tmp_path) == ("shop",)


def test_apps_that_differ_where_they_must_share_a_host(tmp_path: Path) -> None:
    install(tmp_path, SHOP)
    neighbours.require_room(parse(BLOG), tmp_path)
    neighbours.require_room(parse(SHOP), tmp_path)  # itself is no neighbour


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BLOG.replace('["blog.example"]', "[]"), "is empty, and shop"),
        (BLOG.replace('role = "blog"', 'role = "shop"'), "database.role shop is shop's"),
        (BLOG.replace('name = "blog"\nrole', 'name = "shop"\nrole'), "database.name shop is shop's"),
        (
            BLOG.replace('role = "blog"', 'role = "blog"\nmax_connections = 150'),
            "database.max_connections is 150, and shop on the same server has 100",
        ),
        (
            BLOG.replace('role = "blog"', 'role = "blog"\ncores = 24').replace(
                "[pgbouncer]", "[hosts]\ncores = 12\n[pgbouncer]"
            ),
            r"blog, shop together may open \d+ connections, and the server has 97",
        ),
    ],
)
def test_what_another_app_has_is_not_taken(text: str, reason: str, tmp_path: Path) -> None:
    install(tmp_path, SHOP)
    with pytest.raises(HostError, match=reason):
        neighbours.require_room(parse(text), tmp_path)


def test_a_port_of_the_network_is_one_apps(tmp_path: Path) -> None:
    far = [text.replace("[database]", '[hosts]\napp = ["10.0.0.7"]\n[database]\nhost = "10.0.0.5"')
           for text in (SHOP + "[pgbouncer]\n", BLOG)]  # fmt: skip
    shop, blog = (f'{text}place = "database"\n' for text in far)
    install(tmp_path, shop)
    with pytest.raises(HostError, match=r"pgbouncer\.port 6432 is shop's on this host.*6433"):
        neighbours.require_room(parse(blog), tmp_path)
    neighbours.require_room(parse(f"{blog}port = 6433\n"), tmp_path)
    neighbours.require_room(parse(BLOG), tmp_path)


def test_the_same_domain_is_one_apps(tmp_path: Path) -> None:
    install(tmp_path, BLOG)
    with pytest.raises(HostError, match=r"front\.domains has blog\.example, which is blog's"):
        neighbours.require_room(parse(SHOP + '[front]\ndomains = ["blog.example"]\n'), tmp_path)


def test_apps_with_databases_elsewhere_may_call_them_the_same(tmp_path: Path) -> None:
    install(tmp_path, SHOP)
    far = BLOG.replace('role = "blog"', 'role = "shop"\nhost = "10.0.0.5"\nmax_connections = 300')
    neighbours.require_room(parse(far), tmp_path)


def test_a_neighbour_whose_file_is_broken_stands_in_nobodys_way(tmp_path: Path) -> None:
    install(tmp_path, SHOP)
    Places("shop", tmp_path).description.write_text("[app")
    neighbours.require_room(parse(BLOG), tmp_path)
