"""All checks, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator

from . import described, front, leaks, monitoring, on_host, pooler, server, units, verifiers
from .outcome import Check, Outcome, outcome
from .subject import Subject

CHECKS = (
    Check("description", "harden.toml says nothing that works and should not stay so", described.description),
    Check("sizes", "PostgreSQL has a connection for everybody", described.sizes),
    Check("timeouts", "each is below the next", described.timeouts),
    Check("files", "every file can be made", described.files),
    Check("secrets", "the file of secrets has what is needed", described.known_secrets),
    Check("password", "DATABASE_URL's password fits its verifier", verifiers.password),
    Check("nginx", "nginx takes the rendered files", front.nginx),
    Check("nginx-installed", "nginx takes all that lies on the host", front.installed_nginx),
    Check("haproxy", "HAProxy takes the rendered file", front.haproxy),
    Check("units", "systemd understands every unit", units.verify),
    Check("exposure", "units expose no more than promised", units.exposure),
    Check("gunicorn", "Gunicorn takes its configuration", server.gunicorn),
    Check("prometheus", "promtool takes configuration and rules", monitoring.prometheus),
    Check("pgbouncer", "PgBouncer starts with the rendered files", pooler.starts),
    Check("pgbouncer-version", "the installed one is the one rendered for", pooler.version),
    Check("pgbouncer-holes", "no known hole", pooler.holes),
    Check("verifiers", "PgBouncer and PostgreSQL hold the same", verifiers.both_sides),
    Check("modes", "files have the right modes and owners", on_host.modes),
    Check("tls-keys", "the front can read its key, and others cannot", on_host.tls_keys),
    Check("releases", "the app cannot change its own code", on_host.releases),
    Check("leaks", "no secret where everybody may read it", leaks.files),
    Check("processes", "no secret in the process list", leaks.processes),
)


def outcomes(subject: Subject) -> Iterator[Outcome]:
    """Yield what each check says."""
    for check in CHECKS:
        yield outcome(check, subject)
