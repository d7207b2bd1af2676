"""All files of a host, by what the host is for: the one place that knows every renderer.

Pure: the same description gives the same bytes. If a renderer is missing here, a host lacks its files, and neither
diff nor check sees it.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import (
    app_files,
    haproxy_files,
    nginx_files,
    pgbouncer_files,
    postgres_files,
    prometheus_files,
    unit_files,
)
from .description import Description
from .errors import InputError
from .files import File
from .plan import Plan
from .unit_network import is_one_machine, listens_on_network

KINDS = ("app", "database", "balancer", "monitoring")
KIT = "kit"  # the folder of a release that has the kit


def files(
    description: Description, plan: Plan, kind: str, verifiers: Mapping[str, str], kit: str = KIT,
    lookup_password: str = "",
) -> tuple[File, ...]:  # fmt: skip
    """Return the files of a host, sorted by path.

    Args:
        description: the service.
        plan: its sizes.
        kind: one of KINDS; a host that is several has the files of each.
        verifiers: the SCRAM verifier of the app's role by its name, for PgBouncer; used with auth = "file".
        kit: the folder of a release that has the kit.
        lookup_password: with auth = "query", see `pgbouncer_files.files`.

    Raises:
        InputError: something is missing, or cannot stand in these files.
    """
    if kind == "app":
        found = _app(description, plan, verifiers, kit, lookup_password)
    elif kind == "database":
        found = _database(description, plan, verifiers, lookup_password)
    elif kind == "balancer":
        found = (*haproxy_files.files(description, plan), *unit_files.balancer_files())
    elif kind == "monitoring":
        found = prometheus_files.files(description)
    else:
        raise InputError(f"{kind!r} is no kind of host; there are {', '.join(KINDS)}")
    return tuple(sorted(found, key=lambda file: file.path))


def _app(
    description: Description, plan: Plan, verifiers: Mapping[str, str], kit: str, lookup_password: str
) -> tuple[File, ...]:
    bouncer = (
        pgbouncer_files.files(description, plan, verifiers, lookup_password)
        if unit_files.has_bouncer(description)
        else ()
    )
    return (
        *unit_files.files(description, plan, kit),
        *app_files.files(description, plan),
        *nginx_files.files(description, plan),
        *bouncer,
    )


def _database(
    description: Description, plan: Plan, verifiers: Mapping[str, str], lookup_password: str
) -> tuple[File, ...]:
    beside = listens_on_network(description)
    lookup = () if beside or is_one_machine(description) else pgbouncer_files.lookup_files(description, plan)
    return (
        *postgres_files.files(description, plan),
        *unit_files.database_files(description, plan),
        *(pgbouncer_files.files(description, plan, verifiers, lookup_password) if beside else lookup),
    )
