"""`harden install` and `uninstall` on a real host: again and again, interrupted anywhere, beside another app."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.host.env_file import parse

from . import packages
from .host import Host
from .lab import Lab

ROOT = Path(__file__).resolve().parents[2]
KIT = ("deploy", "pgbouncer", "backend", "scripts", "wsgi.py", "setup.cfg", "LICENSE")
HARDEN = ("/usr/bin/python3", "/srv/kit/scripts/launch.py")
SHOP = '[app]\nname = "shop"\ntarget = "wsgi:app"\n[database]\nname = "shop"\nrole = "shop"\n'
APART = """
[app]
name = "shop"
target = "wsgi:app"
[hosts]
app = ["{app}"]
[database]
name = "shop"
role = "shop"
host = "{db}"
"""
BLOG = SHOP.replace("shop", "blog") + '[front]\ndomains = ["blog.example"]\n'
OTHER = "10.77.0.99"
# None of the balancer's hosts is there, which it finds out in a second or two.
UNTIL_503 = """
for i in $(seq 40); do
    [ "$(curl -s -m 10 -o /dev/null -w '%{http_code}' http://127.0.0.1/ || true)" = 503 ] && exit 0
    sleep 0.5
done
exit 1
"""
BALANCED = '[front]\nbalancer = true\nbalancer_from = ["10.77.0.1"]\n'
# As the app logs in: by PgBouncer on its host, to the other one.
LOGIN = """#!/bin/bash -e
. /etc/shop/secrets.env
psql -XAtc "select current_user || ' through PgBouncer'" "$DATABASE_URL"
"""
SEED = 20261122
INTERRUPTIONS = 12
VERBS = (("install", "/root/harden.toml"), ("install", "/root/harden.toml"), ("uninstall", "shop"))
# What an install makes, as one text: files with modes and owners, units, what the server knows.
STATE = """
set +e +o pipefail
find /etc /opt /var/lib/harden /var/www /usr/sbin/policy-rc.d -newer /srv/before \
    ! -path '*/lib/harden/*/audit.jsonl' ! -path '/etc/*-' ! -path '/etc/.pwd.lock' \
    -printf '%p %m %u:%g %y\\n' 2>/dev/null | sort
systemctl list-units --plain --no-legend 'shop-pgb*' nginx.service 'postgresql*' pgbouncer.service \
    | awk '{print $1, $3, $4}' | sort
runuser -u postgres -- psql -XAtc "select rolname, rolconnlimit from pg_roles where rolname ~ 'shop' order by 1" \
    2>/dev/null
cat /etc/postgresql/*/main/pg_hba.conf
"""
# What was there before, and has to be again after the last app.
DEBIAN = "ls -l /etc/nginx/sites-enabled; systemctl cat nginx; cat /etc/postgresql/*/main/pg_hba.conf"


@pytest.fixture
def prepared(host: Callable[[str], Host], lab: Lab) -> Callable[[str], Host]:
    """A function that boots a host with the kit, on which nothing of ours has run."""

    def boot(name: str) -> Host:
        made = host(name)
        packages.offer(made, packages.fetch(lab, ("python3-jinja2",)))
        for part in KIT:
            made.copy(ROOT / part, f"/srv/kit/{part}")
        made.write("/root/harden.toml", SHOP)
        made.shell("touch /srv/before; sleep 1.1")
        return made

    return boot


@pytest.fixture
def bare(prepared: Callable[[str], Host]) -> Host:
    """Such a host."""
    return prepared("bare")


def harden(on: Host, *words: str) -> subprocess.CompletedProcess[str]:
    return on.run(*HARDEN, *words, check=False, timeout=300)


