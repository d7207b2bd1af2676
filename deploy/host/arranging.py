"""What an install does once packages are there: secrets, files, PostgreSQL, units, fronts, in this order.

Each step is told and done only where it is not done yet. Knows the order and no format. If the order is wrong, a
service starts before what it needs, or with its package's own configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from .. import app_files, host_files, unit_files
from ..description_rules import is_over_network
from ..files import File
from ..pgbouncer_process import needs_certificate, needs_lookup_password
from ..unit_network import listens_on_network
from . import (
    bouncer_certificate,
    configuring,
    database,
    durable,
    front,
    monitoring,
    packages,
    putting,
    recovery,
    secrets,
    slots,
)
from .bouncers import wait_until
from .command import is_active, journal_tail, run, systemctl
from .errors import HostError
from .installing import Job

LOGIN = 15.0  # seconds in which a login through PgBouncer must work


def arrange(job: Job) -> None:
    """Make the host what the job says.

    Raises:
        InputError: a value cannot stand in a file.
        HostError: something does not start, or does not fit; the next run goes on.
    """
    if not job.steps.is_dry:
        recovery.recover(job.places, job.say)
    values = _secrets(job)
    files = _files(job, values)
    _debian(job)
    _write(job, files)
    if "database" in job.kinds and not _is_told_only(job, "postgresql"):
        _database(job, values, files["database"])
    if "database" in job.kinds and needs_certificate(job.description):
        bouncer_certificate.bring(job.places, job.description, job.steps)
    _units(job)
    if "database" in job.kinds and not job.steps.is_dry:
        _check_login(job, values)
    _fronts(job)


def _secrets(job: Job) -> Mapping[str, str]:
    """Return the secrets, made or completed where some are missing."""
    path = secrets.path_of(job.description)
    there = secrets.read(path)
    secrets.same_file(path, job.given, there)
    known = {**{name: value for name, value in there.items() if value}, **job.given}
    if not {"app", "database"} & set(job.kinds):
        return known
    _require_from_elsewhere(job, known)
    held = database.held_verifier(job.description) if "database" in job.kinds else ""
    wanted = secrets.completed(job.description, known, held)
    new = [name for name in wanted if wanted[name] != there.get(name)]
    if new:
        text = f"make {path} (0600, root): {', '.join(new)}"
        job.steps(text, lambda: secrets.write(path, job.description, wanted))
    for line in secrets.differing(job.description, wanted):
        job.say(f"note: {line}")
    return wanted


def _require_from_elsewhere(job: Job, known: Mapping[str, str]) -> None:
    """Refuse to invent secrets whose other half is on another host."""
    if "database" in job.kinds:
        return
    host = job.description.database.host
    where = f"the database is on {host}" if is_over_network(job.description) else "this host is not the database's"
    bring = (
        f"harden install --as database there, copy its {secrets.path_of(job.description)} here, and give it with "
        "--secrets FILE"
    )
    if not known.get(secrets.URL):
        raise HostError(f"{where}, and no {secrets.URL} is known; {bring}")
    bouncer = job.description.pgbouncer
    if unit_files.has_bouncer(job.description) and bouncer.auth == "file" and not known.get(secrets.VERIFIER):
        raise HostError(f"{where}, and no {secrets.VERIFIER} (rolpassword in its pg_authid) is known; {bring}")
    if needs_lookup_password(job.description) and not known.get(secrets.LOOKUP_PASSWORD):
        role = f"{job.places.name}-pgbouncer"
        raise HostError(f"{where}, and no {secrets.LOOKUP_PASSWORD} (of the role {role}) is known; {bring}")


def _files(job: Job, values: Mapping[str, str]) -> dict[str, tuple[File, ...]]:
    """Return the files of each kind; the app's are those of the current release, where there is one."""
    verifiers = secrets.verifiers(job.description, values)
    found = {}
    for kind in job.kinds:
        now = slots.current(job.places) if kind == "app" else ""
        if now:
            found[kind] = configuring.of_release(job.places, now)
        else:
            password = values.get(secrets.LOOKUP_PASSWORD, "")
            found[kind] = host_files.files(job.description, job.plan, kind, verifiers, lookup_password=password)
        if kind == "monitoring":
            found[kind] += monitoring.files(job.description, values.get(secrets.TOKEN, ""))
    return found


def _debian(job: Job) -> None:
    """Move Debian's own configuration and services out of the way."""
    steps = job.steps
    if "pgbouncer" in packages.wanted(job.description, job.kinds) and packages.is_in_the_way("pgbouncer.service"):
        steps("stop and disable Debian's own pgbouncer.service", lambda: packages.leave_to_us("pgbouncer.service"))
    for path in front.in_the_way(job.kinds):
        steps(f"move {path} away, as Debian has it", partial(front.move_away, path))
    fronts = front.services(job.description, job.kinds)
    if front.needs_acme(fronts):
        steps(f"make {front.ACME}, for certificates", front.make_acme)
    for name in front.to_stop(fronts):
        steps(f"stop {name}, which runs as root", partial(systemctl, "stop", name))


