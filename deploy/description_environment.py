"""`[environment]`: variables for the app that are no secrets and that the kit does not write itself.

Knows names, from the runtime's own table of settings. If a name passes here that the kit writes as well, the
two differ and the sizes of the plan do not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .description import VARIABLE
from .description_values import ValueProblem, plain_text
from .secret_words import is_secret_name

try:
    from backend import settings
    from backend.errors import SettingsError
except ModuleNotFoundError:
    # A host has no psycopg2 for its own python. What the runtime would refuse, a release's gate refuses there.
    settings = None  # type: ignore[assignment]

SECRETS_FILE = "it is a secret and stands in the secrets file on the host (app.secrets)"
# What the kit writes, and the key that says so here.
WRITTEN = {
    "WORKERS": "use server.workers",
    "WEB_CONCURRENCY": "use server.workers",
    "THREADS": "use server.threads",
    "DB_POOL_MIN": "it follows from server.threads",
    "DB_POOL_MAX": "it follows from server.threads",
    "DB_POOL_TIMEOUT": "it follows from the timeouts",
    "DB_PGBOUNCER": "use pgbouncer.mode",
    "DB_STATEMENT_TIMEOUT_MS": "use timeouts.statement",
    "HARDEN_APP": "use app.target",
    "HARDEN_ENV": "what is deployed runs as production",
    "HARDEN_PROXIES": "it follows from front.kind and front.balancer",
    "HARDEN_RUN_DIR": "systemd makes that folder",
    "HARDEN_PYTHON": "it is of scripts/harden, not of the service",
    "HARDEN_VENV": "it is of scripts/harden, not of the service",
    "HARDEN_STATE": "it is of scripts/harden, not of the service",
    "GUNICORN_CMD_ARGS": "it would override the rendered Gunicorn settings; use the keys of [server]",
    "LISTEN_FDS": "systemd sets it",
    "LISTEN_PID": "systemd sets it",
    "NOTIFY_SOCKET": "systemd sets it",
}


def problems_of(variables: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with the variables, by their names; the kit's own are checked as at its start."""
    problems = {}
    ours = {}
    for name, value in variables.items():
        problem = _problem(name, value)
        if problem:
            problems[name] = problem
        elif settings is not None and name.startswith(settings.PREFIXES):
            ours[name] = str(value)
    return problems | _refused(ours)


def _problem(name: str, value: Any) -> str:
    if is_secret_name(name) or (settings is not None and name in settings.SECRETS):
        return f"cannot stand here: {SECRETS_FILE}"
    if name in WRITTEN:
        return f"cannot stand here: the kit writes it; {WRITTEN[name]}"
    if not VARIABLE.fullmatch(name):
        return "is no name of a variable; capital letters, digits and _ are, 64 at most"
    try:
        plain_text(value)
    except ValueProblem as problem:
        return str(problem)
    return ""


def _refused(ours: Mapping[str, str]) -> dict[str, str]:
    problems = {}
    for name, value in ours.items():
        try:
            settings.load(environ={name: value})
        except SettingsError as error:
            problems[name] = f"would stop the start: {'; '.join(error.problems)}"
    return problems
