"""PgBouncer where a network is between: beside the database, and on the app's host with verifiers looked up afar.

Two hosts each, installed and released by the kit's verbs; who may log in is tried with psql from the app's host.
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
LOGIN = """#!/bin/bash
. /etc/shop/secrets.env
export PGCONNECT_TIMEOUT=10
url=${DATABASE_URL}
[ "$1" = wrong ] && url=$(sed -E 's#//shop:[^@]*@#//shop:guess@#' <<<"$url")
[ -n "$2" ] && url=$(sed -E "$2" <<<"$url")
psql -XAtc "select current_user || ' of ' || coalesce(host(inet_client_addr()), 'socket')" "$url" 2>&1
"""
RENEWED = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=renewed \\
    -addext subjectAltName=IP:{address} -keyout /etc/ssl/db.key -out /etc/ssl/db.crt 2>/dev/null
chmod 0600 /etc/ssl/db.key
"""
CONSOLE = """. /etc/shop/secrets.env
psql -XAtc 'show pools' "$HARDEN_PGBOUNCER_DSN" | grep -c '^shop|shop|'
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
    app.host.write("/root/login.sh", LOGIN, mode=0o700)


def login(app: Service, how: str = "right", edit: str = "") -> str:
    return app.host.run("/root/login.sh", how, edit, check=False).stdout.strip()


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
    app, db = pair(empty_host, app_wheels, 'sslmode = "require"\n', 'auth = "query"\n')
    db.must(*deployed.INSTALL, "--as", "database")
    secrets = leaks.secrets_of(db.host, SECRETS)
    assert "PGBOUNCER_LOOKUP_PASSWORD" in secrets
    with leaks.watched(db.host, secrets) as seen:
        install(app, db)
        app.must(*deployed.RELEASE)
        db.must(*deployed.INSTALL, "--as", "database")
    assert seen.found == []
    assert login(app) == f"shop of {app.host.address}"
    assert "authentication failed" in login(app, "wrong")
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
    app.host.shell("systemctl restart shop-pgbouncer@1")
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
    assert app.host.shell(CONSOLE).strip() == "1"
    assert_tidy(app, db)
    assert db.host.run("ss", "-Hltn", "sport = 5432").stdout.count(db.host.address) == 0
    _a_renewal_is_one_more_install(app, db, sure)
    describe((app, db), f'sslmode = "verify-full"\nca = "{CA}"\n', 'place = "database"\nauth = "query"\n')
    db.must(*deployed.INSTALL, "--as", "database")
    assert login(app) == "shop of socket"
    assert "authentication failed" in login(app, "wrong")


def _only_who_may(app: Service, db: Service) -> None:
    assert login(app) == "shop of socket"
    assert "authentication failed" in login(app, "wrong")
    assert "SSL required" in login(app, "right", "s#sslmode=[a-z-]+#sslmode=disable#")
    other = "s#sslrootcert=[^&]*#sslrootcert=/etc/ssl/certs/ca-certificates.crt#"
    assert "certificate verify failed" in login(app, "right", other)
    assert "does not match host" in login(app, "right", f"s#@{db.host.address}#@db#")
    assert "Connection refused" in login(app, "right", "s#:6432/#:5432/#")


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
