"""H305."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.rules.unlimited_upload import RULE

from ..looking import findings, places

APP = "from flask import Flask, request\n\napp = Flask(__name__)\n"
UPLOAD = "\n@app.route('/', methods=['POST'])\ndef add():\n    request.files['a'].save('/srv/a')\n    return ''\n"


def test_uploads_without_a_limit_are_one_finding_at_the_app(tmp_path: Path) -> None:
    [finding] = findings(RULE, tmp_path, {"app.py": APP + UPLOAD + UPLOAD.replace("add", "more")})
    assert (finding.place.line, finding.place.col) == (3, 7)
    assert [each.place.line for each in finding.evidence] == [7, 12]


def test_without_an_app_in_sight_the_use_is_named(tmp_path: Path) -> None:
    code = "from flask import request\n\ndef add():\n    return request.files['a']\n"
    assert places(RULE, tmp_path, {"views.py": code}) == ["views.py:4:12"]


def test_an_nginx_that_takes_everything_is_no_limit(tmp_path: Path) -> None:
    nginx = "location / {\n  client_max_body_size 0;\n  proxy_pass http://app;\n}\n"
    assert places(RULE, tmp_path, {"app.py": APP + UPLOAD, "nginx.conf": nginx}) == ["app.py:3:7"]


@pytest.mark.parametrize("files", [
    {"app.py": APP},
    {"app.py": APP + "app.config['MAX_CONTENT_LENGTH'] = 10\n" + UPLOAD},
    {"app.py": APP + UPLOAD, "config.py": "class Config:\n    MAX_CONTENT_LENGTH = 10\n"},
    {"app.py": APP + UPLOAD + "    if request.content_length > 10: abort(413)\n"},
    {"app.py": APP + UPLOAD, "nginx.conf": "location / {\n  proxy_pass http://app;\n}\n"},
    {"app.py": "import requests\nrequest = requests.Request()\nrequest.files = {}\n"},
])  # fmt: skip
def test_a_limit_or_no_upload_is_left_alone(tmp_path: Path, files: dict[str, str]) -> None:
    assert places(RULE, tmp_path, files) == []
