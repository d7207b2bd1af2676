"""PgBouncer where a network is between: beside the database, and on the app's host with verifiers looked up afar.

Two hosts each, installed and released by the kit's verbs; who may log in is tried from the app's host.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from . import deployed, leaks
from .deployed import DESCRIPTION, NAME, SECRETS, Service
from .host import Host

CA = "/etc/ssl/shop-db.crt"
CERTIFICATE = "/etc/shop/pgbouncer/server.crt"
# With what the app's own process has: its release's psycopg2, its variables.
ASK = """#!/bin/bash
set -a; . /etc/shop/secrets.env
exec /opt/shop/current/venv/bin/python /root/ask.py "$@" 2>&1
"""
ASK_PY = """import os, re, sys, psycopg2
question, old, new = (*sys.argv[1:], "", "", "")[:3]
name = "HARDEN_PGBOUNCER_DSN" if question.startswith("show") else "DATABASE_URL"
try:
    connection = psycopg2.connect(re.sub(old, new, os.environ[name], count=1) if old else os.environ[name])
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(question)
    print(cursor.fetchone()[0])
except psycopg2.Error as error:
    sys.exit(str(error))
"""
WRONG = ("//shop:[^@]*@", "//shop:guess@")
WHO = "select current_user || ' of ' || coalesce(host(inet_client_addr()), 'socket')"
RENEWED = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=renewed \\
    -addext subjectAltName=IP:{address} -keyout /etc/ssl/db.key -out /etc/ssl/db.crt 2>/dev/null
chmod 0600 /etc/ssl/db.key
"""


# PostgreSQL's own, which is its owner's business: the kit does not touch it.
OF_POSTGRESQL = """
cd /etc/postgresql/15
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=db \\
    -addext subjectAltName=IP:{address} -keyout db.key -out db.crt 2>/dev/null
chown postgres: db.key; chmod 0600 db.key
cat >/etc/postgresql/15/main/conf.d/90-local.conf <<END
ssl_cert_file = '/etc/postgresql/15/db.crt'
ssl_key_file = '/etc/postgresql/15/db.key'
END
systemctl reload postgresql@15-main
"""


def pair(boot: Callable[[str], Host], wheels: Path, database: str, bouncer: str) -> tuple[Service, Service]:
    """Return the app's host and its database's, with the kit and a harden.toml, nothing installed."""
    hosts = [boot(name) for name in ("app", "db")]
    app, db = (deployed.prepare(host, wheels) for host in hosts)
    describe((app, db), database, bouncer)
    return app, db


def describe(services: tuple[Service, Service], database: str, bouncer: str) -> None:
    app, db = services
    for service in services:
        service.describe(
            hosts=f'app = ["{app.host.address}"]\n',
            database=f'host = "{db.host.address}"\n{database}', front=f"[pgbouncer]\n{bouncer}",
        )  # fmt: skip


def install(app: Service, db: Service) -> None:
    """Install the app's host with the database's secrets, which go there as a person would bring them."""
    app.host.write("/root/given.env", db.host.read(SECRETS), mode=0o600)
    app.must("install", DESCRIPTION, "--secrets", "/root/given.env")
    app.host.run("rm", "/root/given.env")
    app.host.write("/root/ask.sh", ASK, mode=0o700)
    app.host.write("/root/ask.py", ASK_PY)


def login(app: Service, old: str = "", new: str = "") -> str:
    """Return who the app's role is to PostgreSQL, or why it is refused.

    Args:
        app: the host it logs in from.
        old: a pattern of what is replaced in DATABASE_URL; "" for nothing.
        new: by what.
    """
    return app.host.run("/root/ask.sh", WHO, old, new, check=False).stdout.strip()


def assert_tidy(app: Service, db: Service) -> None:
    """Assert that nothing is left to do, `check` finds nothing, and nobody can read a secret."""
    for service, kind in ((app, ()), (db, ("--as", "database"))):
        assert "nothing to do" in service.must(*deployed.INSTALL, *kind).stdout + service.said[-1]
        found = service.harden("check", DESCRIPTION, *kind, "--json", "--accept", "pgbouncer-holes")
        checks = json.loads(found.stdout)["checks"]
        assert {each["name"]: each["findings"] for each in checks if each["findings"]} == {}
        secrets = leaks.secrets_of(service.host, SECRETS)
        assert leaks.find(service.host, secrets, logs=("/var/log",)) == []
        assert leaks.in_text("".join(service.said), secrets) == []
    assert app.disorder() == [], app.why()
    assert app.ask("/marks") != ""


