"""nginx and HAProxy as rendered, but for where their files, ports and sockets are: below a run's folder."""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy import haproxy_files, nginx_files
from deploy.description import Description
from scripts.stack import Stack
from scripts.stack.binaries import front_program
from scripts.stack.child import Child, as_user, clean_environment, unprivileged_user, user_ids
from scripts.stack.ports import free_port
from scripts.stack.web import GUNICORN_RUNNER, ROOT

from .front_samples import sizes

# What stands around ours in Debian's nginx.conf, and what somebody added for very old clients: ours must win.
MAIN = """
pid {0}/nginx.pid; error_log stderr notice; worker_processes 2; daemon off;
events {{ worker_connections 768; }}
http {{
    sendfile on; tcp_nopush on; types_hash_max_size 2048; include /etc/nginx/mime.types;
    default_type application/octet-stream; ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on; ssl_ciphers ALL:@SECLEVEL=0;
    access_log off; gzip on;
    client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; fastcgi_temp_path {0}/t3; uwsgi_temp_path {0}/t4;
    scgi_temp_path {0}/t5;
    include {0}/etc/conf.d/*.conf;
}}
"""


def program(name: str) -> str:
    """Return nginx or haproxy; skips the test where it is not installed."""
    found = front_program(name)
    if found is None:
        pytest.skip(f"{name} is not installed (apt-get install {name})")
    return str(found)


class Place:
    """A folder that stands for a host.

    Attributes:
        path: the folder.
        http, https: nginx' ports in it.
        log: nginx' access log.
        certificate: of shop.example.com, with its key beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o755)
        path.chmod(0o755)
        self.http, self.https = free_port(), free_port()
        self.log = path / "access.log"
        self.certificate, self._key = path / "site.crt", path / "site.key"
        _make_certificate(self.certificate, self._key)

    def write_nginx(self, *descriptions: Description) -> Path:
        """Write nginx' files for the apps of a host; returns the main one."""
        for description in descriptions:
            for file in nginx_files.files(description, sizes()):
                place = self.path / "etc" / file.path.removeprefix("/etc/nginx/")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(self.replaced(file.text))
        main = self.path / "nginx.conf"
        main.write_text(MAIN.format(self.path))
        self._give_away()
        return main

    def write_haproxy(self, description: Description, ports: Mapping[str, int] = {}) -> Path:
        """Write HAProxy's file; hosts are on ports of loopback instead, by their names."""
        (file,) = haproxy_files.files(description, sizes())
        text = self.replaced(file.text)
        for host, port in ports.items():
            text = text.replace(f"server {host} {host}:80 ", f"server {host} 127.0.0.1:{port} ")
        (self.path / "haproxy.cfg").write_text(text)
        self._give_away()
        return self.path / "haproxy.cfg"

    def replaced(self, text: str) -> str:
        """Return a text with the host's paths and ports made those of this folder."""
        for old, new in {
            "/etc/nginx/": f"{self.path}/etc/", "/run/haproxy/": f"{self.path}/", "/opt/": f"{self.path}/opt/",
            "/var/www/": f"{self.path}/www/", "/etc/ssl/shop/": f"{self.path}/",
            "unix:/run/": f"unix:{self.path}/", "log /dev/log local0": "log stderr format raw local0",
        }.items():  # fmt: skip
            text = text.replace(old, new)
        text = re.sub(r"access_log syslog:\S+", f"access_log {self.log}", text)
        for port, ours in (("80", self.http), ("443", self.https)):
            text = re.sub(rf"listen {port}\b", f"listen 127.0.0.1:{ours}", text)
            text = re.sub(rf"listen \[::\]:{port}\b", f"listen [::1]:{ours}", text)
            text = re.sub(rf"bind :{port}\b", f"bind 127.0.0.1:{ours}", text)
            text = re.sub(rf"bind :::{port} v6only", f"bind ::1:{ours}", text)
        if not Path("/proc/net/if_inet6").exists():
            text = re.sub(r"^ *(listen \[|bind ::1).*\n", "", text, flags=re.MULTILINE)
        return text

    def _give_away(self) -> None:
        for folder, _, names in os.walk(self.path):
            for each in (folder, *(f"{folder}/{name}" for name in names)):
                os.chown(each, *user_ids(unprivileged_user()), follow_symlinks=False)


