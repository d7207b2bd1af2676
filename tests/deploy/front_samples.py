"""Descriptions that the front's files are rendered from in tests, and sizes for them."""

from __future__ import annotations

from deploy.description import App, Database, Description, Front, Hosts, Timeouts, Watch
from deploy.plan import Plan

APP = App("shop", "wsgi:application")
STATIC = App("my-shop", "wsgi:application", static="backend/static", health="/health/ready")
DATABASE = Database("shop", "shop")
DOMAINS = ("shop.example.com", "www.shop.example.com", "*.shop.example.org")
LONG = ".".join(["a" * 60] * 4)
CERTIFICATE, KEY = "/etc/ssl/shop/site.crt", "/etc/ssl/shop/site.key"
HOSTS = Hosts(("10.0.0.11", "app2.example.com", "[fd00::3]"))
BALANCERS = ("10.0.0.1", "fd00::1")

SAMPLES = {
    "plain": Description(APP, DATABASE),
    "tls": Description(
        APP, DATABASE, front=Front(domains=DOMAINS, certificate=CERTIFICATE, certificate_key=KEY)
    ),
    "everything": Description(
        STATIC, DATABASE,
        front=Front(
            domains=(*DOMAINS, LONG), certificate=CERTIFICATE, certificate_key=KEY, body_mb=100, rate=0
        ),
        timeouts=Timeouts(worker=60, proxy=65, client=90), watch=Watch(("10.0.0.0/24", "fd00::/64", "192.0.2.7")),
    ),
    "balancer": Description(
        APP, DATABASE, hosts=HOSTS, front=Front(balancer=True, balancer_from=BALANCERS, rate=0),
    ),
    "balancer-tls": Description(
        STATIC, DATABASE, hosts=HOSTS,
        front=Front(
            domains=DOMAINS, certificate=CERTIFICATE, certificate_key=KEY, balancer=True, balancer_from=BALANCERS
        ),
        watch=Watch(("10.0.0.0/24",)),
    ),
}  # fmt: skip


def sizes(workers: int = 2, threads: int = 8) -> Plan:
    """Return sizes of which the front uses only the first two."""
    named = dict.fromkeys(Plan.__dataclass_fields__, 1)
    return Plan(**{**named, "workers": workers, "threads": threads})
