"""systemd's files of a service: units, sockets, users, folders, the journal's limits, and others' units hardened.

Knows directives and where files lie; sizes are the plan's, addresses `unit_network`'s. If this is wrong, the
service does not start, loses requests when releases change, or can be left by whoever takes it over.
"""

from __future__ import annotations

from .description import Description
from .description_rules import is_over_network
from .files import File
from .plan import Plan
from .unit_network import app_reach, bouncer_reach, listens_on_network
from .unit_templates import fill

UNITS = "/etc/systemd/system"
DAEMON_RELOAD = "systemctl daemon-reload"
START_SECONDS = 60  # for an import of the app, on a machine that has just booted
MEMORY_SHARE = 0.45  # of a host's memory for one instance; two are alive during a release
FEWEST_MB = 128
THREADS_BESIDE = 16  # of a worker: housekeeping of the kit, and what the app starts
TASKS_BESIDE = 64  # of an instance: master, migrations by hand, programs that the app runs
ROLLING_FROM = (1, 23)  # PgBouncer's SIGTERM waits for clients from then on


def files(description: Description, plan: Plan, kit: str = "app") -> tuple[File, ...]:
    """Return the files of an app host.

    Args:
        description: the service.
        plan: its sizes.
        kit: the folder of a release that has the kit's `deploy/gunicorn.conf.py`, `backend/` and `wsgi.py`.

    Raises:
        InputError: a value cannot stand in a unit.
    """
    bouncer = has_bouncer(description)
    return (
        *_app_units(description, plan, kit),
        *(_bouncer_units(description, plan) if bouncer else ()),
        *_folders(description, ("app", *(("bouncer",) if bouncer else ()))),
        *(_nginx() if description.front.kind == "nginx" else ()),
        journal(),
    )


def database_files(description: Description, plan: Plan) -> tuple[File, ...]:
    """Return the files of PostgreSQL's host where that is another machine: its unit, and PgBouncer's beside it."""
    beside = listens_on_network(description)
    return (
        postgresql(description),
        *((*_bouncer_units(description, plan), *_folders(description, ("bouncer",))) if beside else ()),
        journal(),
    )


def balancer_files() -> tuple[File, ...]:
    """Return the files of the balancer's host."""
    return _unit("haproxy.service.d/harden.conf", fill("haproxy.service.conf.j2")), journal()


def postgresql(description: Description) -> File:
    """Return the drop-in of PostgreSQL's unit; it takes effect at PostgreSQL's next restart."""
    version = description.database.version
    text = fill("postgresql.service.conf.j2", version=version)
    return _unit(f"postgresql@{version}-main.service.d/harden.conf", text)


def journal() -> File:
    """Return the journal's limits, the same for every app on a host."""
    return File(
        "/etc/systemd/journald.conf.d/harden.conf", fill("journald.conf.j2"),
        reload="systemctl restart systemd-journald",
    )  # fmt: skip


def has_bouncer(description: Description) -> bool:
    """Tell whether PgBouncer runs on the app's hosts."""
    return description.pgbouncer.enabled and not listens_on_network(description)


def bouncer_units(description: Description) -> tuple[str, ...]:
    """Return the names of PgBouncer's units on a host, to be enabled and started there."""
    name = description.app.name
    return tuple(f"{name}-pgbouncer@{number}.service" for number in range(1, description.pgbouncer.processes + 1))


def secrets_path(description: Description) -> str:
    """Return the file with the app's secrets."""
    return description.app.secrets or f"/etc/{description.app.name}/secrets.env"


def _unit(path: str, text: str) -> File:
    return File(f"{UNITS}/{path}", text, reload=DAEMON_RELOAD)


def _app_units(description: Description, plan: Plan, kit: str) -> tuple[File, ...]:
    name = description.app.name
    common = {"name": name, "start": START_SECONDS, "stop": plan.stop}
    return (
        _unit(f"{name}.socket", fill("app.socket.j2", name=name)),
        _unit(f"{name}-health@.socket", fill("app-health.socket.j2", name=name)),
        _unit(f"{name}.service", fill("app.service.j2", after=_after(description), **common)),
        _unit(f"{name}@.service", _gunicorn("instance.service.j2", description, plan, kit, common)),
        _unit(f"{name}-candidate@.socket", fill("candidate.socket.j2", name=name)),
        _unit(f"{name}-candidate@.service", _gunicorn("candidate.service.j2", description, plan, kit, common)),
    )


def _gunicorn(
    template: str, description: Description, plan: Plan, kit: str, common: dict[str, object]
) -> str:
    memory_mb = max(int(description.hosts.memory_mb * MEMORY_SHARE), FEWEST_MB)
    return fill(
        template,
        **common,
        after=_after(description),
        bouncers=bouncer_units(description) if has_bouncer(description) else (),
        secrets=secrets_path(description),
        kit=kit,
        worker_class=description.server.worker_class,
        timeout=description.timeouts.worker,
        graceful=plan.graceful,
        max_requests=description.server.max_requests,
        memory_mb=memory_mb,
        memory_high_mb=memory_mb * 9 // 10,
        tasks=plan.workers * (plan.threads + THREADS_BESIDE) + TASKS_BESIDE,
        reach=app_reach(description),
    )


def _after(description: Description) -> tuple[str, ...]:
    """Return what the app starts after, and so stops before, beside its own sockets."""
    needed = bouncer_units(description) if has_bouncer(description) else _server_units(description)
    network = () if app_reach(description).kind == "none" else ("network-online.target",)
    return (*needed, *network)


def _server_units(description: Description) -> tuple[str, ...]:
    return () if is_over_network(description) else ("postgresql.service",)


def _bouncer_units(description: Description, plan: Plan) -> tuple[File, ...]:
    reach = bouncer_reach(description)
    server = ("postgresql.service",) if listens_on_network(description) else _server_units(description)
    after = (*server, *(() if reach.kind == "none" else ("network-online.target",)))
    text = fill(
        "bouncer.service.j2",
        name=description.app.name,
        processes=description.pgbouncer.processes,
        spares=plan.spares,
        after=after,
        signal=stop_signal(description),
        stop=description.timeouts.statement + 10,
        open_files=plan.open_files,
        memory_mb=128 + plan.max_client_conn // 10,  # a client has about 20 kB, with TLS three times that
        reach=reach,
    )
    return (_unit(f"{description.app.name}-pgbouncer@.service", text),)


def stop_signal(description: Description) -> str:
    """Return what PgBouncer is stopped with: such that others of its port take over, where there are any."""
    bouncer = description.pgbouncer
    version = tuple(map(int, bouncer.version.split(".")))
    shares_port = bouncer.processes > 1 and listens_on_network(description)
    return "SIGTERM" if shares_port and version >= ROLLING_FROM else "SIGINT"


def _folders(description: Description, parts: tuple[str, ...]) -> tuple[File, ...]:
    """Return users and folders of what a host has: "app", "bouncer"."""
    name = description.app.name
    users, folders = (fill(f"{kind}.conf.j2", name=name, parts=parts) for kind in ("sysusers", "tmpfiles"))
    return (
        File(f"/etc/sysusers.d/{name}.conf", users, reload=f"systemd-sysusers {name}.conf"),
        File(f"/etc/tmpfiles.d/{name}.conf", folders, reload=f"systemd-tmpfiles --create {name}.conf"),
    )


def _nginx() -> tuple[File, ...]:
    return (
        File("/etc/nginx/harden.conf", fill("nginx-main.conf.j2"), reload="systemctl reload nginx"),
        _unit("nginx.service.d/harden.conf", fill("nginx.service.conf.j2")),
    )
