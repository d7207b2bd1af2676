"""A host that serves the shop from rendered files, with one release in place: nothing of `install` or `release`.

For tests of what happens to a host that serves: restarts, reloads, ends of processes. The verbs run there as they
do on a person's host, by the Python of the release.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from deploy.host.source import KIT

from .host import Host

ROOT = Path(__file__).resolve().parents[2]
NAME = "shop"
ID = "20260101T000000Z-00000000"
RELEASE = f"/opt/{NAME}/releases/{ID}"
PYTHON = f"{RELEASE}/venv/bin/python"
REQUIREMENTS = ("flask>=3.1", "psycopg2-binary>=2.9", "gunicorn>=27", "prometheus-client>=0.20")
PASSWORD = "word"
VERSIONS = {"bookworm": ("1.18.0", 15), "trixie": ("1.24.1", 17)}  # of PgBouncer and PostgreSQL, by Debian's name
DESCRIPTION = """
[app]
name = "shop"
target = "app:app"
[server]
threads = 4
max_requests = {max_requests}
[database]
name = "shop"
role = "shop"
version = {postgres}
[pgbouncer]
version = "{pgbouncer}"
processes = {processes}
[front]
rate = 0
"""
# Beside the shop's own pages, which are short: one that is in the middle of a transaction for a while.
APP = """
import os
from backend.database_helper import get_db_connection
from backend.shop import create_app

app = create_app()

@app.route("/held/<float:seconds>", methods=["GET", "POST"])
def held(seconds):
    with get_db_connection() as conn, conn.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.execute("SELECT pg_sleep(%s)", (seconds,))
        conn.commit()
    return "held"

@app.get("/process")
def process():
    return str(os.getpid())
"""
APPLY = f"""
import sys
sys.path.insert(0, "{RELEASE}/kit")
from pathlib import Path
from deploy import app_files, host_files, load_description
from deploy.host import tree
from deploy.host.apply import apply
from deploy.plan import plan
from deploy.scram import make_verifier
description = load_description.load(Path("/etc/{NAME}/harden.toml"))
verifier = make_verifier("{PASSWORD}")
sized = plan(description)
kinds = [host_files.files(description, sized, kind, {{"{NAME}": verifier}}) for kind in ("app", "database")]
tree.save(Path("{RELEASE}/etc"), kinds[0])
Path("/etc/{NAME}/verifier").write_text(verifier)
url = app_files.database_url(description).replace("PASSWORD", "{PASSWORD}")
values = {{"DATABASE_URL": url, "SECRET_KEY": "{"k" * 48}", "DATABASE_VERIFIER": verifier}}
lines = [f"{{name}}='{{value}}'\\n" for name, value in values.items()]
Path("/etc/{NAME}/secrets.env").write_text("".join(lines))
apply(tuple({{file.path: file for files in kinds for file in files}}.values()))
"""
SEED = f"""
import sys
sys.path.insert(0, "{RELEASE}/kit")
from scripts.demo.seed import create_schema, seed
dsn = "host=/run/postgresql dbname={NAME} user={NAME} password={PASSWORD}"
create_schema(dsn)
seed(dsn, "small", 20)
"""
START = f"""
install -d -m 755 /opt/{NAME}/releases
install -d -m 700 /var/lib/harden/{NAME}
cp /etc/{NAME}/harden.toml {RELEASE}/harden.toml
ln -sfn releases/{ID} /opt/{NAME}/current
ln -sfn releases/{ID} /opt/{NAME}/a
chmod 600 /etc/{NAME}/secrets.env /etc/{NAME}/verifier
chown postgres /etc/{NAME}/verifier
cd /etc/postgresql/*/main
cat /etc/{NAME}/postgresql/pg_hba.conf pg_hba.conf >hba && cat hba >pg_hba.conf && rm hba
rm -f /etc/nginx/sites-enabled/default
systemctl daemon-reload
systemctl enable --now postgresql
until runuser -u postgres -- psql -qXc 'select 1' >/dev/null 2>&1; do sleep 0.2; done
cd /etc/{NAME}
runuser -u postgres -- psql -qX -d postgres -v verifier_file=/etc/{NAME}/verifier -f postgresql/roles.sql
{PYTHON} - <<'END'
{SEED}
END
systemctl enable --now {NAME}-pgbouncer@{{1..PROCESSES}} {NAME}.socket
systemctl enable --now {NAME}.service nginx
"""


def serve(host: Host, wheels: Callable[..., Path], processes: int = 1, max_requests: int = 20_000) -> Host:
    """Put everything on a fresh host and start it; returns the host, which serves on port 80.

    Args:
        host: booted, from the lab's usual base.
        wheels: the fixture.
        processes: of PgBouncer.
        max_requests: until a worker is replaced.
    """
    give_kit(host)
    host.write(f"{RELEASE}/app/app.py", APP)
    host.write(f"{RELEASE}/release.json", "{}")
    pgbouncer, postgres = VERSIONS[host.lab.recipe.suite]
    description = DESCRIPTION.format(
        processes=processes, max_requests=max_requests, pgbouncer=pgbouncer, postgres=postgres
    )
    host.write(f"/etc/{NAME}/harden.toml", description)
    host.copy(wheels(*REQUIREMENTS), f"{RELEASE}/wheels")
    host.shell(
        f"python3 -m venv {RELEASE}/venv && {RELEASE}/venv/bin/pip install -q --no-index "
        f"--find-links {RELEASE}/wheels flask psycopg2-binary gunicorn prometheus-client", timeout=180,
    )  # fmt: skip
    host.run(PYTHON, "-", input=APPLY)
    host.shell(START.replace("{1..PROCESSES}", "{1..%d}" % processes), timeout=180)  # noqa: UP031
    host.wait_port(80)
    return host


def give_kit(host: Host) -> None:
    """Copy the kit as it is in this working tree."""
    for name in KIT:
        host.copy(ROOT / name, f"{RELEASE}/kit/{name}")


def harden(host: Host, *words: str, timeout: float = 240.0) -> subprocess.CompletedProcess[str]:
    """Run a verb on the host, and return how it ended."""
    return host.run(*verb(*words), check=False, timeout=timeout)


def verb(*words: str) -> tuple[str, ...]:
    """Return the command that runs a verb there."""
    return PYTHON, f"{RELEASE}/kit/scripts/launch.py", *words
