"""H403."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Confidence
from scripts.audit.rules.missing_proxy_fix import RULE

from ..looking import findings, places

APP = "from flask import Flask, request, url_for\n\napp = Flask(__name__)\n"
NGINX = {"nginx.conf": "location / {\n  proxy_pass http://app;\n}\n"}


@pytest.mark.parametrize("use, what", [
    ("who = request.remote_addr\n", "request.remote_addr"),
    ("secure = request.is_secure\n", "request.is_secure"),
    ("link = url_for('x', _external=True)\n", "url_for(_external=True)"),
    ("from flask_limiter.util import get_remote_address\n", "get_remote_address"),
])  # fmt: skip
@pytest.mark.parametrize("files", [NGINX, {"Procfile": "web: gunicorn app:app\n"}], ids=["nginx", "Heroku"])
def test_what_the_proxy_hides_is_found(tmp_path: Path, files: dict[str, str], use: str, what: str) -> None:
    [finding] = findings(RULE, tmp_path, {"app.py": APP + use, **files})
    assert (finding.place.line, finding.place.col) == (3, 7)
    assert finding.message.endswith(f": {what} describes the proxy, not the visitor")


def test_a_port_from_the_environment_is_a_weak_sign(tmp_path: Path) -> None:
    code = "import os\n" + APP + "port = os.environ['PORT']\nwho = request.remote_addr\n"
    [finding] = findings(RULE, tmp_path, {"app.py": code})
    assert finding.confidence == Confidence.low


@pytest.mark.parametrize("files", [
    {"app.py": APP + "who = request.remote_addr\n"},
    {"app.py": APP, **NGINX},
    {"app.py": APP + "link = url_for('x')\n", **NGINX},
    {"app.py": APP + "from werkzeug.middleware.proxy_fix import ProxyFix\nwho = request.remote_addr\n", **NGINX},
    {"app.py": APP + "who = request.headers.get('X-Forwarded-For', request.remote_addr)\n", **NGINX},
    {"app.py": APP + "who = request.remote_addr\n", "nginx.dev.conf": NGINX["nginx.conf"]},
])  # fmt: skip
def test_no_proxy_or_no_use_or_the_fix_is_left_alone(tmp_path: Path, files: dict[str, str]) -> None:
    assert places(RULE, tmp_path, files) == []
