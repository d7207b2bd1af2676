"""`harden check` and `harden diff` on a real host: clean after an install, and each fault is found."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import deployed, packages
from .host import Host
from .lab import Lab

ROOT = Path(__file__).resolve().parents[2]
KIT = ("deploy", "pgbouncer", "backend", "scripts", "wsgi.py", "setup.cfg", "LICENSE")
HARDEN = ("/usr/bin/python3", "/srv/kit/scripts/launch.py")
TOML = "/etc/shop/harden.toml"
SHOP = """[app]
name = "shop"
target = "wsgi:app"
[database]
name = "shop"
role = "shop"
[front]
domains = ["shop.example"]
certificate = "/etc/ssl/shop/site.crt"
certificate_key = "/etc/ssl/shop/site.key"
"""
CERTIFICATE = """
mkdir -p /etc/ssl/shop
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=shop.example \
    -keyout /etc/ssl/shop/site.key -out /etc/ssl/shop/site.crt 2>/dev/null
chown root:www-data /etc/ssl/shop/site.key; chmod 0640 /etc/ssl/shop/site.key
"""
# A fault, the check that finds it, and a piece of what it says.
FAULTS = [
    ("chmod 0644 /etc/shop/secrets.env", "modes", "/etc/shop/secrets.env has mode 0644"),
    ("chown shop /etc/shop/app.env", "modes", "/etc/shop/app.env is shop:root's"),
    ("chmod 0644 /etc/shop/pgbouncer/userlist.txt", "modes", "userlist.txt has mode 0644"),
    ("echo 'ALTER ROLE shop PASSWORD $$other$$' | runuser -u postgres -- psql -X", "verifiers", "another salt"),
    ("sed -i 's#//shop:[^@]*@#//shop:guess@#' /etc/shop/secrets.env", "password", "DATABASE_URL"),
    ("echo 'server { listen 80 default_server; }' >/etc/nginx/conf.d/other.conf", "nginx-installed", "duplicate"),
    ("nginx -t -q -c /etc/nginx/harden.conf", "nginx-installed", "large requests fail with 500"),
    ("chown root:root /etc/ssl/shop/site.key", "tls-keys", "www-data cannot read /etc/ssl/shop/site.key"),
    ("chmod 0644 /etc/ssl/shop/site.key", "tls-keys", "has mode 0644: everybody"),
    ("mkdir /opt/shop/releases/1; chown shop /opt/shop/releases/1", "releases", "belongs to the app's account"),
    ("grep SECRET_KEY= /etc/shop/secrets.env >/etc/shop/notes", "leaks", "/etc/shop/notes holds SECRET_KEY"),
]  # fmt: skip


@pytest.fixture(scope="module")
def installed(lab: Lab) -> Host:
    """A host on which an install has gone well; faults are mended by the snapshot of what it made."""
    (made,) = lab.boot("checked")
    packages.offer(made, packages.fetch(lab, ("python3-jinja2",)))
    for name in KIT:
        made.copy(ROOT / name, f"/srv/kit/{name}")
    made.write("/root/harden.toml", SHOP)
    made.shell(CERTIFICATE)
    ended = made.run(*HARDEN, "install", "/root/harden.toml", check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    made.shell("tar -C / -cpf /srv/before.tar etc/shop etc/nginx etc/ssl/shop opt/shop var/lib/nginx")
    return made


@pytest.fixture
def host_with_faults(installed: Host) -> Any:
    """The same host, as it was after the install."""
    yield installed
    installed.shell(
        "rm -rf /etc/shop/notes /etc/nginx/conf.d/other.conf /opt/shop/releases/1; tar -C / -xpf /srv/before.tar\n"
        "python3 - <<'END' | runuser -u postgres -- psql -X -q\n"
        "import sys; sys.path.insert(0, '/srv/kit')\n"
        "from pathlib import Path\n"
        "from deploy.host.env_file import read\n"
        "print(f\"ALTER ROLE shop PASSWORD '{read(Path('/etc/shop/secrets.env'))['DATABASE_VERIFIER']}';\")\n"
        "END\n"
    )


def _harden(on: Host, *words: str) -> subprocess.CompletedProcess[str]:
    return on.run(*HARDEN, *words, check=False, timeout=120)


def _check(on: Host) -> dict[str, dict[str, Any]]:
    ended = _harden(on, "check", TOML, "--json", "--accept", "pgbouncer-holes")
    assert ended.returncode in (0, 1), ended.stderr
    return {each["name"]: each for each in json.loads(ended.stdout)["checks"]}


def test_after_an_install_both_are_clean_and_almost_nothing_is_skipped(installed: Host) -> None:
    told = _check(installed)
    assert {name: each["findings"] for name, each in told.items() if each["findings"]} == {}
    skipped = {name for name, each in told.items() if each["state"] == "skipped"}
    assert skipped == {"haproxy", "prometheus", "gunicorn"}  # there is no release yet
    ended = _harden(installed, "diff", TOML)
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stdout[-2000:] + ended.stderr


@pytest.mark.parametrize(("fault", "check", "said"), FAULTS, ids=[fault[0][:40] for fault in FAULTS])
def test_each_fault_is_found_by_its_check(fault: str, check: str, said: str, host_with_faults: Host) -> None:
    host_with_faults.shell(fault)
    told = _check(host_with_faults)
    assert said in "".join(finding["text"] for finding in told[check]["findings"]), told[check]
    secrets = host_with_faults.read("/etc/shop/secrets.env")
    values = [line.partition("=")[2].strip('"') for line in secrets.splitlines() if "=" in line and line[0] != "#"]
    assert not [value for value in values if value in json.dumps(told)]


def test_a_change_by_hand_is_shown_and_a_secret_in_it_is_not(host_with_faults: Host) -> None:
    host_with_faults.shell(
        "grep SECRET_KEY= /etc/shop/secrets.env >>/etc/shop/app.env; chmod 0600 /etc/shop/app.env\n"
        "echo '\"other\" \"md5abc\"' >>/etc/shop/pgbouncer/userlist.txt"
    )
    ended = _harden(host_with_faults, "diff", TOML)
    assert ended.returncode == 1
    assert "/etc/shop/app.env: changed, mode 0600, not 0644\n" in ended.stdout
    assert '-SECRET_KEY="***"\n' in ended.stdout
    assert "userlist.txt: changed\n    (secret: not shown)\n" in ended.stdout
    assert "md5abc" not in ended.stdout


def test_a_check_leaves_nothing_behind_and_disturbs_nobody(installed: Host) -> None:
    script = (
        "ls -A /tmp; systemctl show -P MainPID nginx shop-pgbouncer@1; ls -l /run/shop-pgbouncer /var/lib/nginx"
    )
    before = installed.shell(script)
    _check(installed)
    assert installed.shell(script) == before


def test_after_a_release_its_app_is_loaded_too_and_what_it_does_is_said(
    empty_host: Callable[[str], Host], app_wheels: Path
) -> None:
    service = deployed.prepare(empty_host("released"), app_wheels)
    service.must(*deployed.INSTALL)
    service.must(*deployed.RELEASE)
    description = deployed.DESCRIPTION
    accept = ("--accept", "pgbouncer-holes")
    ended = service.harden("check", description, "--json", *accept)
    told = {each["name"]: each for each in json.loads(ended.stdout)["checks"]}
    assert {name: each["findings"] for name, each in told.items() if each["findings"]} == {}
    assert {name for name, each in told.items() if each["state"] == "skipped"} == {
        "haproxy", "prometheus", "tls-keys",
    }  # fmt: skip
    assert told["gunicorn"]["text"].startswith(f"release {service.links()['current']}, Gunicorn ")
    ended = service.harden("diff", description)
    assert (ended.returncode, ended.stdout) == (0, "")
    service.host.shell("echo 'raise RuntimeError(1)' >>/opt/shop/current/app/app.py")
    service.host.shell("sed -i '/^domains/d; s/^rate = 0$/kind = \"none\"/' " + description)
    assert "gunicorn --check-config: " in service.harden("check", description).stdout
    assert "/etc/nginx/conf.d/shop.conf: gone\n" in service.harden("diff", description).stdout
