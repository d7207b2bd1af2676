"""Prometheus' host: the token that it shows, and its unit with our configuration, for this machine alone.

Knows Debian's package and no metric. If this is wrong, Prometheus reads nothing, or shows figures to the world.
"""

from __future__ import annotations

from ..description import Description
from ..files import File
from ..prometheus_files import token_path
from ..unit_files import DAEMON_RELOAD, UNITS
from .errors import HostError

DROP_IN = """\
# From harden.toml. Prometheus with the configuration of {name}. Its pages are for this machine alone, for they
# have no login: ssh -L 9090:127.0.0.1:9090 HOST
[Service]
ExecStart=
ExecStart=/usr/bin/prometheus --config.file=/etc/prometheus/{name}.yml --web.listen-address=127.0.0.1:9090 $ARGS
"""


def files(description: Description, token: str) -> tuple[File, ...]:
    """Return what Prometheus' host has beside its configuration.

    Args:
        description: the service.
        token: HARDEN_OPS_TOKEN of the app.

    Raises:
        HostError: there is none.
    """
    if not token:
        raise HostError("Prometheus needs HARDEN_OPS_TOKEN; bring an app host's secrets.env by --secrets FILE")
    name = description.app.name
    unit = File(f"{UNITS}/prometheus.service.d/harden.conf", DROP_IN.format(name=name), reload=DAEMON_RELOAD)
    return (File(token_path(description), token, 0o640, group="prometheus", is_secret=True), unit)