def done(on: Host, *words: str) -> str:
    """Run a verb that has to go well; returns all that it said."""
    ended = harden(on, *words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def refused(on: Host, *words: str) -> str:
    """Run a verb that has to be refused; returns its last line."""
    ended = harden(on, *words)
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr.splitlines()[-1]


def secrets_of(on: Host, path: str = "/etc/shop/secrets.env") -> dict[str, str]:
    return parse(on.read(path))


def status(on: Host, name: str = "localhost") -> str:
    return on.shell(f"curl -s -o /dev/null -w '%{{http_code}}' -H 'Host: {name}' http://127.0.0.1/ || true")


def test_an_install_ends_with_all_but_the_app_and_a_second_one_changes_nothing(bare: Host) -> None:
    before = bare.shell(STATE)
    assert "nothing was changed" in done(bare, "install", "/root/harden.toml", "--dry-run")
    assert bare.shell(STATE) == before
    said = done(bare, "install", "/root/harden.toml")
    after = bare.shell(STATE)
    for line in (
        "/etc/shop/secrets.env 600 root:root f", "/etc/shop/app.env 644 root:root f",
        "/etc/shop/pgbouncer/userlist.txt 640 root:shop-pgbouncer f", "/var/lib/harden/shop 700 root:root d",
        "shop-pgbouncer@1.service active running", "nginx.service active running",
    ):  # fmt: skip
        assert line in after.splitlines()
    assert "policy-rc.d" not in after
    assert status(bare) == "502"
    assert "nothing to do" in done(bare, "install", "/root/harden.toml")
    assert bare.shell(STATE) == after
    _no_secret_is_to_be_seen(bare, said)
    audit = [json.loads(line) for line in bare.read("/var/lib/harden/shop/audit.jsonl").splitlines()]
    assert [(line["verb"], line["result"]) for line in audit] == [("install", "done")]
    _systemd_reads_the_same(bare)
    bare.kill9()
    bare.boot()
    bare.wait_port(80)
    assert "nothing to do" in done(bare, "install", "/root/harden.toml")


def _no_secret_is_to_be_seen(on: Host, said: str) -> None:
    values = secrets_of(on)
    assert len(values) == 5
    password = values["DATABASE_URL"].split(":")[2].split("@")[0]
    hidden = [password, *values.values()]
    on.run("tee", "/root/hidden", input="\n".join(hidden))
    assert not any(value in said for value in hidden)
    journal = on.run("journalctl", "--no-pager", "-o", "cat", timeout=120).stdout
    assert not any(value in journal for value in hidden)
    readable = on.shell(
        "find /etc /opt /var /run /tmp -xdev -type f -perm -o=r -size -1000k "
        "-exec grep -lFf /root/hidden {} + || true"
    )
    shown = [path for path in readable.split() if not _is_hidden(on, path)]
    assert shown == []


def _is_hidden(on: Host, path: str) -> bool:
    """Tell whether a file that everybody may read lies in a folder that nobody may enter."""
    return on.run("runuser", "-u", "nobody", "--", "test", "-r", path, check=False).returncode != 0


def _systemd_reads_the_same(on: Host) -> None:
    command = ("systemd-run", "--wait", "--pipe", "--collect", "-q", "-p", "EnvironmentFile=/etc/shop/secrets.env")
    shown = on.run(*command, "/usr/bin/env", "-0").stdout
    environ = dict(line.split("=", 1) for line in shown.split("\0") if "=" in line)
    values = secrets_of(on)
    assert {name: environ.get(name) for name in values} == values


def test_an_install_that_is_killed_anywhere_is_finished_by_the_next_one(bare: Host) -> None:
    """kill -9 at random moments, then a run to the end: what is there is what a run without a kill leaves."""
    dice = random.Random(SEED)
    for turn in range(INTERRUPTIONS):
        unit, verb = f"turn-{turn}", dice.choice(VERBS)
        bare.run("systemd-run", "-q", "--collect", f"--unit={unit}", *HARDEN, *verb)
        time.sleep(dice.uniform(0.1, 2.5))
        whom = dice.choice(["main", "all"])  # what it has started runs on, or ends with it
        bare.run("systemctl", "kill", "-s", "KILL", f"--kill-whom={whom}", unit, check=False)
        if turn % 4 == 3:
            bare.kill9()
            bare.boot()
        if turn == INTERRUPTIONS // 2:
            done(bare, "install", "/root/harden.toml")
    done(bare, "install", "/root/harden.toml")
    killed = bare.shell(STATE)
    _holds_together(bare)
    assert bare.shell("ls -A /etc/nginx/conf.d /etc/shop /etc/systemd/system | grep '\\.harden$' || true") == ""
    done(bare, "uninstall", "shop")
    done(bare, "install", "/root/harden.toml")
    assert bare.shell(STATE) == killed


def _holds_together(on: Host) -> None:
    # After a boot systemd has tried the app, of which there is no release yet.
    assert status(on) in ("502", "504")
    failed = on.run("systemctl", "--failed", "--no-legend", "--plain").stdout.splitlines()
    assert [line for line in failed if not line.startswith(("shop.service", "shop.socket"))] == []
    stale = on.shell("systemctl show -p NeedDaemonReload --value shop@a.service nginx.service")
    assert stale.split() == ["no", "no"]
    assert on.shell("grep -c 'harden begin' /etc/postgresql/*/main/pg_hba.conf").strip() == "1"
    assert on.run("systemctl", "is-enabled", "pgbouncer", check=False).stdout.strip() == "disabled"
    assert on.run("test", "-e", "/usr/sbin/policy-rc.d", check=False).returncode == 1
    assert "nothing to do" in done(on, "install", "/root/harden.toml")


def test_two_apps_share_a_host_and_leave_it_one_by_one(bare: Host) -> None:
    debian = bare.shell(DEBIAN)
    done(bare, "install", "/root/harden.toml")
    bare.write("/root/blog.toml", BLOG.replace('role = "blog"', 'role = "shop"'))
    assert "database.role" in refused(bare, "install", "/root/blog.toml")
    assert bare.run("test", "-e", "/etc/blog", check=False).returncode == 1
    bare.write("/root/blog.toml", BLOG)
    done(bare, "install", "/root/blog.toml")
    assert "nothing to do" in done(bare, "install", "/root/harden.toml")
    assert [status(bare, name) for name in ("blog.example", "localhost")] == ["502", "502"]
    secrets = bare.read("/etc/shop/secrets.env")
    assert "kept" in done(bare, "uninstall", "shop")
    assert bare.read("/etc/shop/secrets.env") == secrets
    assert status(bare, "blog.example") == "502"
    assert "nothing to do" in done(bare, "install", "/root/blog.toml")
    done(bare, "install", "/root/harden.toml")  # with the secrets that were kept
    assert bare.read("/etc/shop/secrets.env") == secrets
    for name in ("shop", "blog"):
        done(bare, "uninstall", name, "--purge")
        assert "nothing to do" in done(bare, "uninstall", name, "--purge")
    assert bare.shell(DEBIAN) == debian
    assert bare.shell("ls -d /etc/shop /etc/blog /opt/shop /opt/blog 2>/dev/null || true") == ""
    assert bare.shell("systemctl list-units --all --plain --no-legend 'shop*' 'blog*'") == ""
    databases = bare.shell("runuser -u postgres -- psql -XAtc 'select datname from pg_database order by 1'")
    assert {"shop", "blog"} <= set(databases.split())
    assert "with a password that is not known here" in refused(bare, "install", "/root/harden.toml")


def test_what_stands_against_an_install_is_said_before_anything_is_changed(bare: Host) -> None:
    before = bare.shell(STATE)
    for more, reason in {
        '[pgbouncer]\nversion = "1.24.1"\n': "PgBouncer 1.18.0-1",
        '[front]\ncertificate = "/etc/no.crt"\ncertificate_key = "/etc/no.key"\n': "/etc/no.crt cannot be read",
        "[server]\nthreads = 0\n": "threads",
    }.items():
        bare.write("/root/wrong.toml", f"{SHOP}{more}")
        assert reason in refused(bare, "install", "/root/wrong.toml")
    bare.write("/root/given.env", "SECRET_KEY=x\n", mode=0o644)
    assert "mode 0644" in refused(bare, "install", "/root/harden.toml", "--secrets", "/root/given.env")
    assert "watch.scrape_from" in refused(bare, "install", "/root/harden.toml", "--as", "monitoring")
    bare.shell("systemd-run -q --unit=squatter python3 -m http.server 80")
    bare.wait_port(80)
    assert "port 80 is held by python3 (pid " in refused(bare, "install", "/root/harden.toml")
    bare.shell("systemctl stop squatter")
    assert bare.shell(STATE) == before


def test_a_server_that_others_use_is_restarted_when_a_person_has_said_so(bare: Host) -> None:
    bare.shell("systemctl start postgresql; runuser -u postgres -- createdb others")
    assert "serves others too" in refused(bare, "install", "/root/harden.toml")
    assert bare.run("test", "-e", "/etc/shop", check=False).returncode == 1
    assert "restart PostgreSQL, for shared" in done(bare, "install", "/root/harden.toml", "--restart-postgresql")
    assert "nothing to do" in done(bare, "install", "/root/harden.toml")


def test_a_role_whose_password_is_not_known_keeps_it(bare: Host) -> None:
    bare.shell(
        "systemctl start postgresql; runuser -u postgres -- "
        "psql -Xqc \"create role shop login password 'of-before'\""
    )
    assert "a password that is not known here" in refused(bare, "install", "/root/harden.toml")
    bare.write("/root/given.env", "DATABASE_URL=postgresql://shop:of-before@/shop\n", mode=0o600)
    said = done(bare, "install", "/root/harden.toml", "--secrets", "/root/given.env")
    assert "of-before" not in said
    assert secrets_of(bare)["DATABASE_URL"] == "postgresql://shop:of-before@/shop"
    query = "select rolpassword from pg_authid where rolname = 'shop'"
    held = bare.run("runuser", "-u", "postgres", "--", "psql", "-XAtc", query).stdout
    assert held.strip() == secrets_of(bare)["DATABASE_VERIFIER"]


def test_a_balancer_comes_and_goes_as_debian_had_it(bare: Host) -> None:
    debian = bare.read("/etc/haproxy/haproxy.cfg")
    bare.write("/root/harden.toml", APART.format(app=f'10.77.0.98", "{OTHER}', db=OTHER) + BALANCED)
    done(bare, "install", "/root/harden.toml", "--as", "balancer")
    assert "nothing to do" in done(bare, "install", "/root/harden.toml", "--as", "balancer")
    bare.shell(UNTIL_503)
    assert "port 80 is held by haproxy" in refused(bare, "install", "/root/harden.toml", "--as", "app")
    done(bare, "uninstall", "shop", "--purge")
    assert bare.read("/etc/haproxy/haproxy.cfg") == debian
    assert bare.run("systemctl", "is-active", "haproxy").stdout == "active\n"
    bare.shell("systemctl disable --now haproxy; echo '# mine' >>/etc/haproxy/haproxy.cfg")
    assert "somebody's own" in refused(bare, "install", "/root/harden.toml", "--as", "balancer")


def test_the_database_on_a_host_of_its_own_is_reached_with_its_secrets(prepared: Callable[[str], Host]) -> None:
    db, app = prepared("db"), prepared("app")
    for each in (db, app):
        each.write("/root/harden.toml", APART.format(app=app.address, db=db.address))
    assert "the database is on" in refused(app, "install", "/root/harden.toml")
    assert app.run("test", "-e", "/etc/shop", check=False).returncode == 1
    said = done(db, "install", "/root/harden.toml", "--as", "database")
    assert f"install the app's hosts: {app.address}" in said
    assert db.run("test", "-e", "/etc/systemd/system/shop.service", check=False).returncode == 1
    app.write("/root/shop.env", db.read("/etc/shop/secrets.env"), mode=0o600)
    done(app, "install", "/root/harden.toml", "--secrets", "/root/shop.env")
    for each in (db, app):
        kind = ("--as", "database") if each is db else ()
        assert "nothing to do" in done(each, "install", "/root/harden.toml", *kind)
    values = secrets_of(app)
    assert values == secrets_of(db)
    app.write("/root/login.sh", LOGIN, mode=0o700)
    assert app.run("/root/login.sh").stdout == "shop through PgBouncer\n"
    done(db, "uninstall", "shop", "--purge")
    assert "nothing was changed" in done(app, "uninstall", "shop", "--dry-run")
