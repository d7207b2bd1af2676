"""All files of a host: each kind has its own, in order, and hosts that are several kinds do not contradict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.description import App, Bouncer, Database, Description, Front, Hosts, Watch
from deploy.errors import InputError
from deploy.host_files import KINDS, files
from deploy.plan import plan
from deploy.scram import make_verifier
from deploy.unit_network import default_kinds

ONE = Description(App("shop", "app:app"), Database("shop", "shop"))
TWO = replace(
    ONE, hosts=Hosts(("10.0.0.2", "10.0.0.3")), database=Database("shop", "shop", host="10.0.0.1"),
    front=Front(balancer=True, balancer_from=("10.0.0.9",), domains=("shop.example.com",)),
    watch=Watch(("10.0.0.9",)),
)  # fmt: skip
VERIFIERS = {"shop": make_verifier("word")}


def paths(description: Description, kind: str) -> set[str]:
    return {file.path for file in files(description, plan(description), kind, VERIFIERS)}


def test_an_app_host_has_app_front_and_pgbouncer() -> None:
    found = paths(ONE, "app")
    assert {
        "/etc/systemd/system/shop@.service", "/etc/nginx/conf.d/shop.conf", "/etc/shop/app.env",
        "/etc/shop/pgbouncer/pgbouncer-1.ini", "/etc/shop/pgbouncer/userlist.txt", "/etc/sysusers.d/shop.conf",
    } <= found  # fmt: skip
    assert not any("postgresql" in path for path in found)


def test_pgbouncer_is_where_the_description_says() -> None:
    beside = replace(TWO, pgbouncer=Bouncer(place="database"))
    assert not any("pgbouncer" in path for path in paths(beside, "app"))
    assert "/etc/shop/pgbouncer/pgbouncer-1.ini" in paths(beside, "database")
    assert not any("pgbouncer" in path for path in paths(TWO, "database"))


def test_other_kinds_have_their_own() -> None:
    assert "/etc/haproxy/haproxy.cfg" in paths(TWO, "balancer")
    assert "/etc/prometheus/shop.yml" in paths(TWO, "monitoring")
    assert "/etc/shop/postgresql/roles.sql" in paths(ONE, "database")
    with pytest.raises(InputError, match="no kind of host; there are app, database"):
        paths(ONE, "web")


@pytest.mark.parametrize("description", [ONE, TWO], ids=["one", "two"])
def test_files_are_sorted_and_kinds_on_one_host_do_not_contradict(description: Description) -> None:
    seen: dict[str, object] = {}
    for kind in KINDS:
        found = files(description, plan(description), kind, VERIFIERS)
        assert [file.path for file in found] == sorted({file.path for file in found})
        for file in found:
            assert seen.setdefault(file.path, file) == file


def test_a_host_is_what_follows_from_where_the_database_is() -> None:
    assert default_kinds(ONE) == ("app", "database")
    assert default_kinds(TWO) == ("app",)


def test_the_function_for_lookups_is_on_postgresqls_host_once() -> None:
    """Where PgBouncer is as well it is among PgBouncer's files."""
    own, bouncers = "/etc/shop/postgresql/auth_query.sql", "/etc/shop/pgbouncer/auth_query.sql"
    for description, wanted in {
        "two": (replace(TWO, pgbouncer=Bouncer(auth="query")), own),
        "beside": (replace(TWO, pgbouncer=Bouncer(auth="query", place="database")), bouncers),
    }.values():
        found = {
            file.path for file in files(description, plan(description), "database", {}, lookup_password="look up")
        }
        assert found & {own, bouncers} == {wanted}
    assert own not in paths(replace(ONE, pgbouncer=Bouncer(auth="query")), "database")
    assert own not in paths(TWO, "database")
