"""Descriptions whose units differ: one host with sockets alone, several hosts, PgBouncer beside the database."""

from __future__ import annotations

from typing import Any

from deploy.description import App, Bouncer, Database, Description, Front, Hosts, Timeouts, Watch
from deploy.plan import Plan, plan


def one_host(**values: Any) -> Description:
    """Return the simplest description, with some sections given."""
    sections = {
        "app": App(name="shop", target="app:app"), "database": Database(name="shop", role="shop"), **values,
    }  # fmt: skip
    return Description(**sections)


def three_hosts(**values: Any) -> Description:
    """Return one with the database elsewhere, named by its address."""
    sections = {
        "app": App(name="web-shop", target="src/shop.py:create_app()", calls=("10.9.0.0/16", "2001:db8::7")),
        "hosts": Hosts(app=("10.0.0.11", "10.0.0.12", "10.0.0.13"), cores=4, memory_mb=8192),
        "database": Database(
            name="shop", role="shop", host="10.0.0.5", max_connections=200, version=17, cores=8,
            sslmode="verify-full", ca="/etc/ssl/shop/ca.pem",
        ),
        "pgbouncer": Bouncer(version="1.24.1", processes=2),
        "front": Front(
            domains=("shop.example",), certificate="/etc/ssl/shop/a.pem", certificate_key="/etc/ssl/shop/a.key"
        ),
        "timeouts": Timeouts(statement=15, worker=40, proxy=45),
        "watch": Watch(scrape_from=("10.0.0.9",)),
        "environ": {"FEATURE": 'a "b" $c `d` \\e %f'},
        **values,
    }  # fmt: skip
    return Description(**sections)


def beside_database(**values: Any) -> Description:
    """Return one where PgBouncer runs on the database's host, and the hosts have names."""
    sections = {
        "hosts": Hosts(app=("app1.example", "app2.example")),
        "database": Database(name="shop", role="shop", host="db.example"),
        "pgbouncer": Bouncer(version="1.24.1", place="database", processes=2),
        "front": Front(kind="none"),
        **values,
    }
    return one_host(**sections)


SAMPLES = {"one-host": one_host(), "three-hosts": three_hosts(), "beside-database": beside_database()}


def sized(description: Description) -> Plan:
    """Return the sizes of a sample."""
    return plan(description)
