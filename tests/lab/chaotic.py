"""The shop on two hosts as a place for chaos, and the faults that only hosts have: cables, power, units."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import adapt

from scripts.chaos import held
from scripts.chaos.faults import Fault, Heal, nothing

from .deployed import NAME, Service

POSTGRES = "postgresql@15-main.service"
PGBOUNCER = f"{NAME}-pgbouncer@1.service"
INI = f"/etc/{NAME}/pgbouncer/pgbouncer-1.ini"
CAP = re.compile(r"\bmax_db_connections ?= ?(\d+)")
ROLE = DATABASE = NAME
CUSTOMERS, EACH = 20, 3
SEED = f"""
INSERT INTO customers (id, name, email)
    SELECT n, 'Customer ' || n, 'customer' || n || '@example.com' FROM generate_series(101, 100 + {CUSTOMERS}) n;
INSERT INTO vehicles (id, customer_id, plate, make, model, year)
    SELECT n, n, 'L-C ' || n, 'Make', 'Model', 2020 FROM generate_series(101, 100 + {CUSTOMERS}) n;
INSERT INTO appointments (customer_id, vehicle_id, starts_at)
    SELECT n, n, timestamptz '2026-01-01' + day * interval '1 day'
    FROM generate_series(101, 100 + {CUSTOMERS}) n, generate_series(1, {EACH}) day
"""


@dataclass(frozen=True)
class Hosts:
    """A `Place`: people come by the app's nginx, the books are looked up on the database's host.

    Attributes:
        most: connections of the app that were planned at the database.
    """

    app: Service
    database: Service
    appointments: dict[int, int]
    most: int
    key: str = ""

    @property
    def address(self) -> tuple[str, int]:
        """Where nginx answers."""
        return (self.app.host.address, 80)

    def rows(self, statement: str, values: Any = None) -> list[Any]:
        """Ask the database on its own host; whole numbers alone come back."""
        return ask(self.database, statement % quoted(values) if values else statement)

    def held(self) -> list[str]:
        """Return what the app still holds at the database."""
        return held.sessions(self, DATABASE, ROLE, self.most)

    @property
    def slot(self) -> str:
        """The unit that serves."""
        return f"{NAME}@{self.app.active()[0]}.service"


def place(app: Service, database: Service) -> Hosts:
    """Give the shop customers, and return it as a place."""
    ask(database, SEED)
    appointments = dict(ask(database, "SELECT id, customer_id FROM appointments WHERE customer_id > 100"))
    caps = CAP.findall(app.host.read(INI))  # one for all entries, and one for each that has its own
    return Hosts(app, database, appointments, sum(map(int, caps)))


def ask(database: Service, statement: str) -> list[Any]:
    """Return the rows of a statement, asked by the superuser on the host itself."""
    psql = ("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-F,", DATABASE, "-c", statement)
    told = database.host.run("runuser", "-u", "postgres", "--", *psql).stdout
    return [tuple(int(value) for value in line.split(",")) for line in told.splitlines()]


def quoted(values: Any) -> tuple[str, ...]:
    """Return values as literals of SQL."""
    return tuple(adapt(value).getquoted().decode() for value in values)


def _kill(service: Service, unit: str) -> None:
    service.host.run("systemctl", "kill", "--signal=KILL", unit)


def cut_cable(hosts: Hosts, _: random.Random) -> Heal:
    """Let every packet of the database's host vanish."""
    hosts.database.host.cut()
    return hosts.database.host.heal


def cut_power(hosts: Hosts, _: random.Random) -> Heal:
    """Cut the power of the database's host; it boots, and PostgreSQL recovers from its log."""
    hosts.database.host.kill9()
    return lambda: _boot(hosts.database)


def freeze_database(hosts: Hosts, _: random.Random) -> Heal:
    """Stall the whole machine."""
    hosts.database.host.freeze()
    return hosts.database.host.thaw


def kill_postgres(hosts: Hosts, _: random.Random) -> Heal:
    """Kill the postmaster and every backend; nobody starts it by hand unless systemd does not."""
    _kill(hosts.database, POSTGRES)
    return lambda: _start(hosts.database, POSTGRES)


def kill_pgbouncer(hosts: Hosts, _: random.Random) -> Heal:
    """Kill PgBouncer; systemd starts it again."""
    _kill(hosts.app, PGBOUNCER)
    return nothing


def kill_service(hosts: Hosts, _: random.Random) -> Heal:
    """Kill Gunicorn's master and workers at once, as the kernel does when memory ends; systemd starts it again."""
    _kill(hosts.app, hosts.slot)
    return nothing


def kill_nginx(hosts: Hosts, _: random.Random) -> Heal:
    """Kill the front."""
    _kill(hosts.app, "nginx.service")
    return lambda: _start(hosts.app, "nginx.service")


def reload_service(hosts: Hosts, _: random.Random) -> Heal:
    """Replace the workers in order, by systemd."""
    hosts.app.host.run("systemctl", "reload", hosts.slot)
    return nothing


def cut_power_of_app(hosts: Hosts, _: random.Random) -> Heal:
    """Cut the power of the app's host, with its PgBouncer and its nginx."""
    hosts.app.host.kill9()
    return lambda: _boot(hosts.app)


def freeze_app(hosts: Hosts, _: random.Random) -> Heal:
    """Stall the app's machine."""
    hosts.app.host.freeze()
    return hosts.app.host.thaw


def _boot(service: Service) -> None:
    service.host.boot()


def _start(service: Service, unit: str) -> None:
    service.host.run("systemctl", "start", unit)


FAULTS = (
    Fault("cut-cable", "postgres", "the database's host cannot be reached, in silence", 3.0, cut_cable),
    Fault("cut-power", "postgres", "the database's host loses power and boots", 1.0, cut_power),
    Fault("freeze-database", "postgres", "the database's host stalls for three seconds", 3.0, freeze_database),
    Fault("kill-postgres", "postgres", "PostgreSQL is killed whole", 0.5, kill_postgres),
    Fault("kill-pgbouncer", "pgbouncer", "PgBouncer is killed, systemd starts it", 0.5, kill_pgbouncer),
    Fault("kill-service", "app", "Gunicorn is killed whole, systemd starts it", 0.5, kill_service),
    Fault("kill-nginx", "app", "nginx is killed", 0.5, kill_nginx),
    Fault("reload-service", "app", "systemctl reload replaces the workers", 2.0, reload_service),
    Fault("cut-power-of-app", "app", "the app's host loses power and boots", 1.0, cut_power_of_app),
    Fault("freeze-app", "app", "the app's host stalls for two seconds", 2.0, freeze_app),
)