def test_verifiers_are_looked_up_in_a_database_on_another_host(
    empty_host: Callable[[str], Host], app_wheels: Path
) -> None:
    sure = f'sslmode = "verify-full"\nca = "{CA}"\n'
    app, db = pair(empty_host, app_wheels, sure, 'auth = "query"\n')
    db.must(*deployed.INSTALL, "--as", "database")
    db.host.shell(OF_POSTGRESQL.format(address=db.host.address))
    app.host.write(CA, db.host.read("/etc/postgresql/15/db.crt"))
    secrets = leaks.secrets_of(db.host, SECRETS)
    assert "PGBOUNCER_LOOKUP_PASSWORD" in secrets
    with leaks.watched(db.host, secrets) as seen:
        install(app, db)
        app.must(*deployed.RELEASE)
        db.must(*deployed.INSTALL, "--as", "database")
    assert seen.found == []
    assert login(app) == f"shop of {app.host.address}"
    assert "authentication failed" in login(app, *WRONG)
    assert_tidy(app, db)
    userlist = app.host.read("/etc/shop/pgbouncer/userlist.txt")
    assert userlist == f'"{NAME}-pgbouncer" "{secrets["PGBOUNCER_LOOKUP_PASSWORD"]}"\n'
    assert _mode(app, "/etc/shop/pgbouncer/userlist.txt") == "640 root:shop-pgbouncer"
    _another_lookup_password(app, db)


def _another_lookup_password(app: Service, db: Service) -> None:
    """A new one is what the line's removal makes; the database takes it first, then the app's host."""
    for service in (db, app):
        service.host.shell(f"sed -i '/^PGBOUNCER_LOOKUP_PASSWORD=/d' {SECRETS}")
    db.must(*deployed.INSTALL, "--as", "database")
    install(app, db)
    app.must("restart", "pgbouncer")
    assert login(app) == f"shop of {app.host.address}"
    assert_tidy(app, db)


def test_pgbouncer_beside_the_database_is_reached_by_tls_that_clients_can_be_sure_of(
    empty_host: Callable[[str], Host], app_wheels: Path
) -> None:
    sure = f'sslmode = "verify-full"\nca = "{CA}"\n'
    app, db = pair(empty_host, app_wheels, sure, 'place = "database"\n')
    db.must(*deployed.INSTALL, "--as", "database")
    assert _mode(db, "/etc/shop/pgbouncer/server.key") == "640 root:shop-pgbouncer"
    refused = app.harden("install", DESCRIPTION)
    assert (refused.returncode, "database.ca is" in refused.stderr) == (2, True)
    app.host.write(CA, db.host.read(CERTIFICATE))
    secrets = leaks.secrets_of(db.host, SECRETS)
    with leaks.watched(app.host, secrets) as seen:
        install(app, db)
        app.must(*deployed.RELEASE)
    assert seen.found == []
    _only_who_may(app, db)
    assert app.host.run("/root/ask.sh", "show pools").stdout.strip() == "pgbouncer"
    assert_tidy(app, db)
    assert db.host.run("ss", "-Hltn", "sport = 5432").stdout.count(db.host.address) == 0
    _a_renewal_is_one_more_install(app, db, sure)
    describe((app, db), f'sslmode = "verify-full"\nca = "{CA}"\n', 'place = "database"\nauth = "query"\n')
    db.must(*deployed.INSTALL, "--as", "database")
    assert login(app) == "shop of socket"
    assert "authentication failed" in login(app, *WRONG)


def _only_who_may(app: Service, db: Service) -> None:
    assert login(app) == "shop of socket"
    assert "authentication failed" in login(app, *WRONG)
    assert "SSL required" in login(app, "sslmode=[a-z-]+", "sslmode=disable")
    assert "certificate verify failed" in login(app, CA, "/etc/ssl/certs/ca-certificates.crt")
    assert "does not match host" in login(app, f"@{db.host.address}", "@db")
    assert "Connection refused" in login(app, ":6432/", ":5432/")


def _a_renewal_is_one_more_install(app: Service, db: Service, sure: str) -> None:
    named = 'place = "database"\ncertificate = "/etc/ssl/db.crt"\ncertificate_key = "/etc/ssl/db.key"\n'
    describe((app, db), sure, named)
    assert "cannot be read" in db.harden(*deployed.INSTALL, "--as", "database").stderr
    for _ in range(2):
        db.host.shell(RENEWED.format(address=db.host.address))
        said = db.must(*deployed.INSTALL, "--as", "database")
        assert "copy PgBouncer's certificate" in said.stdout + said.stderr
        assert db.host.read(CERTIFICATE) == db.host.read("/etc/ssl/db.crt")
        assert "certificate verify failed" in login(app)
        app.host.write(CA, db.host.read("/etc/ssl/db.crt"))
        assert login(app) == "shop of socket"
    assert _mode(db, "/etc/shop/pgbouncer/server.key") == "640 root:shop-pgbouncer"
    said = db.must(*deployed.INSTALL, "--as", "database")
    assert "nothing to do" in said.stdout + said.stderr


def _mode(service: Service, path: str) -> str:
    found: subprocess.CompletedProcess[str] = service.host.run("stat", "-c", "%a %U:%G", path)
    return found.stdout.strip()
