"""H411: which requests decode their token twice, and which once or two different ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.rules.repeated_token_decoding import RULE

from ..looking import findings, places

HEAD = """from functools import wraps
import jwt
from flask import Flask, g, request
app = Flask(__name__)
def claims():
    return jwt.decode(request.headers['Authorization'], 'k', algorithms=['HS256'])
def signed_in(view):
    @wraps(view)
    def wrapper(*args, **kwargs):
        claims()
        return view(*args, **kwargs)
    return wrapper
"""


@pytest.mark.parametrize("code, place", [
    ("@app.get('/')\n@signed_in\ndef view():\n    return claims()\n", "16:12"),
    ("@app.get('/')\n@signed_in\ndef view():\n"
     "    return jwt.decode(request.headers['Authorization'], 'k')\n", "16:12"),
    ("def name():\n    return claims()['name']\n@app.get('/')\n@signed_in\ndef view():\n"
     "    return name()\n", "18:12"),
    ("@app.before_request\ndef hook():\n    claims()\n@app.get('/')\ndef view():\n    return claims()\n", "18:12"),
    ("def admin(view):\n    def inner():\n        claims()\n        return view()\n    return inner\n"
     "@app.get('/')\n@signed_in\n@admin\ndef view():\n    return ''\n", "15:9"),
])  # fmt: skip
def test_the_second_decoding_is_found(tmp_path: Path, code: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == [f"app.py:{place}"]


@pytest.mark.parametrize("code", [
    "@app.get('/')\n@signed_in\ndef view():\n    return ''\n",
    "@app.get('/')\ndef view():\n    return claims()\n",
    "@app.get('/')\n@signed_in\ndef view():\n    return g.claims['sub']\n",
    "@app.get('/<link>')\n@signed_in\ndef view(link):\n    return jwt.decode(link, 'other')\n",
    "@app.get('/')\n@signed_in\ndef view():\n    return jwt.decode(request.cookies['refresh'], 'k')\n",
    "import json\n@app.get('/')\n@signed_in\ndef view():\n    return json.loads(request.data)\n",
    "@app.get('/')\n@signed_in\ndef view():\n    return b'a'.decode()\n",
])  # fmt: skip
def test_one_decoding_and_other_tokens_are_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []


def test_the_first_decoding_is_the_evidence(tmp_path: Path) -> None:
    code = f"{HEAD}@app.get('/me')\n@signed_in\ndef view():\n    return claims()\n"
    [finding] = findings(RULE, tmp_path, {"app.py": code})
    assert [(each.place.line, each.text) for each in finding.evidence] == [
        (10, "decoded here first"),
        (6, "jwt.decode is in here"),
    ]
    assert finding.routes == ("GET /me",)
