"""The reference shop on one host, as a first service: nginx, Gunicorn on a held socket, PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.demo.seed import create_schema, seed
from scripts.load import Request

from .host import Host
from .lab import Lab
from .loads import Load

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ("flask>=3.1", "psycopg2-binary>=2.9", "gunicorn>=27")
PASSWORD = "word"
SOCKET = """
[Socket]
ListenStream=/run/shop.sock
SocketGroup=www-data
SocketMode=0660
[Install]
WantedBy=sockets.target
"""
SERVICE = f"""
[Unit]
Requires=shop.socket
After=shop.socket postgresql.service
[Service]
Type=notify
NotifyAccess=main
User=shop
WorkingDirectory=/opt/shop/app
Environment=DATABASE_URL=postgresql://shop:{PASSWORD}@127.0.0.1/shop WORKERS=2
ExecStart=/opt/shop/venv/bin/gunicorn -c deploy/gunicorn.conf.py wsgi:application
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
[Install]
WantedBy=multi-user.target
"""
NGINX = """
upstream shop { server unix:/run/shop.sock fail_timeout=0; keepalive 16; }
server {
    listen 80 default_server;
    location / {
        proxy_pass http://shop; proxy_http_version 1.1;
        proxy_set_header Connection ""; proxy_set_header Host $host;
    }
}
"""
DATABASE = f"""
cd /etc/postgresql/*/main
echo "listen_addresses = '*'" >conf.d/lab.conf
echo 'host shop shop samenet scram-sha-256' >>pg_hba.conf
systemctl enable --now postgresql
runuser -u postgres -- psql -qX -c "create role shop login password '{PASSWORD}'" \
    -c 'create database shop owner shop'
"""
APP = """
useradd --system shop
python3 -m venv /opt/shop/venv
/opt/shop/venv/bin/pip install -q --no-index --find-links /opt/shop/wheels flask psycopg2-binary gunicorn
rm /etc/nginx/sites-enabled/default
systemctl daemon-reload
systemctl enable --now shop.socket shop.service nginx
"""


@pytest.fixture
def shop(host: Callable[[str], Host], lab: Lab, wheels: Callable[..., Path]) -> Iterator[Host]:
    """A host that serves the seeded shop on port 80."""
    web = host("shop")
    web.shell(DATABASE)
    web.wait_port(5432)
    with lab.inside():
        dsn = f"host={web.address} dbname=shop user=shop password={PASSWORD}"
        create_schema(dsn)
        seed(dsn, "small", 20)
    for name in ("backend", "deploy", "wsgi.py"):
        web.copy(ROOT / name, f"/opt/shop/app/{name}")
    web.copy(wheels(*REQUIREMENTS), "/opt/shop/wheels")
    web.write("/etc/systemd/system/shop.socket", SOCKET)
    web.write("/etc/systemd/system/shop.service", SERVICE, mode=0o600)
    web.write("/etc/nginx/conf.d/shop.conf", NGINX)
    web.shell(APP, timeout=180)
    web.wait_port(80)
    yield web


def profile(lab: Lab) -> object:
    done = lab.run("curl", "-sS", "--fail", "--max-time", "20",
                   "http://shop/api/admin/customers/1?include=appointmentDetails")  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_shop_serves_and_does_so_again_after_a_power_cut(
    shop: Host, lab: Lab, load: Callable[..., Load]
) -> None:
    before = profile(lab)
    requests = [Request("/api/appointments"), Request("/api/customers/1/history")]
    with load(shop, requests, users=4, seconds=3) as running:
        shop.run("systemctl", "restart", "shop.service")  # requests wait in the socket, and in nginx
    assert running.lost() == {}, shop.run("journalctl", "-n", "30", "--no-pager").stdout
    assert running.result().answered > 10
    shop.kill9()
    assert shop.boot() == "running"
    shop.wait_port(80)
    assert profile(lab) == before
