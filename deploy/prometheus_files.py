"""Prometheus' files of a service: where its figures are read, and the kit's alert rules.

Knows the front's names and ports and no metric. If this is wrong, nobody is told that the service is down.
"""

from __future__ import annotations

from pathlib import Path

from .description import Description
from .files import File
from .unit_templates import fill

ALERTS = Path(__file__).resolve().parent / "prometheus" / "alerts.yml"
RELOAD = "systemctl reload prometheus"


def files(description: Description) -> tuple[File, ...]:
    """Return the files of Prometheus' host; none where the front lets nobody read figures.

    Raises:
        InputError: a value cannot stand in the file.
        OSError: the kit's own rules are not there.
    """
    if not description.watch.scrape_from or description.front.kind == "none":
        return ()
    return (
        File(f"/etc/prometheus/{description.app.name}.yml", _scraping(description), reload=RELOAD),
        File("/etc/prometheus/harden-alerts.yml", ALERTS.read_text(encoding="utf-8"), reload=RELOAD),
    )


def token_path(description: Description) -> str:
    """Return the file on Prometheus' host that has the app's HARDEN_OPS_TOKEN."""
    return f"/etc/prometheus/{description.app.name}.token"


def _scraping(description: Description) -> str:
    tls = bool(description.front.certificate) and not description.front.balancer
    targets = _targets(description)
    name = _domain(description)
    return fill(
        "prometheus.yml.j2",
        name=description.app.name,
        token=token_path(description),
        tls=tls,
        tls_name=name if tls and name not in targets else "",
        targets=targets,
    )


def _targets(description: Description) -> tuple[str, ...]:
    """Return what is asked: each host, and a lone one by the name that its front answers to."""
    hosts, domain = description.hosts.app, _domain(description)
    return (domain,) if len(hosts) == 1 and domain else hosts


def _domain(description: Description) -> str:
    return next((domain for domain in description.front.domains if not domain.startswith("*.")), "")