def _make_certificate(certificate: Path, key: Path) -> None:
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            str(key), "-out", str(certificate), "-days", "30", "-subj", "/CN=shop.example.com", "-addext",
            "subjectAltName=DNS:shop.example.com,DNS:www.shop.example.com,DNS:*.shop.example.org",
        ],
        check=True, capture_output=True,
    )  # fmt: skip


def check(*command: str) -> str:
    """Run a program's own check as a user without rights; returns what it says.

    Raises:
        AssertionError: it found something.
    """
    done = subprocess.run(as_user(command, unprivileged_user()), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@contextmanager
def nginx(stack: Stack, place: Place, name: str = "nginx") -> Iterator[Child]:
    """nginx with the files of a place, as a user without rights."""
    child = Child(
        name, [program("nginx"), "-c", str(place.path / "nginx.conf"), "-p", str(place.path), "-e", "stderr"],
        stack.run, clean_environment(stack.run, {}), user=unprivileged_user(), cwd=place.path,
    )  # fmt: skip
    try:
        child.wait_until(lambda: child.says("start worker process "), 30)
        yield child
    finally:
        child.stop()


@contextmanager
def haproxy(stack: Stack, place: Place) -> Iterator[Child]:
    """HAProxy with the file of a place; it may have begun to check the hosts, or not."""
    child = Child(
        "haproxy", [program("haproxy"), "-db", "-f", str(place.path / "haproxy.cfg")], stack.run,
        clean_environment(stack.run, {}), user=unprivileged_user(), cwd=place.path,
    )  # fmt: skip
    try:
        # Its ports come first, its socket for commands a moment later.
        child.wait_until(lambda: _connects(place.http) and _listens(place.path / "admin.sock"), 30)
        yield child
    finally:
        child.stop()


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _listens(at: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(at)) == 0


@contextmanager
def gunicorn(stack: Stack, at: Path, app: str, environ: Mapping[str, str], name: str) -> Iterator[Child]:
    """Gunicorn with the kit's configuration, on a Unix socket that everybody may speak to."""
    at.parent.mkdir(exist_ok=True)
    at.parent.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(at))
        at.chmod(0o666)
        listener.listen(2048)
        child = Child(
            name,
            [
                sys.executable, str(GUNICORN_RUNNER), "--config", str(ROOT / "deploy" / "gunicorn.conf.py"),
                "--bind", f"fd://{listener.fileno()}", app,
            ],
            stack.run, clean_environment(stack.run, {"PYTHONUNBUFFERED": "1", **environ}), cwd=ROOT,
            pass_fds=[listener.fileno()],
        )  # fmt: skip
    try:
        yield child
    finally:
        child.stop(30)


class Answer:
    """An answer: `status`, `headers` in lower case (several of one name joined by `, `), `body`."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.body = response.status, response.read()
        self.headers: dict[str, str] = {}
        for name, value in response.getheaders():
            before = self.headers.get(name.lower())
            self.headers[name.lower()] = value if before is None else f"{before}, {value}"


def ask(
    port: int, path: str, method: str = "GET", body: Any = None, host: str = "shop.example.com",
    tls: ssl.SSLContext | None = None, **headers: str,
) -> Answer:  # fmt: skip
    """Ask a front on loopback; `_` in the headers' names is `-`.

    Raises:
        OSError, http.client.HTTPException: it gave no answer, or half of one.
    """
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    if tls is not None:
        client.sock = tls.wrap_socket(socket.create_connection(("127.0.0.1", port), 30), server_hostname=host)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        client.request(method, path, body, {"Host": host, "Connection": "close", **sent})
        return Answer(client.getresponse())
    finally:
        client.close()


def raw(port: int, data: bytes) -> bytes:
    """Send bytes, and return all that comes until the end."""
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        client.sendall(data)
        received = b""
        try:
            while part := client.recv(65536):
                received += part
        except ConnectionResetError:
            pass
        return received
