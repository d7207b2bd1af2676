"""H303."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.rules.insecure_cookie import RULE

from ..looking import findings, places

APP = "from flask import Flask, make_response, session\n\napp = Flask(__name__)\n"
LOGIN = "\n@app.route('/login')\ndef login():\n    session['user'] = 1\n    return ''\n"


def test_a_session_without_secure_is_found_at_the_app(tmp_path: Path) -> None:
    [finding] = findings(RULE, tmp_path, {"app.py": APP + LOGIN})
    assert (finding.place.line, finding.place.col) == (3, 7)
    assert finding.message == "SESSION_COOKIE_SECURE is not set: the session's cookie goes over plain HTTP too"


def test_a_log_in_by_an_extension_counts_as_a_session(tmp_path: Path) -> None:
    code = (
        "from flask import Flask\nfrom flask_login import LoginManager\napp = Flask(__name__)\nLoginManager(app)\n"
    )
    assert places(RULE, tmp_path, {"app.py": code}) == ["app.py:3:7"]


@pytest.mark.parametrize("code, place", [
    ("app.config['SESSION_COOKIE_SECURE'] = False\n", "app.py:4:39"),
    ("app.config.update(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_HTTPONLY=False)\n", "app.py:4:71"),
    ("app.config.update(REMEMBER_COOKIE_SECURE=False, SESSION_COOKIE_SECURE=True)\n", "app.py:4:42"),
    ("def view(r, token):\n    r.set_cookie('access_token', token)\n", "app.py:5:5"),
    ("def view(r, token):\n    r.set_cookie('session_id', token, secure=True)\n", "app.py:5:5"),
    ("def view(r, token):\n    r.set_cookie(key='jwt', value=token, secure=False, httponly=True)\n", "app.py:5:5"),
])  # fmt: skip
def test_what_is_off_is_found_where_it_is_said(tmp_path: Path, code: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": APP + code}) == [place]


@pytest.mark.parametrize("files", [
    {"app.py": APP},
    {"app.py": APP + "app.config['SESSION_COOKIE_SECURE'] = True\n" + LOGIN},
    {"app.py": APP + "app.config['SESSION_COOKIE_SECURE'] = not app.debug\n" + LOGIN},
    {"app.py": APP + "app.config.from_prefixed_env()\n" + LOGIN},
    {"app.py": APP + "from flask_talisman import Talisman\nTalisman(app)\n" + LOGIN},
    {"app.py": APP + "app.config.from_pyfile('shop.cfg')\n" + LOGIN, "shop.cfg": "SESSION_COOKIE_SECURE = True\n"},
    {"app.py": APP + "def view(r):\n    r.set_cookie('theme', 'dark')\n"},
    {"app.py": APP + "def view(r, t):\n    r.set_cookie('token', t, secure=True, httponly=True)\n"},
    {"app.py": APP + "def view(r):\n    r.set_cookie('token', '', expires=0)\n"},
    {"app.py": APP + "def view(r, **how):\n    r.set_cookie('token', 'x', **how)\n"},
    {"app.py": "from flask import Flask\nimport requests\napp = Flask(__name__)\nsession = requests.Session()\n"},
])  # fmt: skip
def test_what_is_set_or_needless_is_left_alone(tmp_path: Path, files: dict[str, str]) -> None:
    assert places(RULE, tmp_path, files) == []