def _write(job: Job, files: Mapping[str, tuple[File, ...]]) -> None:
    """Write all files, in the order of the kinds, and harden.toml."""
    place = job.places.description
    is_there = place.exists() and place.read_text(encoding="utf-8", errors="replace") == job.text
    if not is_there:
        job.steps(f"write {place}", lambda: _write_description(job))
    for kind, wanted in files.items():
        putting.put(job.places, kind, wanted, job.steps, job.say)
    now = slots.current(job.places)
    if now and "app" in files and not is_there:
        job.say(f"note: the app's files are those of its release {now}; harden release brings the new ones")


def _write_description(job: Job) -> None:
    job.places.etc.mkdir(mode=0o755, parents=True, exist_ok=True)
    durable.replace(job.places.description, job.text)


def _is_told_only(job: Job, package: str) -> bool:
    """Tell whether this is a dry run on a host that lacks a package, so that nothing can be asked."""
    if not job.steps.is_dry or database.answers(job.description):
        return False
    job.steps(f"start {package}, and make roles, rights and database", lambda: None)
    return True


def _database(job: Job, values: Mapping[str, str], files: tuple[File, ...]) -> None:
    description, steps = job.description, job.steps
    if database.lacks_cluster(description):
        steps("make PostgreSQL's cluster main", lambda: database.make_cluster(description))
    database.require_port(description)
    if not database.is_up(description):
        steps("start PostgreSQL, now and at each boot", lambda: database.start(description))
    own = next(file.text for file in files if file.path.endswith("/postgresql/pg_hba.conf"))
    hba = database.wanted_hba(description, own)
    if hba:
        path = database.hba_path(description)
        steps(f"write the app's logins to the top of {path}", lambda: database.write_hba(description, hba))
    waiting = database.pending(description)
    if waiting:
        text = f"restart PostgreSQL, for {', '.join(waiting)}"
        steps(text, lambda: database.restart(description, job.may_restart))
    verifier, lookup = values[secrets.VERIFIER], values.get(secrets.LOOKUP_PASSWORD, "")
    if not database.is_set_up(job.places, description, verifier, lookup):
        of = description.database
        text = f"make role {of.role}, database {of.name} and their rights"
        steps(text, lambda: database.set_up(job.places, description, verifier, lookup))
    if not steps.is_dry:
        database.require_same_verifier(description, verifier)


def _units(job: Job) -> None:
    """Enable and start PgBouncer; enable the app, which starts with its first release."""
    description, name = job.description, job.places.name
    here = "database" if listens_on_network(description) else "app"
    if description.pgbouncer.enabled and here in job.kinds:
        for unit in unit_files.bouncer_units(description):
            _start(job, unit)
    if "app" in job.kinds:
        units = [unit for unit in (f"{name}.socket", f"{name}.service") if not _is_enabled(unit)]
        if units:
            job.steps(f"enable {' and '.join(units)}", lambda: systemctl("enable", *units))


def _fronts(job: Job) -> None:
    fronts = front.services(job.description, job.kinds)
    if fronts and not job.steps.is_dry:
        front.require_readable(job.description, job.kinds)
    for unit in (*fronts, *(("prometheus",) if "monitoring" in job.kinds else ())):
        _start(job, f"{unit}.service")


def _start(job: Job, unit: str) -> None:
    if _is_enabled(unit) and is_active(unit):
        return

    def start() -> None:
        systemctl("enable", unit)
        systemctl("reset-failed", unit, check=False)  # it may have been tried too often with what was wrong
        if systemctl("start", unit, check=False).returncode:
            raise HostError(f"{unit} does not start; see journalctl -u {unit}", journal_tail(unit))

    job.steps(f"enable and start {unit}", start)


def _is_enabled(unit: str) -> bool:
    return systemctl("is-enabled", "--quiet", unit, check=False).returncode == 0


def _check_login(job: Job, values: Mapping[str, str]) -> None:
    """Log in as the app will, through PgBouncer where there is one.

    Raises:
        HostError: it does not work; with the server's own words.
    """
    description, of = job.description, job.description.database
    host = app_files.database_host(description)
    if not host.startswith("/") or "app" not in job.kinds:
        return  # over a network, or through a PgBouncer there: with what only the app's host may do
    port = description.pgbouncer.port if description.pgbouncer.enabled else of.port
    environ = {
        "PGHOST": host, "PGPORT": str(port), "PGUSER": of.role, "PGDATABASE": of.name, "PGCONNECT_TIMEOUT": "5",
        "PGPASSWORD": secrets.password_of(values), "PSQLRC": "/dev/null",
    }  # fmt: skip
    said = ""

    def works() -> bool:
        nonlocal said
        done = run("psql", "-X", "-w", "-q", "-A", "-t", "-c", "SELECT 1", check=False, env=environ)
        said = done.stderr.strip()
        return done.returncode == 0

    if environ["PGPASSWORD"] and not wait_until(works, LOGIN):
        lines = said.splitlines() or ["no reason given"]
        raise HostError(f"the app's role {of.role} cannot log in: {lines[-1]}", lines)


