"""A host that is ready for releases of a small app, and the app in several versions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .host import Host

ROOT = Path(__file__).resolve().parents[2]
KIT = "/srv/kit"
SOURCE = "/srv/app"
WHEELS = "/srv/wheels"
REQUIREMENTS = ("flask>=3.1", "psycopg2-binary>=2.9", "gunicorn>=27", "prometheus-client>=0.20")
TOOLS = ("jinja2>=3.1",)
PYTHON_PATH = "/usr/local/lib/python3.11/dist-packages"
DESCRIPTION = """
[app]
name = "shop"
target = "app:app"
static = "static"
migrate = "python migrate.py"
keep = 3
[hosts]
memory_mb = 1024
[database]
name = "shop"
role = "shop"
[front]
rate = 0
"""
# One that says which version it is, from the database as well, and can be made to fail in all ways.
APP = """
import os
import time
from pathlib import Path
from flask import Flask
import psycopg2

app = Flask(__name__)
VERSION = "{version}"

@app.get("/version")
def version():
    with psycopg2.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from migrations")
        return f"{{VERSION}} {{cursor.fetchone()[0]}}"

@app.get("/slow")
def slow():
    time.sleep(1.5)
    return VERSION
"""
MIGRATE = """
import os
import psycopg2

with psycopg2.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
    cursor.execute("create table if not exists migrations (id serial, how text)")
    cursor.execute("insert into migrations (how) values (%s)", (os.environ["DATABASE_URL"].partition("?")[2],))
print("migrated as", os.getuid())
"""
INSTALL = f"""
import sys
sys.path.insert(0, "{KIT}")
from pathlib import Path
from deploy import load_description
from deploy.host import command, configuring, secrets
from deploy.host.apply import apply
from deploy.host.places import Places

places = Places("shop")
description = load_description.load("{SOURCE}/harden.toml")
place = secrets.path_of(description)
place.parent.mkdir(exist_ok=True)
values = secrets.completed(description, secrets.read(place))
secrets.write(place, description, values)
Path("/etc/nginx/sites-enabled/default").unlink(missing_ok=True)
places.state.mkdir(mode=0o700, parents=True, exist_ok=True)
apply(configuring.rendered(places, description))
verifier = values["DATABASE_VERIFIER"]
sql = f"create role shop login password '{{verifier}}'; create database shop owner shop;"
for each in filter(None, sql.split(";")):
    command.run("runuser", "-u", "postgres", "--", "psql", "-qX", input=each + ";")
"""
SERVICES = """
cd /etc/postgresql/*/main
sed -i '1i local shop shop scram-sha-256' pg_hba.conf
systemctl enable --now postgresql
until pg_isready -q; do sleep 0.2; done
"""
ENABLE = """
systemctl daemon-reload
systemctl enable -q nginx shop.socket shop.service shop-pgbouncer@1
systemctl start shop-pgbouncer@1 shop.socket nginx
"""


def prepare(web: Host, wheels: Callable[..., Path]) -> None:
    """Bring a host with PostgreSQL, PgBouncer and nginx to where a first release can be made."""
    for name in ("deploy", "pgbouncer", "backend", "scripts", "wsgi.py", "setup.cfg", "LICENSE"):
        web.copy(ROOT / name, f"{KIT}/{name}")
    web.copy(wheels(*REQUIREMENTS), WHEELS)
    web.copy(wheels(*TOOLS), "/srv/tools")
    web.shell(f"for each in /srv/tools/*.whl; do python3 -m zipfile -e $each {PYTHON_PATH}; done")
    write_app(web, "1")
    web.shell(SERVICES)
    web.run("python3", "-c", INSTALL)
    web.shell(ENABLE)


def write_app(web: Host, version: str, description: str = DESCRIPTION, app: str = APP) -> None:
    """Put a version of the app where releases are made from."""
    web.write(f"{SOURCE}/app.py", app.format(version=version))
    web.write(f"{SOURCE}/migrate.py", MIGRATE)
    web.write(f"{SOURCE}/requirements.txt", "flask\n")
    web.write(f"{SOURCE}/static/version.txt", version)
    web.write(f"{SOURCE}/harden.toml", description)


def harden(web: Host, *words: str, timeout: float = 180.0) -> tuple[int, str]:
    """Run a verb on the host; returns its exit code and all that it said."""
    done = web.run("python3", f"{KIT}/scripts/launch.py", *words, check=False, timeout=timeout)
    return done.returncode, done.stdout + done.stderr


def release(web: Host, *words: str) -> tuple[int, str]:
    """Make a release of what `write_app` has written."""
    return harden(web, "release", SOURCE, "--wheels", WHEELS, "--gate-seconds", "20", *words)
