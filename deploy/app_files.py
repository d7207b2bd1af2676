"""The app's environment: `/etc/<name>/app.env`, and the form of its file of secrets.

Knows the runtime's settings and the plan. Has no secret: what it writes of them are names with no values. If this
is wrong, workers have other sizes than the plan, or the app looks for its database in the wrong place.
"""

from __future__ import annotations

from .description import VARIABLE, Description
from .description_rules import is_over_network
from .errors import InputError
from .files import File
from .plan import Plan
from .plan_sizes import sizes
from .unit_files import secrets_path
from .unit_network import listens_on_network
from .unit_templates import fill

# Each a connection parameter of libpq; together a server without power is noticed in about three seconds.
NOTICING = "tcp_user_timeout=3000&keepalives_idle=3&keepalives_interval=1&keepalives_count=3"


def files(description: Description, plan: Plan) -> tuple[File, ...]:
    """Return app.env, which holds no secret and is for everybody to read.

    Raises:
        InputError: a value cannot stand in the file.
    """
    text = fill(
        "app.env.j2",
        name=description.app.name,
        secrets=secrets_path(description),
        plan=plan,
        pgbouncer=description.pgbouncer.mode if description.pgbouncer.enabled else "off",
        target=description.app.target,
        proxies=proxies(description),
        over_network=not database_host(description).startswith("/"),
        environ=_variables(description),
    )
    return (File(f"/etc/{description.app.name}/app.env", text),)


def secrets_file(description: Description) -> File:
    """Return the form of the file of secrets, to be written only where none is yet."""
    text = fill(
        "secrets.env.j2",
        name=description.app.name,
        example=database_url(description),
        over_network=not database_host(description).startswith("/"),
        console=console_dsn(description),
    )
    return File(secrets_path(description), text, mode=0o600, is_secret=True)


def proxies(description: Description) -> int:
    """Return how many proxies the app believes: nginx sends one address, the client's, whatever is before it."""
    return int(description.front.kind == "nginx")


def database_host(description: Description) -> str:
    """Return the host that the app connects to: a folder of PgBouncer's or PostgreSQL's sockets, or a name.

    With PgBouncer on the host it is a list, as libpq takes it: its processes, and last the one that stands in
    while another restarts. libpq tries them in order, and a socket that is not there costs it nothing.
    """
    bouncer = description.pgbouncer
    if bouncer.enabled and not listens_on_network(description):
        count = bouncer.processes + sizes(description).spares
        folders = (f"/run/{description.app.name}-pgbouncer/{number}" for number in range(1, count + 1))
        return ",".join(folders)
    return description.database.host


def database_url(description: Description) -> str:
    """Return what DATABASE_URL is, with PASSWORD where the password goes."""
    database, bouncer = description.database, description.pgbouncer
    host = database_host(description)
    port = bouncer.port if bouncer.enabled else database.port
    ports = ",".join([str(port)] * (host.count(",") + 1))
    timeout = f"connect_timeout={description.timeouts.connect}"
    if host.startswith("/"):
        return f"postgresql://{database.role}:PASSWORD@/{database.name}?host={host}&port={ports}&{timeout}"
    return f"postgresql://{database.role}:PASSWORD@{host}:{port}/{database.name}?{timeout}&{NOTICING}{_tls(description)}"


def _tls(description: Description) -> str:
    database = description.database
    if not is_over_network(description):
        return ""
    authority = f"&sslrootcert={database.ca}" if database.ca and database.sslmode == "verify-full" else ""
    return f"&sslmode={database.sslmode}{authority}"


def console_dsn(description: Description) -> str:
    """Return what HARDEN_PGBOUNCER_DSN is, with PASSWORD where the password goes; "" without PgBouncer."""
    bouncer = description.pgbouncer
    if not bouncer.enabled:
        return ""
    host, role = database_host(description).partition(",")[0], description.database.role
    tls = "" if host.startswith("/") else _tls(description).replace("&", " ")
    return f"host={host} port={bouncer.port} dbname=pgbouncer user={role} password=PASSWORD{tls}"


def _variables(description: Description) -> list[tuple[str, str]]:
    named = sorted(description.environ.items())
    wrong = next((key for key, _ in named if not VARIABLE.fullmatch(key)), None)
    if wrong is not None:
        raise InputError(f"environment: {wrong[:60]!r} is no name of a variable; what can: {VARIABLE.pattern}")
    return named
